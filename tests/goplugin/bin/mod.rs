//! The plugins in Rust: this test program starts itself again.
//!
//! A host of go-plugin takes the first line on standard output for the handshake, and
//! a test program begins with lines of its own. So a shell stands in front: it keeps
//! the host's pipe under another number, and the plugin puts it back.

pub mod callback;
mod hosts;
mod kv;
mod liar;
mod probe;
mod subject;

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::process::ExitCode;

use trunkline::Offers;
use trunkline::goplugin::Handshake;
use trunkline::host::PluginCommand;
use trunkline::plugin::Plugin;

use kv::Counters;
use kv::Remembering;
use kv::Store;
use subject::Subject;

/// Which program to be.
pub const PROGRAM: &str = "TEST_PROGRAM";

/// What the test below is called.
const ENTRANCE: &str = "bin::not_a_test_but_the_plugins_that_tests_launch";

/// Where the host's pipe is while the test program says its own lines.
const KEPT: &str = "/proc/self/fd/9";

/// How the programs of these tests know each other, in Go and in Rust.
pub fn handshake() -> Handshake {
    Handshake::new("TRUNKLINE_INTEROP", "bread").version(1).version(2)
}

/// That of go-plugin's examples.
pub fn handshake_of_examples(version: u32) -> Handshake {
    Handshake::new("BASIC_PLUGIN", "hello").version(version)
}

/// The shell, which is what a host launches.
pub const SHELL: &str = "/bin/sh";

/// What the shell is to do.
pub fn arguments() -> [OsString; 3] {
    let this = env::current_exe().expect("the path of this test program");
    let script = format!(
        r#"exec "$0" --exact {ENTRANCE} --ignored --nocapture --test-threads=2 9>&1 >/dev/null"#
    );
    ["-c".into(), script.into(), this.into()]
}

/// How to launch the program of this name.
pub fn plugin(program: &str) -> PluginCommand {
    PluginCommand::new(SHELL).args(arguments()).env(PROGRAM, program)
}

/// The same by hand.
pub fn by_hand(program: &str) -> std::process::Command {
    let mut command = std::process::Command::new(SHELL);
    command.args(arguments()).env(PROGRAM, program);
    command
}

#[test]
#[ignore = "it is not a test: it is how this program becomes another"]
fn not_a_test_but_the_plugins_that_tests_launch() {
    let Ok(program) = env::var(PROGRAM) else {
        return;
    };
    let kept = File::options().write(true).open(KEPT).expect("the host's pipe");
    rustix::stdio::dup2_stdout(&kept).expect("standard output");
    drop(kept);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let code = runtime.block_on(main(&program));
    std::process::exit(i32::from(code != ExitCode::SUCCESS));
}

async fn main(program: &str) -> ExitCode {
    match program {
        "probe" => {
            let plugin = Plugin::new("probe", "1").go_plugin(handshake());
            plugin.serve(probe::offers).await
        }
        "survivor" => {
            let plugin = Plugin::new("probe", "1").go_plugin(handshake()).outlive_host();
            plugin.serve(probe::offers).await
        }
        "standalone" => {
            let plugin = Plugin::new("subject", "1").go_plugin(handshake());
            let offers = |host| Offers::new().service(Subject::new(host).server());
            let served = plugin.serve_standalone(offers, hosts::say);
            if served.await.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        "subject" => {
            let plugin = Plugin::new("subject", "1").go_plugin(handshake());
            plugin.serve(|host| Offers::new().service(Subject::new(host).server())).await
        }
        "cookieless" => {
            let plugin = Plugin::new("subject", "1").go_plugin(Handshake::new("", ""));
            plugin.serve(|_| Offers::new()).await
        }
        "remembering" => {
            let plugin = Plugin::new("kv", "1").go_plugin(handshake());
            plugin.serve(|host| Offers::new().service(Remembering::new(host).server())).await
        }
        "kv" | "kv3" => {
            let version = if program == "kv" { 1 } else { 3 };
            let plugin = Plugin::new("kv", "1").go_plugin(handshake_of_examples(version));
            plugin.serve(|_| Offers::new().service(Store::default().server())).await
        }
        "counter" => {
            let plugin = Plugin::new("counter", "1").go_plugin(handshake_of_examples(1));
            plugin.serve(|host| Offers::new().service(Counters::new(host).server())).await
        }
        _ => match program.split_once(':') {
            Some(("host", kind)) => hosts::main(kind).await,
            Some(("liar", lie)) => liar::main(lie).await,
            _ => panic!("no such program: {program}"),
        },
    }
}
