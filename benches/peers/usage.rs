//! What a process occupies.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;

use parking_lot::Mutex;
use rustix::fs::Dir;
use rustix::process::Resource;
use rustix::process::getrlimit;
use rustix::process::setrlimit;

use crate::clock;
use crate::proto::Resources;

/// Lets this process have as many descriptors as it may. What Go programs do by themselves.
pub fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Without it, fewer connections can be held: the figure says how many there were.
    let _ = setrlimit(Resource::Nofile, limit);
}

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
/// The file stays open: when descriptors have run out it can still be read.
fn resident_kib() -> Option<u64> {
    static ROLLUP: LazyLock<Option<File>> =
        LazyLock::new(|| File::open("/proc/self/smaps_rollup").ok());
    let mut rollup = [0; 4096];
    let length = ROLLUP.as_ref()?.read_at(&mut rollup, 0).ok()?;
    let rollup = str::from_utf8(&rollup[..length]).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// The folder stays open, for the same reason.
fn descriptors() -> Option<u64> {
    static FOLDER: LazyLock<Option<Mutex<Dir>>> = LazyLock::new(|| {
        let folder = File::open("/proc/self/fd").ok()?;
        Some(Mutex::new(Dir::new(folder).ok()?))
    });
    let mut folder = FOLDER.as_ref()?.lock();
    folder.rewind();
    // Two are the folder itself and the one above it.
    let entries = folder.by_ref().filter(Result::is_ok).count() as u64;
    entries.checked_sub(2)
}
