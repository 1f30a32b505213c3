//! Whether a result completes its plan: what was known is as planned, and what was unknown is
//! known, and as far as something was known of it, so.

use std::collections::BTreeMap;

use crate::conform::Problem;
use crate::conform::bare;
use crate::conform::is_sensitive;
use crate::conform::places::indexed;
use crate::conform::sets::check_set;
use crate::conform::shown;
use crate::report::MOST_ENTRIES;
use crate::tfplugin::cty::Number;
use crate::tfplugin::cty::Path;
use crate::tfplugin::cty::Range;
use crate::tfplugin::cty::Step;
use crate::tfplugin::cty::Type;
use crate::tfplugin::cty::Value;
use crate::tfplugin::schema::Block;
use crate::tfplugin::schema::NestedBlock;
use crate::tfplugin::schema::Nesting;

/// What of a result is not as planned.
#[must_use]
pub fn broken_by_result(block: &Block, planned: &Value, actual: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    check_block(block, planned, actual, &Path::default(), &mut problems);
    problems
}

pub(super) fn fail(problems: &mut Vec<Problem>, path: &Path, what: impl Into<String>) {
    // One more than a report takes, so that it says that there are more.
    if problems.len() <= MOST_ENTRIES {
        problems.push(Problem::new(path, what));
    }
}

/// Whether there is anything inside to compare.
fn presence(planned: &Value, actual: &Value, path: &Path, problems: &mut Vec<Problem>) -> bool {
    match (planned.is_null(), actual.is_null()) {
        (true, false) => fail(problems, path, "was absent, but now is present"),
        (false, true) => fail(problems, path, "was present, but now is absent"),
        (is_null, _) => return !is_null,
    }
    false
}

fn check_block(
    block: &Block,
    planned: &Value,
    actual: &Value,
    path: &Path,
    problems: &mut Vec<Problem>,
) {
    if planned.is_unknown() || !presence(planned, actual, path, problems) {
        return;
    }
    for (name, attribute) in &block.attributes {
        let path = path.join(Step::Attribute(name.clone()));
        let mut found = Vec::new();
        check(&attribute.ty, planned.get(name), actual.get(name), &path, &mut found);
        if is_sensitive(attribute) && !found.is_empty() {
            found = vec![Problem::new(&path, "is sensitive, and is not as it was planned")];
        }
        problems.append(&mut found);
    }
    for (name, nested) in &block.blocks {
        let path = path.join(Step::Attribute(name.clone()));
        let (planned, actual) = (bare(planned.get(name)), bare(actual.get(name)));
        check_nested(nested, planned, actual, &path, problems);
    }
}

fn check_nested(
    nested: &NestedBlock,
    planned: &Value,
    actual: &Value,
    path: &Path,
    problems: &mut Vec<Problem>,
) {
    // How many there would be was open.
    if planned.is_unknown() {
        return;
    }
    let NestedBlock { nesting, block, .. } = nested;
    match (nesting, planned, actual) {
        (Nesting::Single | Nesting::Group, ..) => {
            check_block(block, planned, actual, path, problems);
        }
        (Nesting::Set, Value::Sequence(planned), Value::Sequence(actual)) => {
            check_set(planned, actual, path, problems, |planned, actual| {
                let mut found = Vec::new();
                check_block(block, planned, actual, path, &mut found);
                found.is_empty()
            });
        }
        (_, Value::Sequence(planned), Value::Sequence(actual)) => {
            if planned.len() != actual.len() {
                let (planned, actual) = (planned.len(), actual.len());
                let what = format!("was planned to have {planned} blocks, but has {actual}");
                return fail(problems, path, what);
            }
            for ((step, planned), actual) in indexed(planned).zip(actual) {
                check_block(block, planned, actual, &path.join(step), problems);
            }
        }
        (_, Value::Mapping(planned), Value::Mapping(actual)) => {
            let each = |planned: &Value, actual: &Value, path: &Path, problems: &mut Vec<_>| {
                check_block(block, planned, actual, path, problems);
            };
            check_keys(planned, actual, path, Step::Key, problems, each);
        }
        // Null instead of empty: another check's business, for providers may say both.
        _ => {}
    }
}

