//! Providers that run already, as in a debugger.

use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::json;

use crate::cli::Cli;
use crate::peers::Provider;
use crate::programs;
use crate::running;
use crate::running::Running;
use crate::support::system::is_running;

/// A provider in debug mode.
struct Debugged {
    running: Running,
    /// What it says to whoever wants to connect.
    reattach: String,
}

impl Debugged {
    fn start(program: &Path, flag: &str) -> Self {
        let mut command = Command::new(program);
        command.arg(flag).stdin(Stdio::null());
        let mut running = Running::start(command);
        let line = running.prints("TF_REATTACH_PROVIDERS=");
        let (_, json) = line.split_once('\'').expect("a quoted value");
        let reattach = json.trim_end_matches('\'').to_owned();
        Self { running, reattach }
    }

    fn is_running(&self) -> bool {
        is_running(self.running.id())
    }
}

#[test]
fn a_provider_in_debug_mode_is_driven_and_goes_on_afterwards() {
    for provider in [Provider::Random, Provider::Random6, Provider::Time] {
        let Some(program) = provider.program() else { return };
        let debugged = Debugged::start(&program, "-debug");
        let address = format!("hashicorp/{}", provider.name());
        // The variable that Terraform knows, and the option.
        let cli = Cli::with(&["--address", &address]);
        let mut command = cli.command(&["schema"]);
        command.env("TF_REATTACH_PROVIDERS", &debugged.reattach);
        let said = running::run(command).ok();
        assert!(said.contains(&format!("{}_", provider.name())), "{said}");
        assert!(debugged.is_running(), "it is left alone");

        let cli = Cli::with(&["--reattach", &debugged.reattach]);
        let said = cli.run(&["schema"]).ok();
        assert!(said.contains(&format!("{}_", provider.name())), "{said}");
        assert!(debugged.is_running(), "it is left alone");
    }
}

#[test]
fn a_resource_of_a_provider_in_debug_mode_is_made_and_destroyed() {
    let Some(program) = Provider::Random.program() else { return };
    let debugged = Debugged::start(&program, "-debug");
    let cli = Cli::with(&["--reattach", &debugged.reattach]);
    let make = ["apply", "random_id", "--state", "state", "--auto-approve"];
    cli.run(&[&make[..], &["--set", "byte_length=4"]].concat()).ok();
    let hex = cli.state("state")["attributes"]["hex"].clone();
    assert_eq!(hex.as_str().map(str::len), Some(8), "{hex}");
    cli.run(&["destroy", "random_id", "--state", "state", "--auto-approve"]).ok();
    assert!(!cli.path("state").exists());
    assert!(debugged.is_running(), "it is left alone");
}

#[test]
fn our_provider_in_debug_mode_is_driven_by_our_program() {
    let debugged = Debugged::start(&programs::notebook(), "--debug");
    let cli = Cli::with(&["--reattach", &debugged.reattach]);
    let (code, answer) = cli.json(&["call", "slug", "Crème brûlée"]);
    assert_eq!((code, &answer["result"]), (Some(0), &json!("creme-brulee")));
    assert!(debugged.is_running(), "it is left alone");
}

#[test]
fn a_provider_that_is_gone_is_told_as_such() {
    let Some(program) = Provider::Random.program() else { return };
    let mut debugged = Debugged::start(&program, "-debug");
    debugged.running.signal(Signal::KILL);
    assert_eq!(debugged.running.end().code, None);
    let said = Cli::with(&["--reattach", &debugged.reattach]).run(&["schema"]);
    assert_eq!(said.code, Some(1), "{said:#?}");
    assert!(said.stderr.contains("Error: Failed to start the provider"), "{said:#?}");
}
