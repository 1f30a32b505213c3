//! Where a value has what no state can hold: what is unknown, and what is infinite.

use crate::conform::bare;
use crate::report::MOST_ENTRIES;
use crate::tfplugin::cty::Path;
use crate::tfplugin::cty::Step;
use crate::tfplugin::cty::Value;

/// The most places that are looked for: one more than a report takes, so that it says that
/// there are more. Each is as long as it is deep, and a provider may have a million of them.
const MOST_PLACES: usize = MOST_ENTRIES + 1;

/// Where a value is unknown; of very many places the first.
#[must_use]
pub fn unknown_paths(value: &Value) -> Vec<Path> {
    places(value, is_unknown)
}

/// Where a value is an infinite number, which JSON cannot say; of very many places the first.
#[must_use]
pub fn infinite_paths(value: &Value) -> Vec<Path> {
    places(value, is_infinite)
}

/// The value, with null in the place of all that is unknown: to be kept, if it must be.
#[must_use]
pub fn without_unknowns(value: Value) -> Value {
    without(value, is_unknown)
}

/// The value, with null in the place of all that is infinite, for the same reason.
#[must_use]
pub fn without_infinities(value: Value) -> Value {
    without(value, is_infinite)
}

fn is_unknown(value: &Value) -> bool {
    matches!(value, Value::Unknown(_))
}

fn is_infinite(value: &Value) -> bool {
    matches!(value, Value::Number(number) if number.is_infinite())
}

fn places(value: &Value, is_meant: fn(&Value) -> bool) -> Vec<Path> {
    let mut found = Vec::new();
    find(value, is_meant, &Path::default(), &mut found);
    found
}

fn find(value: &Value, is_meant: fn(&Value) -> bool, path: &Path, found: &mut Vec<Path>) {
    if found.len() == MOST_PLACES {
        return;
    }
    match bare(value) {
        value if is_meant(value) => found.push(path.clone()),
        Value::Sequence(elements) => {
            for (step, element) in indexed(elements) {
                find(element, is_meant, &path.join(step), found);
            }
        }
        Value::Mapping(elements) => {
            for (key, element) in elements {
                find(element, is_meant, &path.join(Step::Attribute(key.clone())), found);
            }
        }
        _ => {}
    }
}

fn without(value: Value, is_meant: fn(&Value) -> bool) -> Value {
    match value {
        value if is_meant(&value) => Value::Null,
        // A set may be out of order then, and have one element twice: it is read anew before
        // it is compared with anything.
        Value::Sequence(elements) => {
            elements.into_iter().map(|element| without(element, is_meant)).collect()
        }
        Value::Mapping(elements) => {
            let elements = elements.into_iter();
            Value::Mapping(elements.map(|(key, one)| (key, without(one, is_meant))).collect())
        }
        Value::Dynamic(typed) => Value::dynamic(typed.ty, without(typed.value, is_meant)),
        other => other,
    }
}

/// The elements, each with the step that leads to it.
pub fn indexed(elements: &[Value]) -> impl Iterator<Item = (Step, &Value)> {
    let index = |at| Step::Index(i64::try_from(at).unwrap_or(i64::MAX));
    elements.iter().enumerate().map(move |(at, element)| (index(at), element))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::list;
    use crate::testing::object;
    use crate::testing::text;
    use crate::tfplugin::cty::Number;
    use crate::tfplugin::cty::Type;

    #[test]
    fn what_no_state_can_hold_is_found_at_every_depth_and_taken_out() {
        let infinite = || Value::Number("-Inf".parse::<Number>().unwrap());
        let value = object([
            ("a", list([text("x"), infinite()])),
            ("b", Value::dynamic(Type::Number, infinite())),
            ("c", Value::unknown()),
        ]);
        let said = |paths: Vec<Path>| paths.iter().map(Path::to_string).collect::<Vec<_>>();
        assert_eq!(said(infinite_paths(&value)), [".a[1]", ".b"]);
        assert_eq!(said(unknown_paths(&value)), [".c"]);
        let kept = without_unknowns(without_infinities(value));
        let expected = object([
            ("a", list([text("x"), Value::Null])),
            ("b", Value::dynamic(Type::Number, Value::Null)),
            ("c", Value::Null),
        ]);
        assert_eq!(kept, expected);
    }

    #[test]
    fn a_number_that_only_floats_cannot_hold_is_not_infinite() {
        let large: Number = "1e400".parse().unwrap();
        assert!(infinite_paths(&Value::Number(large)).is_empty());
    }

    #[test]
    fn of_very_many_places_one_more_is_found_than_is_reported() {
        let value: Value = std::iter::repeat_n(Value::unknown(), 3 * MOST_ENTRIES).collect();
        assert_eq!(unknown_paths(&value).len(), MOST_ENTRIES + 1);
    }
}
