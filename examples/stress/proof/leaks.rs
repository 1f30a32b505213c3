//! What the system knows of this process: what must be as it was at the end.

use std::fs;

/// What a process holds. Where there is no `/proc` all are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holdings {
    pub tasks: usize,
    pub threads: usize,
    pub children: usize,
    pub descriptors: usize,
}

pub fn holdings() -> Holdings {
    Holdings {
        tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        threads: keepers(),
        children: children(),
        descriptors: descriptors(),
    }
}

/// Open file descriptors.
pub fn descriptors() -> usize {
    count("/proc/self/fd")
}

/// Threads of the library; those of the runtime come and go.
fn keepers() -> usize {
    let names = each_thread("comm");
    names.iter().filter(|name| name.starts_with("trunkline")).count()
}

fn children() -> usize {
    let lists = each_thread("children");
    lists.iter().map(|list| list.split_whitespace().count()).sum()
}

/// The resident memory now and at most, in MiB.
pub fn memory() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        number.unwrap_or(0) / 1024
    };
    (field("VmRSS:"), field("VmHWM:"))
}

fn each_thread(file: &str) -> Vec<String> {
    let Ok(threads) = fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    let files = threads.filter_map(|thread| Some(thread.ok()?.path().join(file)));
    files.filter_map(|file| fs::read_to_string(file).ok()).collect()
}

fn count(directory: &str) -> usize {
    fs::read_dir(directory).map_or(0, Iterator::count)
}
