//! The programs that the tests launch: plugins good and bad, and hosts.

pub mod crimes;
pub mod good;
pub mod hosts;
pub mod raw;
pub mod raw_crimes;

use std::env;
use std::path::PathBuf;

use trunkline::host::PluginCommand;

/// Which program to be.
const PROGRAM: &str = "TEST_PROGRAM";

/// What the test below is called.
const ENTRANCE: &str = "bin::not_a_test_but_the_programs_that_tests_launch";

/// How to launch the program of this name as a plugin.
pub fn plugin(program: &str) -> PluginCommand {
    let this = env::current_exe().expect("the path of this test program");
    plugin_of(this, program)
}

/// The same, of another file that comes to the same.
pub fn plugin_of(file: impl Into<PathBuf>, program: &str) -> PluginCommand {
    PluginCommand::new(file).args(arguments()).env(PROGRAM, program)
}

/// How to start the program of this name by hand.
pub fn by_hand(program: &str) -> tokio::process::Command {
    let this = env::current_exe().expect("the path of this test program");
    let mut command = tokio::process::Command::new(this);
    command.args(arguments()).env(PROGRAM, program).kill_on_drop(true);
    command
}

/// Two threads, because with one the name of the test would be in the output.
fn arguments() -> [&'static str; 5] {
    ["--exact", ENTRANCE, "--ignored", "--nocapture", "--test-threads=2"]
}

#[test]
#[ignore = "it is not a test: it is how this program becomes another"]
fn not_a_test_but_the_programs_that_tests_launch() {
    let Ok(program) = env::var(PROGRAM) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let code = match program.split_once(':') {
        None => runtime.block_on(good::main(&program)),
        Some(("raw", crime)) => runtime.block_on(raw_crimes::main(crime)),
        Some(("host", kind)) => runtime.block_on(hosts::main(kind)),
        Some(_) => panic!("no such program: {program}"),
    };
    std::process::exit(code);
}
