//! Which elements of two collections are to be compared with each other.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use similar::Algorithm;
use similar::DiffOp;

use crate::render::diff::Diff;
use crate::render::diff::Side;
use crate::tfplugin::cty::Path;
use crate::tfplugin::cty::Step;
use crate::tfplugin::cty::Type;
use crate::tfplugin::cty::Value;

/// Compares two elements, of which one may be absent.
type Each<'a> = &'a dyn Fn(Side<'_>, Side<'_>, &Path) -> Diff;

fn sequence(side: Side<'_>) -> &[Value] {
    side.and_then(Value::as_sequence).unwrap_or_default()
}

fn at(path: &Path, index: usize) -> Path {
    path.join(Step::Index(i64::try_from(index).unwrap_or(i64::MAX)))
}

/// Those with the same index.
pub fn by_index(before: Side<'_>, after: Side<'_>, path: &Path, each: Each<'_>) -> Vec<Diff> {
    let (before, after) = (sequence(before), sequence(after));
    let indices = 0..before.len().max(after.len());
    indices.map(|index| each(before.get(index), after.get(index), &at(path, index))).collect()
}

/// Those with the same key.
pub fn by_key(
    before: Side<'_>,
    after: Side<'_>,
    path: &Path,
    each: Each<'_>,
) -> Vec<(String, Diff)> {
    let empty = BTreeMap::new();
    let before = before.and_then(Value::as_mapping).unwrap_or(&empty);
    let after = after.and_then(Value::as_mapping).unwrap_or(&empty);
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let compare = |key: &String| {
        let path = path.join(Step::Key(key.clone()));
        (key.clone(), each(before.get(key), after.get(key), &path))
    };
    keys.into_iter().map(compare).collect()
}

/// Those that are equal. All others have gone, or are new.
pub fn of_set(before: Side<'_>, after: Side<'_>, path: &Path, each: Each<'_>) -> Vec<Diff> {
    let (before, after) = (sequence(before), sequence(after));
    let element = |value: &Value| path.join(Step::Element(value.clone()));
    let mut diffs: Vec<Diff> = before
        .iter()
        .map(|value| {
            let same = after.binary_search(value).is_ok().then_some(value);
            each(Some(value), same, &element(value))
        })
        .collect();
    let new = after.iter().filter(|value| before.binary_search(value).is_err());
    diffs.extend(new.map(|value| each(None, Some(value), &element(value))));
    diffs
}

/// Those that are equal and in the same order. What stands between them has gone or is new,
/// but for what can change inside: that changes.
pub fn of_list(before: Side<'_>, after: Side<'_>, path: &Path, each: Each<'_>) -> Vec<Diff> {
    let (before, after) = (sequence(before), sequence(after));
    let removed = |index: usize| each(before.get(index), None, &at(path, index));
    let added = |index: usize| each(None, after.get(index), &at(path, index));
    let mut diffs = Vec::new();
    for operation in operations(before, after) {
        match operation {
            DiffOp::Equal { old_index, new_index, len } => diffs.extend((0..len).map(|offset| {
                let (old, new) = (old_index + offset, new_index + offset);
                each(before.get(old), after.get(new), &at(path, new))
            })),
            DiffOp::Delete { old_index, old_len, .. } => {
                diffs.extend((old_index..old_index + old_len).map(removed));
            }
            DiffOp::Insert { new_index, new_len, .. } => {
                diffs.extend((new_index..new_index + new_len).map(added));
            }
            DiffOp::Replace { old_index, old_len, new_index, new_len } => {
                let pairs = (old_index..old_index + old_len).zip(new_index..new_index + new_len);
                let changed: Vec<_> = pairs
                    .take_while(|(old, new)| {
                        let pair = before.get(*old).zip(after.get(*new));
                        pair.is_some_and(|(old, new)| changes_inside(old, new))
                    })
                    .collect();
                let count = changed.len();
                diffs.extend(
                    changed
                        .into_iter()
                        .map(|(old, new)| each(before.get(old), after.get(new), &at(path, new))),
                );
                diffs.extend((old_index + count..old_index + old_len).map(removed));
                diffs.extend((new_index + count..new_index + new_len).map(added));
            }
        }
    }
    diffs
}

/// Those with the same index, which have a type each.
pub fn of_tuple(
    types: &[Type],
    before: Side<'_>,
    after: Side<'_>,
    path: &Path,
    each: &dyn Fn(&Type, Side<'_>, Side<'_>, &Path) -> Diff,
) -> Vec<Diff> {
    let (before, after) = (sequence(before), sequence(after));
    let elements = types.iter().enumerate();
    elements
        .map(|(index, ty)| each(ty, before.get(index), after.get(index), &at(path, index)))
        .collect()
}

/// Objects have attributes, and long texts have lines.
fn changes_inside(before: &Value, after: &Value) -> bool {
    let has_lines = |value: &Value| value.as_str().is_some_and(|text| text.contains('\n'));
    match (before, after) {
        (Value::Mapping(_), Value::Mapping(_)) => true,
        _ => has_lines(before) && has_lines(after),
    }
}

/// How one list becomes the other.
fn operations(before: &[Value], after: &[Value]) -> Vec<DiffOp> {
    // Numbers are compared faster than values, and can be hashed.
    let mut numbers = BTreeMap::new();
    let mut number = |value| {
        let next = numbers.len();
        *numbers.entry(value).or_insert(next)
    };
    let before: Vec<usize> = before.iter().map(&mut number).collect();
    let after: Vec<usize> = after.iter().map(&mut number).collect();
    similar::capture_diff_slices(Algorithm::Myers, &before, &after)
}
