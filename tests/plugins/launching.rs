//! Launches that fail, and say why.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use trunkline::ConnectError;
use trunkline::EndReason;
use trunkline::Incompatible;
use trunkline::Limits;
use trunkline::host::ExecObstacle;
use trunkline::host::LaunchError;
use trunkline::host::PluginCommand;
use trunkline::host::Sha256Pin;

use crate::bin;
use crate::harness::Capture;
use crate::harness::LONG;
use crate::harness::assert_no_process;
use crate::harness::host;
use crate::harness::stop;
use crate::harness::within;

/// What a plugin gets that will not say hello anyway.
const SHORT: Duration = Duration::from_millis(300);

async fn refused(command: PluginCommand, timeout: Duration) -> LaunchError {
    let launch = host().launch("refused", command).start_timeout(timeout);
    within(launch.start()).await.expect_err("it cannot be launched")
}

/// Waits for the line in which a program says its process id.
async fn pid_of(capture: &Capture) -> u32 {
    capture.line("pid ").await.parse().expect("a process id")
}

fn script(folder: &Path, text: &str, mode: u32) -> PluginCommand {
    let file = folder.join("script");
    fs::write(&file, text).expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("its mode");
    PluginCommand::new(file)
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_not_found() {
    for program in ["/no/such/program", "no-such-program-anywhere"] {
        let error = refused(PluginCommand::new(program), LONG).await;
        assert!(matches!(error, LaunchError::NotFound { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_program_that_cannot_be_executed_is_not_executable() {
    let folder = tempfile::tempdir().expect("a folder");
    let cases = [
        // Root may execute what has any such bit, so there is none.
        (script(folder.path(), "#!/bin/sh\n", 0o600), ExecObstacle::Permission),
        (PluginCommand::new(folder.path()), ExecObstacle::NotAFile),
    ];
    for (command, expected) in cases {
        let error = refused(command, LONG).await;
        let LaunchError::NotExecutable { obstacle, .. } = error else { panic!("{error:?}") };
        assert_eq!(obstacle, expected);
    }
    let error = refused(script(folder.path(), "#!/no/such/shell\n", 0o700), LONG).await;
    let LaunchError::NotExecutable { obstacle, .. } = error else { panic!("{error:?}") };
    assert_eq!(obstacle, ExecObstacle::Interpreter);
}

#[tokio::test]
async fn a_pinned_plugin_is_launched_and_a_changed_one_is_not() {
    let program = std::env::current_exe().expect("this program");
    let bytes = fs::read(&program).expect("it can be read");
    let hash = <sha2::Sha256 as sha2::Digest>::digest(&bytes);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let pin: Sha256Pin = hex.parse().expect("a pin");
    let launch = host().launch("pinned", bin::plugin("good").pin(pin));
    stop(within(launch.start()).await.expect("the bytes are the pinned ones")).await;

    let other: Sha256Pin = "0".repeat(64).parse().expect("a pin");
    let error = refused(bin::plugin("good").pin(other), LONG).await;
    let LaunchError::PinMismatch { expected, actual, .. } = error else { panic!("{error:?}") };
    assert_eq!((expected, actual), (other, pin));
}

#[tokio::test]
async fn a_working_directory_that_cannot_be_entered_is_named() {
    let error = refused(bin::plugin("good").current_dir("/no/such/folder"), LONG).await;
    let LaunchError::WorkingDirectory { directory, .. } = error else { panic!("{error:?}") };
    assert_eq!(directory, Path::new("/no/such/folder"));
}

#[tokio::test]
async fn a_plugin_that_exits_before_its_hello_is_reported_with_its_code_and_last_words() {
    let error = refused(bin::plugin("raw:exits-before-hello"), LONG).await;
    let LaunchError::ExitedBeforeHello { exit, stderr_tail, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(exit.code, Some(3));
    assert_eq!(stderr_tail, "first the licence was missing\nthen I gave up");
}

#[tokio::test]
async fn a_program_that_only_exits_is_no_plugin_and_reported_as_exited() {
    let error = refused(PluginCommand::new("true"), LONG).await;
    let LaunchError::ExitedBeforeHello { exit, stderr_tail, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!((exit.code, stderr_tail.as_str()), (Some(0), ""));
}

#[tokio::test]
async fn a_program_that_waits_or_reads_its_input_times_out_and_is_killed() {
    let capture = Capture::start();
    for line in ["echo pid $$; exec sleep 1000", "echo pid $$ >&2; echo pid $$; exec cat"] {
        let command = PluginCommand::new("sh").args(["-c", line]);
        let error = refused(command, SHORT).await;
        let LaunchError::TimedOut { after, .. } = error else { panic!("{line}: {error:?}") };
        assert_eq!(after, SHORT);
    }
    let pids = capture.lines("stdout").into_iter();
    let pids: Vec<u32> =
        pids.filter_map(|it| it.message().strip_prefix("pid ")?.parse().ok()).collect();
    assert_eq!(pids.len(), 2);
    pids.into_iter().for_each(assert_no_process);
}

#[tokio::test]
async fn a_plugin_that_is_stopped_by_a_signal_times_out_and_is_killed() {
    let capture = Capture::start();
    let command = PluginCommand::new("sh").args(["-c", "echo pid $$; kill -STOP $$"]);
    let error = refused(command, SHORT).await;
    assert!(matches!(error, LaunchError::TimedOut { .. }), "{error:?}");
    assert_no_process(pid_of(&capture).await);
}

#[tokio::test]
async fn a_program_that_speaks_garbage_is_not_a_plugin() {
    let error = refused(bin::plugin("raw:speaks-garbage"), LONG).await;
    let LaunchError::NotAPlugin { source, .. } = error else { panic!("{error:?}") };
    let source = source.downcast_ref::<ConnectError>();
    let garbage = matches!(
        source,
        Some(ConnectError::Carrier(trunkline::CarrierError::Http2(_)) | ConnectError::Ended(_))
    );
    assert!(garbage, "{source:?}");
}

#[tokio::test]
async fn a_plugin_of_another_protocol_version_is_told_from_one_that_is_broken() {
    let error = refused(bin::plugin("raw:wrong-version"), LONG).await;
    let LaunchError::Version { plugin, host, .. } = error else { panic!("{error:?}") };
    assert_eq!((plugin, host), (7..=9, 1..=1));
}

#[tokio::test]
async fn a_plugin_of_another_run_or_in_the_wrong_role_is_not_taken() {
    for (crime, run) in [("claims-another-run", true), ("claims-to-be-a-host", false)] {
        let error = refused(bin::plugin(&format!("raw:{crime}")), LONG).await;
        let LaunchError::NotAPlugin { source, .. } = error else { panic!("{error:?}") };
        let why = source.downcast_ref::<ConnectError>();
        let Some(ConnectError::Ended(EndReason::Incompatible(why))) = why else {
            panic!("{why:?}")
        };
        match why {
            Incompatible::OtherRun => assert!(run, "{crime}"),
            Incompatible::SameRole(_) => assert!(!run, "{crime}"),
            other => panic!("{crime}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn limits_that_are_not_usable_are_refused_before_anything_is_started() {
    let limits = Limits { streams: 0, ..Limits::default() };
    let launch = host().launch("limited", bin::plugin("good")).limits(limits);
    let error = launch.start().await.expect_err("no plugin can work so");
    assert!(matches!(error, LaunchError::Limits { .. }), "{error:?}");
}

#[tokio::test]
async fn a_plugin_that_hangs_in_the_middle_of_its_hello_times_out() {
    let error = refused(bin::plugin("raw:half-a-hello-then-hangs"), SHORT).await;
    assert!(matches!(error, LaunchError::TimedOut { .. }), "{error:?}");
}

#[tokio::test]
async fn a_plugin_that_exits_in_the_middle_of_its_hello_is_reported_with_its_code() {
    let error = refused(bin::plugin("raw:half-a-hello-then-exits"), LONG).await;
    let LaunchError::ExitedBeforeHello { exit, .. } = error else { panic!("{error:?}") };
    assert_eq!(exit.code, Some(4));
}

#[tokio::test]
async fn dropping_a_launch_leaves_no_process() {
    let capture = Capture::start();
    let command = PluginCommand::new("sh").args(["-c", "echo pid $$; exec sleep 1000"]);
    let launch = host().launch("dropped", command).start();
    let pid = tokio::select! {
        done = launch => panic!("sleep is no plugin: {done:?}"),
        pid = pid_of(&capture) => pid,
    };
    crate::harness::eventually("the process is gone", || {
        (!crate::harness::is_running(pid)).then_some(())
    })
    .await;
}
