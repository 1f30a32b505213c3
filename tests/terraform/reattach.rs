//! Providers that run already, as in a debugger.

use std::io::BufRead;
use std::io::BufReader;
use std::path::Path;
use std::process::Child;
use std::process::ChildStdout;
use std::process::Command;
use std::process::Stdio;

use rustix::process::Signal;

use crate::cli::Cli;
use crate::peers::Provider;
use crate::programs;
use crate::support::system::is_running;
use crate::support::system::kill;

/// A provider in debug mode.
struct Debugged {
    child: Child,
    /// Go's programs die of output that nobody can read.
    _stdout: BufReader<ChildStdout>,
    /// What it says to whoever wants to connect.
    reattach: String,
}

impl Debugged {
    fn start(program: &Path, flag: &str) -> Self {
        let mut command = Command::new(program);
        let mut child = command.arg(flag).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("its output"));
        let mut lines = (&mut stdout).lines().map(|line| line.expect("text"));
        let line = lines.find(|line| line.contains("TF_REATTACH_PROVIDERS="));
        let line = line.expect("what to connect to");
        let (_, json) = line.split_once('\'').expect("a quoted value");
        let reattach = json.trim_end_matches('\'').to_owned();
        Self { child, _stdout: stdout, reattach }
    }
}

impl Drop for Debugged {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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
        let output = command.env("TF_REATTACH_PROVIDERS", &debugged.reattach).output();
        let said = programs::Said::from(output.expect("it can be run")).ok();
        assert!(said.contains(&format!("{}_", provider.name())), "{said}");

        let cli = Cli::with(&["--reattach", &debugged.reattach]);
        let said = cli.run(&["schema"]).ok();
        assert!(said.contains(&format!("{}_", provider.name())), "{said}");
        assert!(is_running(debugged.child.id()), "it is left alone");
    }
}

#[test]
fn a_resource_of_a_provider_in_debug_mode_is_made_and_destroyed() {
    let Some(program) = Provider::Random.program() else { return };
    let debugged = Debugged::start(&program, "-debug");
    let cli = Cli::with(&["--reattach", &debugged.reattach]);
    let make = ["apply", "random_id", "--state", "state", "--auto-approve"];
    cli.run(&[&make[..], &["--set", "byte_length=4"]].concat()).ok();
    cli.run(&["destroy", "random_id", "--state", "state", "--auto-approve"]).ok();
}

#[test]
fn our_provider_in_debug_mode_is_driven_by_our_program() {
    let debugged = Debugged::start(&programs::notebook(), "--debug");
    let cli = Cli::with(&["--reattach", &debugged.reattach]);
    let said = cli.run(&["call", "slug", "Crème brûlée"]).ok();
    assert_eq!(said.trim(), "\"creme-brulee\"");
    assert!(is_running(debugged.child.id()));
}

#[test]
fn a_provider_that_is_gone_is_told_as_such() {
    let Some(program) = Provider::Random.program() else { return };
    let mut debugged = Debugged::start(&program, "-debug");
    kill(debugged.child.id(), Signal::KILL);
    debugged.child.wait().expect("it was killed");
    let said = Cli::with(&["--reattach", &debugged.reattach]).run(&["schema"]);
    assert_eq!(said.code, Some(1), "{said:#?}");
    assert!(said.stderr.contains("Error: "), "{said:#?}");
}