fn check(ty: &Type, planned: &Value, actual: &Value, path: &Path, problems: &mut Vec<Problem>) {
    if let Value::Unknown(refinement) = planned {
        if !may_be(&refinement.range(), actual) {
            let what = format!("is {}, which the plan had excluded", shown(actual));
            fail(problems, path, what);
        }
        return;
    }
    match (planned, actual) {
        (Value::Null, Value::Null) => {}
        (Value::Null, _) => fail(problems, path, format!("was null, but now {}", shown(actual))),
        (_, Value::Null) => fail(problems, path, format!("was {}, but now null", shown(planned))),
        (_, Value::Unknown(_)) => fail(problems, path, "was known, but now is unknown"),
        (Value::Dynamic(planned), Value::Dynamic(actual)) => {
            if planned.ty == actual.ty {
                return check(&planned.ty, &planned.value, &actual.value, path, problems);
            }
            // What was open in the planned type may be anything.
            if !planned.ty.has_dynamic() {
                let what = format!("was {}, but now is {}", planned.ty, actual.ty);
                fail(problems, path, what);
            }
        }
        (Value::Sequence(planned), Value::Sequence(actual)) => match ty {
            Type::Set(of) => check_set(planned, actual, path, problems, |planned, actual| {
                let mut found = Vec::new();
                check(of, planned, actual, path, &mut found);
                found.is_empty()
            }),
            _ => check_elements(ty, planned, actual, path, problems),
        },
        (Value::Mapping(planned), Value::Mapping(actual)) => match ty {
            Type::Object(attributes) => {
                for (name, ty) in &attributes.types {
                    let planned = planned.get(name).unwrap_or(&Value::Null);
                    let actual = actual.get(name).unwrap_or(&Value::Null);
                    check(ty, planned, actual, &path.join(Step::Attribute(name.clone())), problems);
                }
            }
            Type::Map(of) => {
                let each = |planned: &Value, actual: &Value, path: &Path, problems: &mut Vec<_>| {
                    check(of, planned, actual, path, problems);
                };
                check_keys(planned, actual, path, Step::Key, problems, each);
            }
            _ => {}
        },
        (planned, actual) if planned == actual => {}
        (planned, actual) => {
            let what = format!("was {}, but now {}", shown(planned), shown(actual));
            fail(problems, path, what);
        }
    }
}

/// Elements of a list or a tuple.
fn check_elements(
    ty: &Type,
    planned: &[Value],
    actual: &[Value],
    path: &Path,
    problems: &mut Vec<Problem>,
) {
    for (at, ((step, planned), actual)) in indexed(planned).zip(actual).enumerate() {
        let ty = match ty {
            Type::List(of) => of,
            Type::Tuple(types) => types.get(at).unwrap_or(&Type::Dynamic),
            _ => return,
        };
        check(ty, planned, actual, &path.join(step), problems);
    }
    for (step, _) in indexed(planned).skip(actual.len()) {
        fail(problems, &path.join(step), "has vanished");
    }
    for (step, _) in indexed(actual).skip(planned.len()) {
        fail(problems, &path.join(step), "has appeared");
    }
}

/// What has the same key, and keys that only one side has.
fn check_keys(
    planned: &BTreeMap<String, Value>,
    actual: &BTreeMap<String, Value>,
    path: &Path,
    step: impl Fn(String) -> Step,
    problems: &mut Vec<Problem>,
    mut each: impl FnMut(&Value, &Value, &Path, &mut Vec<Problem>),
) {
    for (key, planned) in planned {
        let path = path.join(step(key.clone()));
        match actual.get(key) {
            Some(actual) => each(planned, actual, &path, problems),
            None => fail(problems, &path, "has vanished"),
        }
    }
    for key in actual.keys().filter(|key| !planned.contains_key(*key)) {
        fail(problems, &path.join(step(key.clone())), "has appeared");
    }
}

/// Whether what was known of an unknown value allows this one.
fn may_be(range: &Range, actual: &Value) -> bool {
    let actual = bare(actual);
    if actual.is_unknown() {
        return true;
    }
    if let Some(is_null) = range.is_null
        && is_null != actual.is_null()
    {
        return false;
    }
    let length = |length: usize| {
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        range.min_length.is_none_or(|least| length >= least)
            && range.max_length.is_none_or(|most| length <= most)
    };
    match actual {
        Value::String(text) => range.prefix.as_ref().is_none_or(|prefix| text.starts_with(prefix)),
        Value::Number(number) => is_within(range, number),
        Value::Sequence(elements) => length(elements.len()),
        Value::Mapping(elements) => length(elements.len()),
        _ => true,
    }
}

fn is_within(range: &Range, number: &Number) -> bool {
    let above = range
        .lower
        .as_ref()
        .is_none_or(|bound| *number > bound.number || (bound.inclusive && *number == bound.number));
    let below = range
        .upper
        .as_ref()
        .is_none_or(|bound| *number < bound.number || (bound.inclusive && *number == bound.number));
    above && below
}
