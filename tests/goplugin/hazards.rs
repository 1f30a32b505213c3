//! Plugins in Go that misbehave: see `tests/peers/go/goplugin/modes.go`. None may hang
//! our host, crash it, or be left behind.

use std::env;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::AsyncBufReadExt;
use tokio::io::BufReader;
use tokio::process::Command;
use trunkline::goplugin::Reattach;
use trunkline::host::LaunchError;
use trunkline::host::PluginCommand;
use trunkline::host::PluginHandle;
use trunkline::host::StopPolicy;

use crate::bin;
use crate::contract::interop::CrashRequest;
use crate::contract::interop::Nothing;
use crate::contract::interop::Payload;
use crate::contract::interop::Text;
use crate::peers::Version;
use crate::peers::peers;
use crate::rust_host::Mode;
use crate::rust_host::host;
use crate::rust_host::prepare;
use crate::rust_host::speaks;
use crate::rust_host::subject;
use crate::scenarios;
use crate::support::system::is_running;
use crate::support::system::kill;
use crate::support::system::within;
use crate::table::causes;

/// What a plugin gets that will not make it anyway.
const SHORT: Duration = Duration::from_secs(1);

/// What a plugin gets that is refused at once.
const AMPLE: Duration = Duration::from_secs(10);

/// Steps that a plugin which does not obey gets through soon.
fn impatient() -> StopPolicy {
    let step = Duration::from_millis(100);
    StopPolicy { drain: step, grace: step, terminate: step, ..StopPolicy::default() }
}

/// The newest plugin, in a mode. `None` if there is none.
fn misbehaving(mode: &str) -> Option<PluginCommand> {
    let peers = peers(Version::V1_8_0)?;
    Some(PluginCommand::new(peers.plugin).env("INTEROP_MODE", mode))
}

/// It is launched, and does all that a plugin does.
async fn works(mode: &str, wire: Mode) -> Option<PluginHandle> {
    let launch = prepare(misbehaving(mode)?, wire).stop_policy(impatient());
    let plugin = within(launch.start()).await.unwrap_or_else(|error| {
        panic!("{mode}: {}", causes(&error));
    });
    for done in [scenarios::call(&plugin).await, scenarios::calls_back(&plugin).await] {
        done.unwrap_or_else(|error| panic!("{mode}: {}", causes(&*error)));
    }
    Some(plugin)
}

/// It is not launched, and the launch does not take longer than it may.
async fn refused(mode: &str, wire: Mode, timeout: Duration) -> Option<LaunchError> {
    let launch = prepare(misbehaving(mode)?, wire).start_timeout(timeout);
    let error = within(launch.start()).await.expect_err(mode);
    assert!(!causes(&error).is_empty());
    Some(error)
}

macro_rules! refusals {
    ($($name:ident: $mode:literal, $wire:expr, $timeout:expr;)*) => {
        $(#[tokio::test]
        async fn $name() {
            refused($mode, $wire, $timeout).await;
        })*
    };
}

refusals! {
    a_plugin_that_exits_before_the_handshake_is_refused: "exit-3", Mode::PLAIN, AMPLE;
    a_plugin_that_exits_with_success_before_the_handshake_is_refused: "exit-0", Mode::PLAIN, AMPLE;
    a_plugin_that_panics_before_the_handshake_is_refused: "panic", Mode::PLAIN, AMPLE;
    a_plugin_that_never_says_a_line_is_refused_in_time: "hang", Mode::PLAIN, SHORT;
    a_plugin_that_is_stopped_before_the_handshake_is_refused_in_time: "stop", Mode::PLAIN, SHORT;
    a_plugin_that_closes_its_output_is_refused: "close-stdout", Mode::PLAIN, SHORT;
    half_a_line_is_refused_in_time: "half-a-line", Mode::PLAIN, SHORT;
    half_a_line_and_an_exit_are_refused: "half-and-exit", Mode::PLAIN, AMPLE;
    a_line_that_is_no_text_is_refused: "binary", Mode::PLAIN, SHORT;
    a_line_without_end_is_refused: "endless-line", Mode::PLAIN, SHORT;
    a_flood_on_standard_error_before_the_handshake_is_refused_in_time: "flood-stderr", Mode::PLAIN, SHORT;
    three_fields_are_refused: "three-fields", Mode::PLAIN, SHORT;
    an_address_where_nobody_listens_is_refused: "no-listener", Mode::PLAIN, SHORT;
    another_core_version_is_refused: "core-2", Mode::PLAIN, AMPLE;
    a_core_version_that_is_no_number_is_refused: "core-nonsense", Mode::PLAIN, SHORT;
    a_version_that_the_host_has_not_is_refused: "app-9", Mode::PLAIN, AMPLE;
    a_version_that_is_no_number_is_refused: "app-nonsense", Mode::PLAIN, SHORT;
    a_plugin_without_a_common_version_is_refused: "other-versions", Mode::PLAIN, AMPLE;
    an_unknown_network_is_refused: "unknown-network", Mode::PLAIN, SHORT;
    a_certificate_that_is_no_base64_is_refused: "bad-certificate", Mode::MTLS, AMPLE;
    a_certificate_that_is_none_is_refused: "odd-certificate", Mode::MTLS, SHORT;
    a_certificate_that_is_cut_is_refused: "cut-certificate", Mode::MTLS, SHORT;
    no_certificate_where_one_was_asked_for_is_refused: "no-certificate", Mode::MTLS, SHORT;
    nonsense_about_multiplexing_is_refused: "mux-nonsense", Mode::MUX, SHORT;
    a_plugin_that_exits_after_the_handshake_is_refused: "exit-after", Mode::PLAIN, AMPLE;
    a_plugin_that_is_stopped_after_the_handshake_is_refused_in_time: "stop-after", Mode::PLAIN, SHORT;
}

