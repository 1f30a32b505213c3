//! The host in Go, `tests/peers/go/gohost`: one run is one scenario.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use crate::bin;
use crate::peers::Peers;
use crate::rust_host::Mode;
use crate::scenarios::Outcome;
use crate::support::system::within;

/// One run of it.
pub struct GoHost {
    command: Command,
}

impl GoHost {
    /// With our plugin of this name.
    pub fn new(peers: &Peers, program: &str, mode: Mode, scenario: &str) -> Self {
        let mut command = Command::new(&peers.host);
        command.args(["-plugin", bin::SHELL, "-scenario", scenario]);
        if mode.mtls {
            command.arg("-mtls");
        }
        if mode.mux {
            command.arg("-mux");
        }
        command.env(bin::PROGRAM, program).stdin(Stdio::null()).kill_on_drop(true);
        Self { command }
    }

    /// With an option of its own.
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.command.args([name, value]);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<Path>) -> Self {
        self.command.env(name, value.as_ref());
        self
    }

    /// What it saw, if the scenario held.
    pub async fn run(mut self) -> Outcome<Value> {
        self.command.arg("--").args(bin::arguments());
        let output = within(self.command.output()).await?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().into());
        }
        let result: Value = serde_json::from_slice(&output.stdout)?;
        Ok(result["details"].clone())
    }
}
