//! A provider that dies in the middle of its work: what the real tool says, and what ours
//! does.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use rustix::process::Signal;

use crate::cli::Cli;
use crate::peers::Provider;
use crate::programs::Said;
use crate::support::system::children_of;
use crate::support::system::is_running;
use crate::support::system::kill;
use crate::tofu::Tofu;

const CONFIGURATION: &str = r#"
terraform {
  required_providers {
    time = { source = "hashicorp/time" }
  }
}

resource "time_sleep" "example" {
  create_duration = "1h"
}
"#;

/// Runs until a line of its output says so much, does something to the provider, and waits
/// for the end.
fn interrupted(mut command: Command, line: &str, strike: impl Fn(&Child, u32)) -> (Said, u32) {
    let mut running =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it can be run");
    let mut output = BufReader::new(running.stdout.take().expect("its output"));
    let mut stdout = String::new();
    while !stdout.lines().last().unwrap_or_default().contains(line) {
        assert_ne!(output.read_line(&mut stdout).expect("text"), 0, "it ended early: {stdout}");
    }
    let provider = *children_of(running.id()).last().expect("a provider");
    strike(&running, provider);
    output.read_to_string(&mut stdout).expect("text");
    let said = Said::from(running.wait_with_output().expect("it ends"));
    (Said { stdout, ..said }, provider)
}

fn kill_provider(_: &Child, provider: u32) {
    kill(provider, Signal::KILL);
}

/// The diagnostic's first line, without what frames it.
fn summary(said: &Said) -> String {
    let line = said.stderr.lines().map(|line| line.trim_start_matches(['│', ' ']));
    line.skip_while(|line| !line.starts_with("Error: ")).take(1).collect()
}

#[test]
fn a_provider_that_is_killed_in_the_middle_of_an_apply_gives_the_diagnostic_of_the_real_tool() {
    for provider in [Provider::Time, Provider::Time6] {
        let Some(program) = provider.program() else { return };
        let mirror = [("registry.opentofu.org/hashicorp/time", "0.14.2", Path::new(&program))];
        let Some(tofu) = Tofu::new(CONFIGURATION, &mirror) else { return };
        tofu.run(&["init"]).ok();
        let apply = tofu.command(&["apply", "-auto-approve"]);
        let (theirs, _) = interrupted(apply, "time_sleep.example: Creating...", kill_provider);

        let Some(cli) = Cli::new(provider) else { return };
        let apply = ["apply", "time_sleep", "--state", "state", "--auto-approve"];
        let apply = cli.command(&[&apply[..], &["--set", "create_duration=1h"]].concat());
        let (ours, provider) = interrupted(apply, "time_sleep.example: Creating...", kill_provider);

        assert_eq!(summary(&theirs), "Error: Plugin did not respond");
        assert_eq!(summary(&ours), summary(&theirs), "{ours:#?}");
        assert_eq!((ours.code, theirs.code), (Some(1), Some(1)));
        for said in [&ours, &theirs] {
            assert!(said.stderr.contains("ApplyResourceChange"), "{said:#?}");
        }
        // Theirs names it in version 5 only.
        assert!(ours.stderr.contains("with time_sleep.example"), "{ours:#?}");
        assert!(ours.stderr.contains("SIGKILL"), "it says how the provider ended: {ours:#?}");
        assert!(!is_running(provider));
        assert!(!cli.path("state").exists(), "nothing was made");
    }
}

#[test]
fn an_interrupt_in_the_middle_of_an_apply_stops_the_provider_and_leaves_no_process() {
    let Some(cli) = Cli::new(Provider::Time) else { return };
    let apply = ["apply", "time_sleep", "--state", "state", "--auto-approve"];
    let apply = cli.command(&[&apply[..], &["--set", "create_duration=1h"]].concat());
    let interrupt = |running: &Child, _| kill(running.id(), Signal::INT);
    let (said, provider) = interrupted(apply, "time_sleep.example: Creating...", interrupt);
    assert_eq!(said.code, Some(130), "{said:#?}");
    assert!(!is_running(provider));
}
