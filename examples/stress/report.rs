//! The summary, for people and as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::leaks;
use crate::plan::Kind;
use crate::stage::Stage;
use crate::tally::Calls;

/// Percentiles that are shown.
const PERCENTILES: [(&str, f64); 5] =
    [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9), ("max", 100.0)];

/// What came out. Takes the counts out of the stage.
pub struct Report {
    took: Duration,
    seed: u64,
    calls: BTreeMap<Kind, Calls>,
    events: BTreeMap<&'static str, u64>,
    problems: BTreeMap<String, u64>,
    /// Now and at most, in MiB.
    memory: (u64, u64),
    interrupted: bool,
}

impl Report {
    pub fn new(stage: &Stage, took: Duration, interrupted: bool) -> Self {
        let problems = stage.tally.problems.lock().expect("no panic");
        Self {
            took,
            seed: stage.seed,
            calls: stage.tally.take_calls(),
            events: stage.tally.events.lock().expect("no panic").clone(),
            problems: problems
                .iter()
                .map(|(problem, count)| (format!("{problem:?}"), *count))
                .collect(),
            memory: leaks::memory(),
            interrupted,
        }
    }

    fn finished(&self) -> u64 {
        let of = |calls: &Calls| calls.ok + calls.cancelled + calls.failed.values().sum::<u64>();
        self.calls.values().map(of).sum()
    }

    fn rate(&self) -> f64 {
        self.finished() as f64 / self.took.as_secs_f64()
    }

    pub fn print(&self) {
        println!(
            "{:<9} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "calls", "ok", "cut", "failed", "p50 ms", "p90", "p99", "p99.9", "max"
        );
        for (kind, calls) in &self.calls {
            let failed: u64 = calls.failed.values().sum();
            print!("{:<9} {:>10} {:>9} {:>9}", kind.name(), calls.ok, calls.cancelled, failed);
            for (_, percentile) in PERCENTILES {
                let micros = calls.latency.value_at_percentile(percentile);
                print!(" {:>9.3}", micros as f64 / 1000.0);
            }
            println!();
        }
        println!("\nfailures, each explained by a fault unless it says otherwise");
        for (reason, count) in self.reasons() {
            println!("{count:>10}  {reason}");
        }
        println!("\nevents");
        for (event, count) in &self.events {
            println!("{count:>10}  {event}");
        }
        println!(
            "\nseed {}, {:.1} s, {} calls, {:.0} calls/s; memory {} MiB, at most {} MiB",
            self.seed,
            self.took.as_secs_f64(),
            self.finished(),
            self.rate(),
            self.memory.0,
            self.memory.1
        );
        let end = if self.interrupted { " (interrupted)" } else { "" };
        if self.problems.is_empty() {
            println!("nothing lost, doubled, reordered, wrong, hung or left over{end}");
        } else {
            println!("PROBLEMS{end}: {:?}", self.problems);
        }
    }

    fn reasons(&self) -> BTreeMap<&str, u64> {
        let mut reasons = BTreeMap::new();
        for calls in self.calls.values() {
            for (reason, count) in &calls.failed {
                *reasons.entry(reason.as_str()).or_default() += count;
            }
        }
        reasons
    }

    pub fn json(&self) -> Value {
        let calls: BTreeMap<_, _> = self
            .calls
            .iter()
            .map(|(kind, calls)| {
                let latency: BTreeMap<_, _> = PERCENTILES
                    .iter()
                    .map(|(name, p)| (*name, calls.latency.value_at_percentile(*p)))
                    .collect();
                let value = json!({
                    "ok": calls.ok,
                    "cut": calls.cancelled,
                    "failed": calls.failed,
                    "latency_us": latency,
                });
                (kind.name(), value)
            })
            .collect();
        json!({
            "seed": self.seed,
            "seconds": self.took.as_secs_f64(),
            "finished": self.finished(),
            "calls_per_second": self.rate(),
            "calls": calls,
            "events": self.events,
            "problems": self.problems,
            "memory_mib": { "now": self.memory.0, "most": self.memory.1 },
            "interrupted": self.interrupted,
        })
    }
}