macro_rules! workings {
    ($($name:ident: $mode:literal, $wire:expr;)*) => {
        $(#[tokio::test]
        async fn $name() {
            let Some(plugin) = works($mode, $wire).await else { return };
            within(plugin.stop()).await;
            assert!(!is_running(plugin.pid()));
        })*
    };
}

workings! {
    a_stray_line_before_the_handshake_does_no_harm: "stray-line", Mode::PLAIN;
    an_empty_line_before_the_handshake_does_no_harm: "empty-line", Mode::PLAIN;
    five_fields_are_enough: "five-fields", Mode::PLAIN;
    six_fields_are_enough: "six-fields", Mode::PLAIN;
    later_fields_are_ignored: "extra-fields", Mode::PLAIN;
    blanks_around_the_line_are_ignored: "surrounded", Mode::PLAIN;
    a_plugin_on_tcp_works: "tcp", Mode::PLAIN;
    a_plugin_on_tcp_works_with_auto_mtls: "tcp", Mode::MTLS;
    a_log_line_with_wrong_types_does_no_harm: "log-types", Mode::PLAIN;
    a_log_line_with_nanoseconds_does_no_harm: "log-nanos", Mode::PLAIN;
    a_log_line_that_is_too_long_does_no_harm: "log-long", Mode::PLAIN;
    a_log_line_that_is_no_text_does_no_harm: "log-binary", Mode::PLAIN;
    a_line_of_200_kb_on_standard_output_does_no_harm: "long-stdout", Mode::PLAIN;
    a_flood_on_standard_output_does_no_harm: "flood-stdout", Mode::PLAIN;
    a_flood_over_grpc_stdio_does_no_harm: "flood-stdio", Mode::PLAIN;
}

#[tokio::test]
async fn net_rpc_is_refused_with_an_error_that_says_so() {
    for mode in ["netrpc", "four-fields"] {
        let Some(error) = refused(mode, Mode::PLAIN, AMPLE).await else { return };
        let error = causes(&error);
        assert!(error.contains("net/rpc"), "{mode}: {error}");
    }
}

