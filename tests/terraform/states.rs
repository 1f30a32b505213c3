//! The file in which a resource is kept: what is refused, and what becomes of what cannot be
//! written.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::cli::Cli;
use crate::interrupts::creating;
use crate::peers::Provider;

/// Makes a text of three characters that nobody can guess.
const MAKE: [&str; 7] =
    ["apply", "random_string", "--state", "state", "--auto-approve", "--set", "length=3"];

/// Keeps by hand what could not be written, and destroys it from there.
fn assert_it_can_be_saved(cli: &Cli, unsaved: &Value) {
    let made = unsaved["attributes"]["result"].as_str().expect("what was made");
    assert_eq!(made.chars().count(), 3);
    cli.write("state", unsaved);
    let (code, read) = cli.json(&["read", "random_string", "--state", "state"]);
    assert_eq!((code, &read["values"]["result"]), (Some(0), &made.into()));
    cli.run(&["destroy", "random_string", "--state", "state", "--auto-approve"]).ok();
    assert!(!cli.path("state").exists());
}

#[test]
fn what_was_made_is_printed_if_there_is_no_room_for_its_state() {
    for provider in [Provider::Random, Provider::Random6] {
        let Some(cli) = Cli::new(provider) else { return };
        let said = cli.run_without_room(&MAKE);
        assert_eq!(said.code, Some(1), "{said:#?}");
        assert!(said.stderr.contains("Error: Failed to write the state"), "{said:#?}");
        assert!(said.stderr.contains("save it as state"), "{said:#?}");
        assert!(!cli.path("state").exists());
        // It is the only document among the text.
        let document = said.stdout.find("\n{\n").expect("a document");
        let unsaved = serde_json::from_str(&said.stdout[document..]).expect("JSON");
        assert_it_can_be_saved(&cli, &unsaved);

        let said = cli.run_without_room(&[&["--json"], &MAKE[..]].concat());
        assert_eq!(said.code, Some(1), "{said:#?}");
        let document: Value = serde_json::from_str(&said.stdout).expect("JSON");
        assert_eq!(document["diagnostics"][0]["summary"], "Failed to write the state");
        assert_it_can_be_saved(&cli, &document["unsaved_state"]);
        let left: Vec<_> = cli.files();
        assert!(left.is_empty(), "nothing is left beside the state: {left:?}");
    }
}

#[test]
fn a_state_stays_as_it_is_if_there_is_no_room_for_the_next() {
    let Some(cli) = Cli::new(Provider::Time) else { return };
    let base = "base_rfc3339=2020-02-12T06:36:13Z";
    let make = |days: &'static str| {
        let make = ["--json", "apply", "time_offset", "--state", "state", "--auto-approve"];
        [&make[..], &["--set", base, "--set", days]].concat()
    };
    cli.run(&make("offset_days=7")).ok();
    let before = cli.state("state");
    let said = cli.run_without_room(&make("offset_days=8"));
    assert_eq!(said.code, Some(1), "{said:#?}");
    let document: Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert_eq!(document["resource_change"]["change"]["actions"], serde_json::json!(["update"]));
    assert_eq!(document["unsaved_state"]["attributes"]["offset_days"], 8);
    assert_eq!(cli.state("state"), before);
}

#[test]
fn nothing_is_made_whose_state_could_not_be_kept() {
    let Some(cli) = Cli::new(Provider::Local) else { return };
    fs::create_dir(cli.path("folder")).expect("a folder");
    for state in ["folder", "missing/state"] {
        let make = ["apply", "local_file", "--auto-approve", "--set", "filename=note.txt"];
        let destroy = ["destroy", "local_file", "--auto-approve"];
        for command in [&make[..], &destroy[..]] {
            let said = cli.run(&[command, &["--state", state]].concat());
            assert_eq!(said.code, Some(1), "{said:#?}");
            assert!(said.stderr.contains("Nothing was done."), "{said:#?}");
            assert!(said.stderr.contains(state), "it names the file: {said:#?}");
        }
    }
    assert_eq!(cli.files(), ["folder"]);
}

