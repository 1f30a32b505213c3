//! Hosts that die, and plugins without a host.

use std::process::Stdio;

use rustix::process::Signal;
use tokio::io::AsyncBufReadExt;
use tokio::io::BufReader;
use tokio::io::Lines;
use tokio::process::Child;
use tokio::process::ChildStdout;

use crate::bin;
use crate::harness::eventually;
use crate::harness::is_running;
use crate::harness::kill;
use crate::harness::within;

/// A host in a process of its own.
struct HostProcess {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl HostProcess {
    fn start(kind: &str) -> Self {
        let mut command = bin::by_hand(&format!("host:{kind}"));
        let mut child = command.stdout(Stdio::piped()).spawn().expect("a process");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, lines }
    }

    /// Waits for a line that begins so; the rest of it.
    async fn line(&mut self, start: &str) -> String {
        loop {
            let line = within(self.lines.next_line()).await.expect("UTF-8");
            let line = line.unwrap_or_else(|| panic!("the host ended without {start:?}"));
            if let Some(rest) = line.strip_prefix(start) {
                return rest.to_owned();
            }
        }
    }

    async fn plugin(&mut self) -> u32 {
        self.line("plugin ").await.parse().expect("a process id")
    }

    async fn kill(mut self) {
        kill(self.child.id().expect("it runs"), Signal::KILL);
        within(self.child.wait()).await.expect("it has ended");
    }
}

async fn assert_ends(plugin: u32) {
    eventually("the orphan has ended", || (!is_running(plugin)).then_some(())).await;
}

#[tokio::test]
async fn kill_9_of_the_host_ends_its_plugin() {
    let mut host = HostProcess::start("waits");
    let plugin = host.plugin().await;
    assert!(is_running(plugin));
    host.kill().await;
    assert_ends(plugin).await;
}

#[tokio::test]
async fn kill_9_of_the_host_ends_its_plugin_also_when_its_runtime_is_blocked() {
    let mut host = HostProcess::start("blocks-its-plugin");
    let plugin = host.plugin().await;
    assert!(is_running(plugin));
    host.kill().await;
    assert_ends(plugin).await;
}

#[tokio::test]
async fn the_durable_store_outlives_kill_9_of_plugin_and_host() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("state.redb");
    let mut host = HostProcess::start(&format!("put {}", file.display()));
    let plugin = host.plugin().await;
    within(host.child.wait()).await.expect("it kills itself");
    assert_ends(plugin).await;
    let mut host = HostProcess::start(&format!("get {}", file.display()));
    assert_eq!(host.line("got ").await, "Some(\"kept\")");
    let plugin = host.plugin().await;
    within(host.child.wait()).await.expect("it kills itself");
    assert_ends(plugin).await;
}

#[tokio::test]
async fn a_plugin_that_is_started_by_hand_says_what_it_is() {
    let output = within(bin::by_hand("good").output()).await.expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    let expected = "good 1.0: it is a plugin, which its application starts: it cannot be run by itself\n  \
                    because: no host has started it\n";
    assert!(said.ends_with(expected), "{said}");
}
