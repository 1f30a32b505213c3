//! What is counted while it runs: calls by kind and outcome, faults, and problems.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::Instant;
use tokio::time::MissedTickBehavior;

use super::timeline::Timeline;
use crate::calls::Direction;
use crate::calls::Kind;
use crate::calls::Plan;
use crate::console;
use crate::options::Fault;
use crate::proof::Problem;
use crate::stage::Stage;

/// The longest latency that is told apart, in microseconds: an hour.
pub const LONGEST: u64 = 3_600_000_000;

/// Problems that are printed; the rest is only counted.
const PRINTED: u64 = 100;

/// The most calls at once that are told apart.
const MOST: u64 = 100_000_000;

/// How often calls in flight are counted.
const SAMPLE: Duration = Duration::from_millis(50);

/// The calls of one kind.
#[derive(Debug)]
pub struct Calls {
    pub ok: u64,
    pub cut: u64,
    /// By reason.
    pub failed: BTreeMap<String, u64>,
    /// Of those that succeeded, in microseconds.
    pub latency: Histogram<u64>,
}

impl Default for Calls {
    fn default() -> Self {
        Self { ok: 0, cut: 0, failed: BTreeMap::new(), latency: histogram(LONGEST) }
    }
}

fn histogram(most: u64) -> Histogram<u64> {
    Histogram::new_with_bounds(1, most, 3).expect("the bounds are right")
}

/// What is behind one lock.
#[derive(Debug)]
pub struct Counts {
    pub calls: BTreeMap<(Kind, Direction), Calls>,
    pub timeline: Timeline,
    /// Samples of how many calls were in flight.
    pub in_flight: Histogram<u64>,
    /// Samples of how many calls and byte streams were open on all trunks.
    pub streams: Histogram<u64>,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            calls: BTreeMap::new(),
            timeline: Timeline::default(),
            in_flight: histogram(MOST),
            streams: histogram(MOST),
        }
    }
}

#[derive(Debug, Default)]
pub struct Tally {
    start: OnceLock<Instant>,
    /// How long the load lasted.
    took: OnceLock<Duration>,
    counts: Mutex<Counts>,
    /// By name: launches, kills, and so on.
    events: Mutex<BTreeMap<&'static str, u64>>,
    problems: Mutex<BTreeMap<Problem, u64>>,
    begun: AtomicU64,
    finished: AtomicU64,
}

impl Tally {
    /// The load begins.
    pub fn start(&self) {
        self.start.get_or_init(Instant::now);
    }

    /// The load is over. Returns how long it lasted.
    pub fn stop(&self) -> Duration {
        *self.took.get_or_init(|| self.elapsed())
    }

    /// How long ago the load began, or how long it lasted.
    pub fn elapsed(&self) -> Duration {
        let now = || self.start.get().map_or(Duration::ZERO, Instant::elapsed);
        self.took.get().copied().unwrap_or_else(now)
    }

    pub fn begun(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    pub fn ok(&self, plan: &Plan, took: Duration) {
        let micros = took.as_micros() as u64;
        self.finish(|counts, now| {
            let bucket = counts.timeline.at(now);
            bucket.ok += 1;
            bucket.latency.saturating_record(micros);
            let calls = counts.calls_of(plan);
            calls.ok += 1;
            calls.latency.saturating_record(micros);
        });
    }

    pub fn cut(&self, plan: &Plan) {
        self.finish(|counts, now| {
            counts.timeline.at(now).failed += 1;
            counts.calls_of(plan).cut += 1;
        });
    }

    pub fn failed(&self, plan: &Plan, reason: String) {
        self.finish(|counts, now| {
            counts.timeline.at(now).failed += 1;
            *counts.calls_of(plan).failed.entry(reason).or_default() += 1;
        });
    }

    fn finish(&self, change: impl FnOnce(&mut Counts, Duration)) {
        self.finished.fetch_add(1, Ordering::Relaxed);
        let now = self.elapsed();
        change(&mut self.counts.lock().expect("no panic"), now);
    }

    /// A fault was done to a plugin.
    pub fn fault(&self, fault: Fault) {
        let now = self.elapsed();
        let mut counts = self.counts.lock().expect("no panic");
        counts.timeline.at(now).faults[fault as usize] += 1;
    }

    /// So many calls and byte streams are open on all trunks.
    fn sample(&self, streams: u64) {
        if self.start.get().is_none() || self.took.get().is_some() {
            return;
        }
        let (now, in_flight) = (self.elapsed(), self.in_flight());
        let mut counts = self.counts.lock().expect("no panic");
        counts.in_flight.saturating_record(in_flight);
        counts.streams.saturating_record(streams);
        let bucket = counts.timeline.at(now);
        bucket.in_flight = bucket.in_flight.max(in_flight);
        bucket.streams = bucket.streams.max(streams);
    }

    pub fn event(&self, name: &'static str) {
        self.add(name, 1);
    }

    pub fn add(&self, name: &'static str, count: u64) {
        *self.events.lock().expect("no panic").entry(name).or_default() += count;
    }

    pub fn problem(&self, problem: Problem, what: impl Display) {
        let mut problems = self.problems.lock().expect("no panic");
        let printed: u64 = problems.values().sum();
        *problems.entry(problem).or_default() += 1;
        if printed < PRINTED {
            console::note(format!("{}: {what}", problem.name()));
        }
    }

    /// Calls that were begun.
    pub fn calls_begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Calls that are over, well or not.
    pub fn finished(&self) -> u64 {
        self.finished.load(Ordering::Relaxed)
    }

    pub fn in_flight(&self) -> u64 {
        // In this order, so that it is never less than nothing.
        let finished = self.finished();
        self.calls_begun().saturating_sub(finished)
    }

    pub fn events(&self) -> BTreeMap<&'static str, u64> {
        self.events.lock().expect("no panic").clone()
    }

    pub fn problems(&self) -> BTreeMap<Problem, u64> {
        self.problems.lock().expect("no panic").clone()
    }

    /// Takes out all that was counted of calls.
    pub fn take_counts(&self) -> Counts {
        std::mem::take(&mut *self.counts.lock().expect("no panic"))
    }
}

impl Counts {
    fn calls_of(&mut self, plan: &Plan) -> &mut Calls {
        self.calls.entry((plan.shape.kind, plan.direction())).or_default()
    }
}

/// Counts what is in flight, again and again, until it is dropped.
pub async fn sample(stage: Arc<Stage>) {
    let mut ticks = tokio::time::interval(SAMPLE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let runs = stage.slots.iter().filter_map(|slot| slot.now());
        let streams = runs.map(|run| run.end.broker.stats().streams as u64).sum();
        stage.tally.sample(streams);
    }
}
