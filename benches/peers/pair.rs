//! A pair of processes that measures one system, as the first process sees it: started in
//! a process group of its own, given so much time, and killed if it needs more.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_current_process_group;
use rustix::process::kill_process_group;
use tokio::process::Command;

use crate::Failure;
use crate::figures::Figures;
use crate::plan::Plan;
use crate::system::System;

/// How much of what a failed parent said is shown, in lines.
const LAST_LINES: usize = 12;

/// Runs the parent of a system, which starts the child.
pub async fn run(
    program: &Path,
    system: System,
    plan: &Plan,
    limit: Duration,
) -> Result<Figures, Failure> {
    // Sockets are made in it, and go with it, also if the pair is killed.
    let folder = tempfile::tempdir()?;
    let mut parent = Command::new(program)
        .env("TMPDIR", folder.path())
        .args(["parent", system.name()])
        .args(plan.arguments())
        // Held for as long as this process lives: see `end_with_the_first_process`.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let lifeline = parent.stdin.take();
    let group = parent.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let mut group = KillOnDrop(group);
    let output = tokio::time::timeout(limit, parent.wait_with_output());
    let output = output.await.map_err(|_| format!("it did not end within {limit:?}"))??;
    group.0 = None;
    drop(lifeline);
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = said.lines().collect();
        let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
        return Err(format!("its parent process ended with {}:\n{last}", output.status).into());
    }
    Figures::from_output(&String::from_utf8_lossy(&output.stdout))
}

/// A process group whose leader has not been waited for, so that nobody else has its
/// number.
struct KillOnDrop(Option<Pid>);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Fails if all of them have ended, which is what is wanted.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// In a parent: kills its process group if the first process dies, however that comes
/// about. Standard input is a pipe that nobody writes to.
pub fn end_with_the_first_process() {
    std::thread::spawn(|| {
        // Ends when the other end of the pipe is closed.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = kill_current_process_group(Signal::KILL);
    });
}