#[tokio::test]
async fn a_program_that_is_no_plugin_is_refused_where_either_dialect_would_do() {
    for script in ["exit 3", "exec >&-; exit 3", "exec <&- >&-; exit 3"] {
        let command = PluginCommand::new(bin::SHELL).args(["-c", script]);
        let launch = host().launch("none", command).go_plugin(bin::handshake());
        match within(launch.start()).await {
            Err(LaunchError::ExitedBeforeHello { exit, .. }) => assert_eq!(exit.code, Some(3)),
            other => panic!("{script}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_older_version_of_the_application_is_what_both_have() {
    let Some(plugin) = works("old-version", Mode::PLAIN).await else { return };
    assert_eq!(plugin.version(), Some(1));
    within(plugin.stop()).await;
}

#[tokio::test]
async fn a_plugin_that_says_it_cannot_multiplex_is_not_multiplexed() {
    for mode in ["mux-false", "six-fields"] {
        let Some(plugin) = works(mode, Mode::MUX_MTLS).await else { return };
        speaks(&plugin, true, false).expect(mode);
        within(plugin.stop()).await;
    }
}

#[tokio::test]
async fn a_plugin_that_is_stopped_by_a_signal_can_be_ended() {
    let Some(command) = misbehaving("") else { return };
    for kills in [false, true] {
        let launch = prepare(command.clone(), Mode::PLAIN).stop_policy(impatient());
        let plugin = within(launch.start()).await.expect("launched");
        scenarios::call(&plugin).await.expect("it works");
        kill(plugin.pid(), Signal::STOP);
        let end = if kills { within(plugin.kill()).await } else { within(plugin.stop()).await };
        assert!(!is_running(plugin.pid()), "{end:?}");
    }
}

#[tokio::test]
async fn a_grandchild_that_holds_the_outputs_does_not_hide_the_end() {
    let Some(command) = misbehaving("") else { return };
    let plugin = within(prepare(command, Mode::PLAIN).start()).await.expect("launched");
    let mut client = subject(&plugin).expect("open");
    let spawned = within(client.spawn(Nothing {})).await.expect("spawned").into_inner().number;
    let crash = CrashRequest { how: "exit:3".into() };
    within(client.crash(crash)).await.expect_err("no answer");
    let end = within(plugin.ended()).await;
    assert_eq!(end.exit.and_then(|exit| exit.code), Some(3), "{end:?}");
    if is_running(spawned) {
        kill(spawned, Signal::KILL);
    }
}

/// What a plugin gets that multiplexes under AutoMTLS.
const OF_THE_OUTER_HOST: &str = "true";

const OUTER: [&str; 3] = ["PLUGIN_CLIENT_CERT", "PLUGIN_MULTIPLEX_GRPC", "PLUGIN_UNIX_SOCKET_DIR"];

#[tokio::test]
async fn a_plugin_of_a_plugin_inherits_nothing_of_the_outer_handshake() {
    let Some(command) = misbehaving("") else { return };
    if OUTER.iter().any(|name| env::var_os(name).is_none()) {
        // In a process that is itself launched as a plugin.
        let this = env::current_exe().expect("the path of this test program");
        let mut inner = Command::new(this);
        let name = "hazards::a_plugin_of_a_plugin_inherits_nothing_of_the_outer_handshake";
        inner
            .args(["--exact", name, "--nocapture"])
            .envs(OUTER.map(|name| (name, OF_THE_OUTER_HOST)));
        let output = within(inner.output()).await.expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{output:?}");
        return;
    }
    let plugin = within(prepare(command, Mode::PLAIN).start()).await.expect("launched");
    for name in OUTER {
        let mut client = subject(&plugin).expect("open");
        let reply = within(client.env(Text { text: name.into() })).await.expect("answered");
        // The host may have set it itself.
        let inherited = reply.into_inner().value == OF_THE_OUTER_HOST;
        assert!(!inherited, "{name}");
    }
    within(plugin.stop()).await;
}

#[tokio::test]
async fn a_call_that_hangs_holds_up_no_other() {
    let Some(command) = misbehaving("") else { return };
    let plugin = within(prepare(command, Mode::MUX).start()).await.expect("launched");
    let mut hanging = subject(&plugin).expect("open");
    let hanging = tokio::spawn(async move { hanging.hang(Nothing {}).await });
    let sent = Payload { seq: 1, data: vec![1] };
    let got = within(subject(&plugin).expect("open").echo(sent.clone())).await;
    assert_eq!(got.expect("answered").into_inner(), sent);
    within(plugin.kill()).await;
    within(hanging).await.expect("no panic").expect_err("no answer");
}

#[tokio::test]
async fn our_host_attaches_to_a_plugin_in_test_mode() {
    let Some(peers) = peers(Version::V1_8_0) else { return };
    let mut command = Command::new(&peers.plugin);
    command.arg("-test-mode").kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().expect("it runs");
    let stdout = child.stdout.take().expect("piped");
    let mut lines = BufReader::new(stdout).lines();
    let line = within(lines.next_line()).await.expect("readable").expect("a line");
    let reattach: Reattach = serde_json::from_str(&line).expect("as Terraform has it");
    let launch = host().reattach("subject", reattach);
    let plugin = within(launch.start()).await.expect("attached");
    // It is the first host of this plugin, so the broker is for it.
    scenarios::call(&plugin).await.expect("it works");
    scenarios::calls_back(&plugin).await.expect("it works");
    within(plugin.stop()).await;
    // Others may want to attach to it: it is theirs to end who started it.
    assert!(is_running(child.id().expect("it runs")));
    drop(child.stdin.take());
    assert!(within(child.wait()).await.expect("waited for").success());
}
