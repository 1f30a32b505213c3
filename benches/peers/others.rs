//! How much of the processors other programs used meanwhile: what makes figures worse
//! than they are, and different in each round.

use std::fs;

/// Processor time so far, in the kernel's ticks, of all processors.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Of everybody, idle included.
    all: u64,
    /// Of programs and of the kernel.
    busy: u64,
    /// Of this process, and of those below it that have ended.
    own: u64,
}

impl Moment {
    /// `None` where there is no `/proc`.
    pub fn now() -> Option<Self> {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        let processors = numbers(stat.lines().next()?.strip_prefix("cpu")?);
        // Guests, which come after these eight, are in them already.
        let [user, nice, system, idle, wait, irq, soft, steal] = *processors.first_chunk()?;
        let busy = user + nice + system + irq + soft + steal;
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // After the name, which may hold anything: the state is the first of these.
        let this = numbers(stat.rsplit(')').next()?.trim_start_matches([' ', 'R', 'S', 'D']));
        let own = this.get(10..14)?.iter().sum();
        Some(Self { all: busy + idle + wait, busy, own })
    }

    /// The part of the processors that others used since then, from 0 to 1.
    pub fn share_since(self) -> Option<f64> {
        let now = Self::now()?;
        let all = (now.all - self.all) as f64;
        let others = (now.busy - self.busy) as f64 - (now.own - self.own) as f64;
        (all > 0.0).then(|| (others / all).max(0.0))
    }
}

fn numbers(text: &str) -> Vec<u64> {
    // One may be negative, and is none of those that are used.
    text.split_ascii_whitespace().map(|number| number.parse().unwrap_or(0)).collect()
}
