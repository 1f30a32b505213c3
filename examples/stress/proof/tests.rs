//! The audit finds what it is there for, and nothing where nothing is.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Counted;
use super::Outcome;
use super::Problem;
use super::Record;
use super::audit::Audit;
use super::audit::REMEMBERED;
use super::audit::Side;
use crate::calls::Direction;
use crate::calls::Kind;
use crate::ends::ledger::Entry;
use crate::ends::ledger::Event;
use crate::ends::ledger::Event::Begun;
use crate::ends::ledger::Event::Done;

/// The first call of the first caller.
const FIRST: u64 = (1 << 40) + 1;

/// An audit with a clock that tests move.
struct Bench {
    audit: Audit,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self { audit: Audit::default(), now: start() }
    }

    fn entry(&mut self, side: Side, call: u64, index: u32, event: Event) -> &mut Self {
        self.audit.entries(side, &[Entry { call, index, event }]);
        self
    }

    /// A call of one part is executed by the plugin.
    fn executed(&mut self, call: u64) -> &mut Self {
        self.entry(Side::Plugin, call, 0, Begun).entry(Side::Plugin, call, 0, Done)
    }

    fn record(&mut self, record: Record) -> &mut Self {
        self.audit.records(vec![record], self.now);
        self
    }

    fn problems(&mut self) -> Vec<Problem> {
        self.audit.findings().into_iter().map(|(problem, _)| problem).collect()
    }

    fn problems_at_the_end(&mut self) -> Vec<Problem> {
        self.audit.finish();
        self.problems()
    }
}

#[expect(clippy::disallowed_methods, reason = "some moment to count from")]
fn start() -> Instant {
    std::time::Instant::now().into()
}

fn unary(call: u64, outcome: Outcome) -> Record {
    Record { call, kind: Kind::Unary, direction: Direction::ToPlugin, parts: 1, outcome }
}

#[test]
fn calls_that_were_executed_once_and_in_order_are_well() {
    let mut bench = Bench::new();
    for call in FIRST..FIRST + 10 {
        bench.executed(call).record(unary(call, Outcome::Ok));
    }
    assert_eq!(bench.problems_at_the_end(), []);
}

#[test]
fn a_call_that_succeeded_and_was_not_executed_is_lost() {
    let mut bench = Bench::new();
    bench.record(unary(FIRST, Outcome::Ok));
    assert_eq!(bench.problems(), [Problem::Lost]);
}

#[test]
fn a_call_that_succeeded_and_was_not_done_is_lost() {
    let mut bench = Bench::new();
    bench.entry(Side::Plugin, FIRST, 0, Begun).record(unary(FIRST, Outcome::Ok));
    assert_eq!(bench.problems(), [Problem::Lost]);
}

#[test]
fn every_part_at_either_end_must_be_there() {
    let nested = Record {
        kind: Kind::Nested,
        direction: Direction::Both,
        parts: 2,
        ..unary(FIRST, Outcome::Ok)
    };
    let levels = [(Side::Plugin, 0), (Side::Host, 1), (Side::Plugin, 2)];
    for missing in 0..=levels.len() {
        let mut bench = Bench::new();
        let there = levels.iter().enumerate().filter(|(at, _)| *at != missing);
        for (_, (side, level)) in there {
            bench.entry(*side, FIRST, *level, Begun).entry(*side, FIRST, *level, Done);
        }
        let expected = if missing < levels.len() { vec![Problem::Lost] } else { vec![] };
        assert_eq!(bench.record(nested).problems(), expected, "level {missing}");
    }
}

#[test]
fn a_callback_must_be_executed_at_both_ends() {
    let mut bench = Bench::new();
    let callback = Record { direction: Direction::ToHost, ..unary(FIRST, Outcome::Ok) };
    assert_eq!(bench.executed(FIRST).record(callback).problems(), [Problem::Lost]);
}