#[test]
fn a_folder_is_no_state_and_to_a_plan_one_that_is_not_there_is_empty() {
    let Some(cli) = Cli::new(Provider::Random) else { return };
    fs::create_dir(cli.path("folder")).expect("a folder");
    let plan = ["plan", "random_string", "--set", "length=1"];
    let read = ["read", "random_string"];
    let cases = [(&plan[..], "folder"), (&read[..], "folder"), (&read[..], "missing/state")];
    for (command, state) in cases {
        let said = cli.run(&[command, &["--state", state]].concat());
        assert_eq!(said.code, Some(1), "{said:#?}");
        assert!(said.stderr.contains(state), "it names the file: {said:#?}");
    }
    let said = cli.run(&[&plan[..], &["--state", "missing/state"]].concat()).ok();
    assert!(said.contains("Plan: 1 to add"), "{said}");
    assert_eq!(cli.files(), ["folder"]);
}

#[test]
fn a_state_that_is_broken_or_anothers_is_refused_and_left_as_it_is() {
    let Some(cli) = Cli::new(Provider::Random) else { return };
    let cases = [
        ("empty", "", "is no state of this program"),
        ("half", "{\"format_version\": 1,", "is no state of this program"),
        ("other", "{\"format_version\": 99}", "is of format 99"),
    ];
    for (name, content, told) in cases {
        fs::write(cli.path(name), content).expect("there is room");
        let said = cli.run(&["read", "random_string", "--state", name]);
        assert_eq!(said.code, Some(1), "{said:#?}");
        assert!(said.stderr.contains(&format!("{name} {told}")), "{said:#?}");
        assert_eq!(fs::read_to_string(cli.path(name)).expect("there"), content);
    }
    cli.run(&MAKE).ok();
    let before = cli.state("state");
    let said = cli.run(&["destroy", "random_id", "--state", "state", "--auto-approve"]);
    assert_eq!(said.code, Some(1), "{said:#?}");
    assert!(said.stderr.contains("Error: The state is of something else"), "{said:#?}");
    assert_eq!(cli.state("state"), before);
}

/// Makes something in no time.
const MAKE_AT_ONCE: [&str; 6] =
    ["apply", "time_sleep", "--auto-approve", "--set", "create_duration=0s", "--state"];

#[test]
fn a_second_run_on_a_state_is_refused_while_the_first_may_write_it() {
    let Some(cli) = Cli::new(Provider::Time) else { return };
    let (mut first, _) = creating(&cli);
    let refused = |command: &[&str]| {
        let said = cli.run(&[command, &["state"]].concat());
        assert_eq!(said.code, Some(1), "{said:#?}");
        assert!(said.stderr.contains("state.lock"), "it names the lock: {said:#?}");
        assert!(!said.stdout.contains("complete"), "{said:#?}");
    };
    refused(&MAKE_AT_ONCE);
    refused(&["destroy", "time_sleep", "--auto-approve", "--state"]);
    refused(&["read", "time_sleep", "--state"]);
    // What only looks writes nothing.
    let plan = ["plan", "time_sleep", "--set", "create_duration=0s", "--state", "state"];
    assert!(cli.run(&plan).ok().contains("Plan: 1 to add"));
    // Another state is none of its business.
    cli.run(&[&MAKE_AT_ONCE[..], &["other"]].concat()).ok();

    first.signal(Signal::INT);
    assert_eq!(first.end().code, Some(130));
    cli.run(&[&MAKE_AT_ONCE[..], &["state"]].concat()).ok();
    assert_eq!(cli.files(), ["other", "state"], "no lock is left");
}

#[test]
fn a_run_that_was_killed_holds_up_nobody() {
    let Some(cli) = Cli::new(Provider::Time) else { return };
    let (mut first, _) = creating(&cli);
    assert!(cli.path("state.lock").exists());
    first.signal(Signal::KILL);
    assert_eq!(first.end().code, None);
    cli.run(&[&MAKE_AT_ONCE[..], &["state"]].concat()).ok();
    assert_eq!(cli.files(), ["state"], "no lock is left");
}
