//! Latencies: how long each of many calls took, one after the other.

use std::time::Duration;

use crate::Failure;
use crate::clock;
use crate::figures::Figures;

/// How long things took, in nanoseconds, in no order.
#[derive(Debug, Default)]
pub struct Latencies(Vec<u64>);

/// When a series of calls is over.
#[derive(Clone, Copy, Debug)]
pub struct Until(u64);

impl Until {
    /// So long from now.
    pub fn after(time: Duration) -> Self {
        Self(clock::now() + time.as_nanos() as u64)
    }

    pub fn is_over(self) -> bool {
        clock::now() >= self.0
    }
}

impl Latencies {
    pub fn push(&mut self, nanoseconds: u64) {
        self.0.push(nanoseconds);
    }

    /// The value that this part of all (0 to 1) does not exceed, in microseconds.
    pub fn percentile(&mut self, part: f64) -> Result<f64, Failure> {
        self.0.sort_unstable();
        let last = self.0.len().checked_sub(1).ok_or("nothing was measured")?;
        let rank = (part * self.0.len() as f64).ceil() as usize;
        Ok(self.0[rank.saturating_sub(1).min(last)] as f64 / 1000.0)
    }

    /// Sets `<name>_p50` and `<name>_p99`.
    pub fn record(&mut self, figures: &mut Figures, name: &str) -> Result<(), Failure> {
        figures.set(format!("{name}_p50"), self.percentile(0.50)?);
        figures.set(format!("{name}_p99"), self.percentile(0.99)?);
        Ok(())
    }
}
