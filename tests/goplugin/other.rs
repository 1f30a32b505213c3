//! A program of these tests in a process of its own.

use std::process::Stdio;

use rustix::process::Signal;
use tokio::io::AsyncBufReadExt;
use tokio::io::BufReader;
use tokio::io::Lines;
use tokio::process::Child;
use tokio::process::ChildStdout;
use tokio::process::Command;
use trunkline::goplugin::Reattach;

use crate::bin;
use crate::rust_host::Mode;
use crate::support::system::kill;
use crate::support::system::within;

/// It says things in lines.
pub struct Other {
    pub child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Other {
    pub fn start(program: &str) -> Self {
        let mut command = Command::from(bin::by_hand(program));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.kill_on_drop(true).spawn().expect("a process");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, lines }
    }

    pub fn host(mode: Mode, program: &str) -> Self {
        Self::start(&format!("host:{} {program}", mode.name.replace(' ', "")))
    }

    /// Waits for a line that begins so; the rest of it.
    pub async fn line(&mut self, start: &str) -> String {
        loop {
            let line = within(self.lines.next_line()).await.expect("UTF-8");
            let line = line.unwrap_or_else(|| panic!("it ended without {start:?}"));
            if let Some(rest) = line.strip_prefix(start) {
                return rest.to_owned();
            }
        }
    }

    pub async fn plugin(&mut self) -> u32 {
        self.line("plugin ").await.parse().expect("a process id")
    }

    pub async fn reattach(&mut self) -> Reattach {
        serde_json::from_str(&self.line("reattach ").await).expect("as Terraform has it")
    }

    pub async fn kill(mut self) {
        kill(self.child.id().expect("it runs"), Signal::KILL);
        within(self.child.wait()).await.expect("it has ended");
    }
}
