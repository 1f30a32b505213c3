//! What a process occupies.

use std::fs;

use crate::clock;
use crate::proto::Resources;

/// Of this process. Memory and descriptors are 0 where there is no `/proc`; whoever
/// reads them leaves the metric out.
pub fn of_this_process() -> Resources {
    Resources {
        cpu_nanoseconds: clock::cpu(),
        resident_kib: resident_kib().unwrap_or(0),
        descriptors: descriptors().unwrap_or(0),
    }
}

/// Exact, unlike the figure in `status`, which lags behind by some pages of each thread.
fn resident_kib() -> Option<u64> {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

fn descriptors() -> Option<u64> {
    // One is the folder's own.
    Some(fs::read_dir("/proc/self/fd").ok()?.count() as u64 - 1)
}
