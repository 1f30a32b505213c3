//! What came out of a run.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::tally::Counts;
use super::tally::LONGEST;
use super::timeline::Span;
use crate::load;
use crate::options::Options;
use crate::proof::Problem;
use crate::proof::leaks;
use crate::signals::Interrupt;
use crate::stage::Stage;

/// Percentiles that are shown.
pub const PERCENTILES: [(&str, f64); 5] =
    [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9), ("max", 100.0)];

pub struct Summary {
    pub options: Options,
    pub seed: u64,
    /// How long calls were made, with those that were under way at the end.
    pub took: Duration,
    pub counts: Counts,
    /// Of all calls that succeeded, in microseconds.
    pub latency: Histogram<u64>,
    pub schedule: Option<load::Counts>,
    /// Calls that were begun.
    pub begun: u64,
    pub events: BTreeMap<&'static str, u64>,
    pub problems: BTreeMap<Problem, u64>,
    /// Of the host, now and at most, in MiB.
    pub memory: (u64, u64),
    /// What ended the run early.
    pub interrupt: Option<Interrupt>,
}

impl Summary {
    /// Takes the counts out of the stage.
    pub fn new(stage: &Stage, took: Duration, interrupt: Option<Interrupt>) -> Self {
        let counts = stage.tally.take_counts();
        let mut latency = Histogram::new_with_bounds(1, LONGEST, 3).expect("the bounds are right");
        for calls in counts.calls.values() {
            latency.add(&calls.latency).expect("the bounds are the same");
        }
        Self {
            options: stage.options.clone(),
            seed: stage.seed,
            took,
            counts,
            latency,
            schedule: stage.schedule.as_ref().map(|schedule| schedule.counts()),
            begun: stage.tally.calls_begun(),
            events: stage.tally.events(),
            problems: stage.tally.problems(),
            memory: leaks::memory(),
            interrupt,
        }
    }

    /// What happened when.
    pub fn spans(&self) -> impl Iterator<Item = Span<'_>> {
        self.counts.timeline.spans(self.took.as_secs_f64())
    }

    pub fn ok(&self) -> u64 {
        self.counts.calls.values().map(|calls| calls.ok).sum()
    }

    pub fn cut(&self) -> u64 {
        self.counts.calls.values().map(|calls| calls.cut).sum()
    }

    /// By reason.
    pub fn failed(&self) -> BTreeMap<&str, u64> {
        let mut reasons = BTreeMap::new();
        for (reason, count) in self.counts.calls.values().flat_map(|calls| &calls.failed) {
            *reasons.entry(reason.as_str()).or_default() += count;
        }
        reasons
    }

    pub fn finished(&self) -> u64 {
        self.ok() + self.cut() + self.failed().values().sum::<u64>()
    }

    /// Of a count, in a second.
    pub fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.took.as_secs_f64().max(0.001)
    }

    /// Calls that were due by the schedule and never begun.
    pub fn not_begun(&self) -> u64 {
        self.schedule.map_or(0, |schedule| schedule.due.saturating_sub(self.begun))
    }

    /// What was asked for, in a line.
    pub fn setting(&self) -> String {
        let options = &self.options;
        let load = match options.rate {
            Some(rate) => format!("{rate} calls/s due, at most {} in flight", options.callers),
            None => format!("{} callers in a closed loop", options.callers),
        };
        let (least, most) = (options.payload.start(), options.payload.end());
        format!(
            "{} plugins, {} sub-channels each, {load}, payload {least}..{most} B, direction {}, \
             faults {}",
            options.plugins, options.channels, options.direction, options.faults
        )
    }

    /// How many of each, in a line.
    pub fn problems(&self) -> String {
        let one = |(problem, count): (&Problem, &u64)| format!("{count} {}", problem.name());
        self.problems.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    pub fn exit_code(&self) -> ExitCode {
        match self.interrupt {
            _ if !self.problems.is_empty() => ExitCode::FAILURE,
            Some(interrupt) => interrupt.into(),
            None => ExitCode::SUCCESS,
        }
    }
}
