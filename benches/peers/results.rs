//! What came out of all rounds.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::json;

use crate::figures::Figures;
use crate::machine;
use crate::system::System;
use crate::targets;

/// What one round has of each system.
pub type Round = BTreeMap<System, Figures>;

#[derive(Debug, Default)]
pub struct Results {
    pub rounds: Vec<Round>,
    /// Systems that cannot be run here, with the reason.
    pub left_out: BTreeMap<System, String>,
    /// Systems that did not get through, with the reason.
    pub failed: BTreeMap<System, String>,
    /// What other programs used of the processors in each round, from 0 to 1.
    pub others: Vec<f64>,
    pub quick: bool,
}

/// The middle of what the rounds say, and the least and the most.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    /// `None` of no values. The median of an even number is between the two in the
    /// middle.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let below = if values.len().is_multiple_of(2) { middle - 1 } else { middle };
        Some(Self { median: (values[below] + values[middle]) / 2.0, least, most })
    }
}

impl Results {
    /// Of one metric of one system, over the rounds.
    pub fn spread(&self, system: System, metric: &str) -> Option<Spread> {
        let of = |round: &Round| round.get(&system)?.metrics.get(metric).copied();
        Spread::of(self.rounds.iter().filter_map(of).collect())
    }

    /// Systems that have any figure.
    pub fn systems(&self) -> Vec<System> {
        let mut systems: Vec<System> = self.rounds.iter().flat_map(Round::keys).copied().collect();
        systems.sort();
        systems.dedup();
        systems
    }

    /// The names of all metrics of a system.
    pub fn metrics(&self, system: System) -> Vec<String> {
        let figures = self.rounds.iter().filter_map(|round| round.get(&system));
        let names = figures.flat_map(|figures| figures.metrics.keys().cloned());
        let mut metrics: Vec<String> = names.collect();
        metrics.sort();
        metrics.dedup();
        metrics
    }

    /// What the reader must know of the figures, each said once.
    pub fn notes(&self) -> Vec<String> {
        let of = |(system, figures): (&System, &Figures)| {
            let name = system.name();
            figures.notes.iter().map(move |note| format!("{name}: {note}")).collect::<Vec<_>>()
        };
        let mut notes: Vec<String> = self.rounds.iter().flatten().flat_map(of).collect();
        notes.sort();
        notes.dedup();
        notes
    }

    pub fn to_json(&self) -> Value {
        let medians = self.by_metric(|spread| json!(spread.median));
        let spreads = self.by_metric(|spread| json!([spread.least, spread.most]));
        let targets: Vec<Value> = targets::all(self).iter().map(targets::Target::to_json).collect();
        let rounds = self.rounds.iter().map(|round| {
            let named = round.iter().map(|(system, figures)| (system.name(), &figures.metrics));
            named.collect::<BTreeMap<_, _>>()
        });
        json!({
            "systems": medians,
            "rounds": self.rounds.len(),
            "quick": self.quick,
            "spread": spreads,
            "each_round": rounds.collect::<Vec<_>>(),
            "targets": targets,
            "left_out": named(&self.left_out),
            "failed": named(&self.failed),
            "notes": self.notes(),
            "others_share_of_cpu": self.others,
            "machine": machine::describe().into_iter().collect::<BTreeMap<_, _>>(),
        })
    }

    fn by_metric(&self, value: impl Fn(Spread) -> Value) -> BTreeMap<&'static str, Value> {
        let of = |system: System| {
            let metrics = self.metrics(system).into_iter();
            let values = metrics.filter_map(|metric| {
                let spread = self.spread(system, &metric)?;
                Some((metric, value(spread)))
            });
            (system.name(), Value::Object(values.collect()))
        };
        self.systems().into_iter().map(of).collect()
    }
}

fn named(reasons: &BTreeMap<System, String>) -> BTreeMap<&'static str, &String> {
    reasons.iter().map(|(system, reason)| (system.name(), reason)).collect()
}