#[test]
fn a_call_that_is_executed_twice_is_doubled() {
    let mut bench = Bench::new();
    bench.executed(FIRST).entry(Side::Plugin, FIRST, 0, Begun);
    assert_eq!(bench.problems(), [Problem::Doubled]);
}

#[test]
fn a_call_that_is_executed_again_after_it_was_settled_is_doubled() {
    let mut bench = Bench::new();
    bench.executed(FIRST).record(unary(FIRST, Outcome::Ok));
    assert_eq!(bench.problems(), []);
    bench.entry(Side::Plugin, FIRST, 0, Begun);
    assert_eq!(bench.problems(), [Problem::Doubled]);
}

#[test]
fn a_call_that_failed_may_begin_late_but_not_twice() {
    let mut bench = Bench::new();
    bench.record(unary(FIRST, Outcome::Open)).entry(Side::Plugin, FIRST, 0, Begun);
    assert_eq!(bench.problems(), []);
    bench.entry(Side::Plugin, FIRST, 0, Begun);
    assert_eq!(bench.problems(), [Problem::Doubled]);
}

#[test]
fn a_call_that_failed_is_forgotten_after_a_while_and_must_not_begin_then() {
    let mut bench = Bench::new();
    bench.record(unary(FIRST, Outcome::Open));
    bench.now += REMEMBERED + Duration::from_secs(1);
    bench.executed(FIRST + 1).record(unary(FIRST + 1, Outcome::Ok));
    assert_eq!(bench.problems(), []);
    bench.entry(Side::Plugin, FIRST, 0, Begun);
    assert_eq!(bench.problems(), [Problem::Doubled]);
}

#[test]
fn a_call_that_was_refused_must_not_begin_before_or_after() {
    for outcome in [Outcome::NotBegun, Outcome::CutByStop] {
        let mut bench = Bench::new();
        bench.entry(Side::Plugin, FIRST, 0, Begun).record(unary(FIRST, outcome));
        assert_eq!(bench.problems(), [Problem::Lost], "before {outcome:?}");
        let mut bench = Bench::new();
        bench.record(unary(FIRST, outcome)).entry(Side::Plugin, FIRST, 0, Begun);
        assert_eq!(bench.problems(), [Problem::Lost], "after {outcome:?}");
    }
}

#[test]
fn calls_of_one_caller_that_are_executed_in_another_order_are_reordered() {
    let mut bench = Bench::new();
    bench.executed(FIRST + 1).executed(FIRST);
    bench.record(unary(FIRST, Outcome::Ok)).record(unary(FIRST + 1, Outcome::Ok));
    assert_eq!(bench.problems(), [Problem::Reordered]);
}

#[test]
fn calls_of_two_callers_have_no_order() {
    let mut bench = Bench::new();
    let other = FIRST + (1 << 40);
    bench.executed(other).executed(FIRST);
    bench.record(unary(FIRST, Outcome::Ok)).record(unary(other, Outcome::Ok));
    assert_eq!(bench.problems_at_the_end(), []);
}

#[test]
fn what_was_executed_and_nobody_called_is_wrong() {
    let mut bench = Bench::new();
    assert_eq!(bench.executed(FIRST).problems(), []);
    assert_eq!(bench.problems_at_the_end(), [Problem::Wrong]);
}

#[test]
fn what_a_handler_found_wrong_is_wrong() {
    let mut bench = Bench::new();
    bench.entry(Side::Plugin, FIRST, 0, Event::Wrong);
    assert_eq!(bench.problems(), [Problem::Wrong]);
}

#[test]
fn counters_tell_what_was_added_from_what_may_have_been() {
    let mut bench = Bench::new();
    let counts = [Event::Counting, Event::Counted, Event::Counting, Event::NotCounted];
    for event in counts.into_iter().chain([Event::Counting]) {
        bench.entry(Side::Plugin, FIRST, 7, event);
    }
    let expected = BTreeMap::from([(7, Counted { surely: 1, perhaps: 1 })]);
    assert_eq!(bench.audit.finish(), expected);
}
