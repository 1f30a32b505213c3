//! What a pair of processes reports: named figures, and notes for the reader.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::json;

use crate::Failure;
use crate::proto;

/// What one pair measured, or what one round has of a system.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub metrics: BTreeMap<String, f64>,
    pub notes: Vec<String>,
}

impl Figures {
    pub fn set(&mut self, metric: impl Into<String>, value: f64) {
        self.metrics.insert(metric.into(), value);
    }

    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// The line that a parent prints.
    pub fn to_line(&self) -> String {
        json!({ "metrics": self.metrics, "notes": self.notes }).to_string()
    }

    /// From what a parent has printed: its last line.
    pub fn from_output(output: &str) -> Result<Self, Failure> {
        let line = output.trim().lines().last().ok_or("it printed nothing")?;
        let value: Value = serde_json::from_str(line)?;
        let metrics = value["metrics"].as_object().ok_or("it printed no metrics")?;
        let metrics =
            metrics.iter().filter_map(|(name, value)| Some((name.clone(), value.as_f64()?)));
        let notes = value["notes"].as_array().into_iter().flatten();
        let notes = notes.filter_map(|note| note.as_str().map(str::to_owned));
        Ok(Self { metrics: metrics.collect(), notes: notes.collect() })
    }

    pub fn add(&mut self, other: Self) {
        self.metrics.extend(other.metrics);
        self.notes.extend(other.notes);
    }
}

impl From<Figures> for proto::Figures {
    fn from(figures: Figures) -> Self {
        let metrics = figures.metrics.into_iter().collect();
        Self { metrics, notes: figures.notes, failure: String::new() }
    }
}

impl TryFrom<proto::Figures> for Figures {
    type Error = Failure;

    fn try_from(figures: proto::Figures) -> Result<Self, Failure> {
        if figures.failure.is_empty() {
            let metrics = figures.metrics.into_iter().collect();
            Ok(Self { metrics, notes: figures.notes })
        } else {
            Err(format!("the child says: {}", figures.failure).into())
        }
    }
}
