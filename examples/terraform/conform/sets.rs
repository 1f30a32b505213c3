//! Whether the elements of a set are those that were planned.

use crate::conform::Problem;
use crate::conform::applied::fail;
use crate::conform::shown;
use crate::tfplugin::cty::Path;
use crate::tfplugin::cty::Value;

/// How many pairs of elements are compared, at most: some seconds' work. A thousand elements
/// of which something was unknown, and as many results, are as many pairs; elements that were
/// known are looked up, and make none.
const MOST_PAIRS: usize = 1_000_000;

/// Elements have no names: each must be what some planned one may have become, and the other
/// way round. There may be fewer, for what was unknown may have turned out to be the same.
///
/// Both are sorted. Of two sets that would make more pairs than [`MOST_PAIRS`], only how many
/// elements there are is compared, and the log says so.
pub fn check_set(
    planned: &[Value],
    actual: &[Value],
    path: &Path,
    problems: &mut Vec<Problem>,
    may_become: impl Fn(&Value, &Value) -> bool,
) {
    if actual.len() > planned.len() {
        let (planned, actual) = (planned.len(), actual.len());
        fail(problems, path, format!("was planned with {planned} elements, but has {actual}"));
    }
    // Equal ones are the most, and are found fast. One that is not wholly known is no answer.
    let is_in = |set: &[Value], value: &Value| set.binary_search(value).is_ok();
    let lost = planned.iter().filter(|value| !value.is_wholly_known() || !is_in(actual, value));
    let new = actual.iter().filter(|value| !value.is_wholly_known() || !is_in(planned, value));
    let (lost, new): (Vec<_>, Vec<_>) = (lost.collect(), new.collect());
    let pairs = |one: usize, other: usize| one.saturating_mul(other);
    if pairs(lost.len(), actual.len()).max(pairs(new.len(), planned.len())) > MOST_PAIRS {
        tracing::warn!(%path, "the set is too large to check whether it is as it was planned");
        return;
    }
    for value in lost {
        if !actual.iter().any(|now| may_become(value, now)) {
            let what = match value.is_wholly_known() {
                true => format!("was planned to have {}", shown(value)),
                false => format!("has nothing that {} may have become", shown(value)),
            };
            fail(problems, path, what);
        }
    }
    for now in new {
        if !planned.iter().any(|value| may_become(value, now)) {
            fail(problems, path, format!("has {}, which was not planned", shown(now)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn numbers(count: i64) -> Vec<Value> {
        (0..count).map(Value::from).collect()
    }

    /// How often elements were compared, and what was wrong.
    fn check(planned: &[Value], actual: &[Value]) -> (usize, Vec<String>) {
        let (pairs, mut problems) = (Cell::new(0), Vec::new());
        check_set(planned, actual, &Path::default(), &mut problems, |planned, actual| {
            pairs.set(pairs.get() + 1);
            planned.is_unknown() || planned == actual
        });
        (pairs.get(), problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn elements_that_are_known_are_looked_up() {
        let planned = numbers(100_000);
        assert_eq!(check(&planned, &planned), (0, Vec::new()));
        let (pairs, problems) = check(&planned, &planned[1..]);
        assert_eq!(problems, ["the whole object was planned to have 0"]);
        assert!(pairs < planned.len(), "{pairs}");
    }

    #[test]
    fn sets_of_too_many_pairs_are_not_compared_but_counted() {
        let planned: Vec<Value> = (0..100_000).map(|_| Value::unknown()).collect();
        assert_eq!(check(&planned, &numbers(100_000)), (0, Vec::new()));
        let (pairs, problems) = check(&planned, &numbers(100_001));
        assert_eq!((pairs, problems.len()), (0, 1));
    }
}
