//! A provider that dies in the middle of its work: what the real tool says, and what ours
//! does.

use std::path::Path;

use rustix::process::Signal;

use crate::cli::Cli;
use crate::interrupts::creating;
use crate::peers::Provider;
use crate::running::Running;
use crate::running::Said;
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
        let mut theirs = Running::start(apply);
        theirs.prints("time_sleep.example: Creating...");
        kill(theirs.provider(), Signal::KILL);
        let theirs = theirs.end();

        let Some(cli) = Cli::new(provider) else { return };
        let (mut ours, provider) = creating(&cli);
        kill(provider, Signal::KILL);
        let ours = ours.end();

        assert_eq!(summary(&theirs), "Error: Plugin did not respond");
        assert_eq!(summary(&ours), summary(&theirs), "{ours:#?}");
        assert_eq!((ours.code, theirs.code), (Some(1), Some(1)));
        for said in [&ours, &theirs] {
            assert!(said.stderr.contains("ApplyResourceChange"), "{said:#?}");
        }
        // Theirs names it in version 5 only.
        assert!(ours.stderr.contains("with time_sleep.example"), "{ours:#?}");
        assert!(ours.stderr.contains("SIGKILL"), "it says how the provider ended: {ours:#?}");
        assert!(!cli.path("state").exists(), "nothing was made");
    }
}
