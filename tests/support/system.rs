//! Looking at the system: processes, descriptors, threads, and patience.

use std::env;
use std::fs;
use std::process::Command;
use std::time::Duration;

use rustix::process::Pid;
use rustix::process::Signal;

/// How long anything may take on a machine that is busy.
pub const LONG: Duration = Duration::from_secs(60);

/// The future's output, which must not take for ever.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, future).await.expect("it should not take so long")
}

/// Waits until the probe finds something.
pub async fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = probe() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let found = tokio::time::timeout(LONG, found).await;
    found.unwrap_or_else(|_| panic!("waited in vain until {what}"))
}

/// Asks until the answer is yes.
pub async fn until(what: &str, mut probe: impl AsyncFnMut() -> bool) {
    let asking = async { while !probe().await {} };
    let yes = tokio::time::timeout(LONG, asking).await;
    yes.unwrap_or_else(|_| panic!("asked in vain whether {what}"));
}

/// Whether a process runs: it is there, and no zombie.
pub fn is_running(pid: u32) -> bool {
    !matches!(state(pid), Some('Z' | 'X') | None)
}

/// What a process does: `T` is stopped, `Z` is a zombie. `None` is that it is gone.
pub fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before the state may hold anything, so from the back.
    stat.rsplit(')').next()?.trim().chars().next()
}

/// Nothing is left of a plugin that has ended, no zombie either.
pub fn assert_no_process(pid: u32) {
    assert!(!fs::exists(format!("/proc/{pid}")).expect("/proc"), "process {pid} is left");
}

pub fn kill(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid as i32).expect("a process id");
    rustix::process::kill_process(pid, signal).expect("a process to signal");
}

/// Open descriptors of this process.
pub fn descriptors() -> usize {
    // One is the folder's own.
    fs::read_dir("/proc/self/fd").expect("/proc").count() - 1
}

/// Threads of this process whose name begins so.
pub fn threads(name: &str) -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("/proc");
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|comm| comm.starts_with(name)).count()
}

/// Children of this process that have ended and that nobody has waited for, and
/// those that run.
pub fn children() -> Vec<u32> {
    children_of(std::process::id())
}

/// The same, of another process.
pub fn children_of(parent: u32) -> Vec<u32> {
    let this = format!(" {parent} ");
    let processes = fs::read_dir("/proc").expect("/proc");
    let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_child = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // After the name: the state and the parent.
        stat.rsplit(')')
            .next()
            .is_some_and(|rest| rest.get(2..).is_some_and(|it| it.starts_with(&this)))
    };
    numbers.filter(is_child).collect()
}

/// Runs a test in a process of its own, so that what it counts is nobody else's.
/// Gives its full name.
pub fn alone(name: &str, test: impl Future<Output = ()>) {
    const ALONE: &str = "TEST_ALONE";
    if env::var(ALONE).is_ok_and(|alone| alone == name) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        return runtime.expect("a runtime").block_on(test);
    }
    let mut command = Command::new(env::current_exe().expect("the path of this test program"));
    command.args(["--exact", name, "--nocapture", "--test-threads=2"]).env(ALONE, name);
    let output = command.output().expect("this program starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    let passed = output.status.success() && said.contains("1 passed");
    assert!(passed, "{name}: {}\n{said}{complaint}", output.status);
}
