//! What is counted: calls by kind and outcome, faults, and problems.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::plan::Kind;

/// What must not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem {
    Lost,
    Doubled,
    Reordered,
    Wrong,
    Hung,
    Unexplained,
    Leaked,
    Process,
}

/// Problems that are printed; the rest is only counted.
const PRINTED: u64 = 100;

/// The calls of one kind.
#[derive(Debug)]
pub struct Calls {
    pub ok: u64,
    pub cancelled: u64,
    pub failed: BTreeMap<String, u64>,
    /// Of those that succeeded, in microseconds.
    pub latency: Histogram<u64>,
}

impl Default for Calls {
    fn default() -> Self {
        let latency = Histogram::new_with_bounds(1, 600_000_000, 3);
        Self {
            ok: 0,
            cancelled: 0,
            failed: BTreeMap::new(),
            latency: latency.expect("the bounds are right"),
        }
    }
}

#[derive(Debug, Default)]
pub struct Tally {
    calls: Mutex<BTreeMap<Kind, Calls>>,
    /// By name: launches, kills, and so on.
    pub events: Mutex<BTreeMap<&'static str, u64>>,
    pub problems: Mutex<BTreeMap<Problem, u64>>,
    pub finished: AtomicU64,
}

impl Tally {
    pub fn ok(&self, kind: Kind, took: Duration) {
        self.with(kind, |calls| {
            calls.ok += 1;
            calls.latency.saturating_record(took.as_micros() as u64);
        });
    }

    pub fn cancelled(&self, kind: Kind) {
        self.with(kind, |calls| calls.cancelled += 1);
    }

    pub fn failed(&self, kind: Kind, reason: String) {
        self.with(kind, |calls| *calls.failed.entry(reason).or_default() += 1);
    }

    fn with(&self, kind: Kind, change: impl FnOnce(&mut Calls)) {
        self.finished.fetch_add(1, Ordering::Relaxed);
        let mut calls = self.calls.lock().expect("no panic");
        change(calls.entry(kind).or_default());
    }

    pub fn take_calls(&self) -> BTreeMap<Kind, Calls> {
        std::mem::take(&mut *self.calls.lock().expect("no panic"))
    }

    pub fn event(&self, name: &'static str) {
        self.add(name, 1);
    }

    pub fn add(&self, name: &'static str, count: u64) {
        *self.events.lock().expect("no panic").entry(name).or_default() += count;
    }

    pub fn problem(&self, problem: Problem, what: impl std::fmt::Display) {
        let mut problems = self.problems.lock().expect("no panic");
        let printed: u64 = problems.values().sum();
        *problems.entry(problem).or_default() += 1;
        if printed < PRINTED {
            eprintln!("\n{problem:?}: {what}");
        }
    }

    pub fn is_clean(&self) -> bool {
        self.problems.lock().expect("no panic").is_empty()
    }
}
