//! Plugins that misbehave once they run: what the caller is told, that nothing is
//! left, and that the plugin beside them goes on.

use std::time::Duration;

use rustix::process::Signal;
use tonic::Request;
use tonic::Status;
use trunkline::EndReason;
use trunkline::Error;
use trunkline::Fault;
use trunkline::Reason;
use trunkline::Violation;
use trunkline::host::EndCause;
use trunkline::host::Exit;
use trunkline::host::PluginEnd;
use trunkline::host::PluginHandle;

use crate::bin;
use crate::harness::Capture;
use crate::harness::assert_no_process;
use crate::harness::assert_works;
use crate::harness::criminal;
use crate::harness::echo;
use crate::harness::eventually;
use crate::harness::good;
use crate::harness::host;
use crate::harness::impatient;
use crate::harness::is_running;
use crate::harness::kill;
use crate::harness::state;
use crate::harness::stop;
use crate::harness::tell;
use crate::harness::within;
use crate::support::demo::Payload;

/// A deadline for calls that nobody is going to answer.
const DEADLINE: Duration = Duration::from_millis(300);

/// The plugin that behaves, to be misled, and with little patience.
async fn accomplice() -> PluginHandle {
    let launch = host().launch("accomplice", bin::plugin("good")).stop_policy(impatient());
    launch.start().await.expect("launched")
}

/// Calls, and gives the status of the failure.
async fn failure(plugin: &PluginHandle) -> Status {
    within(echo(plugin).unary(Payload::default())).await.expect_err("nobody answers well")
}

/// Calls with a deadline, which passes.
async fn assert_hangs(plugin: &PluginHandle) {
    let mut request = Request::new(Payload::default());
    request.set_timeout(DEADLINE);
    let status = within(echo(plugin).unary(request)).await.expect_err("nobody answers");
    let error = Error::of(&status).expect("the broker's error");
    assert_eq!((error.reason(), error.fault()), (Reason::Deadline, Fault::Local));
}

/// The call failed because the plugin died in this way.
fn assert_died(status: &Status, code: Option<i32>, signal: Option<Signal>) {
    let error = Error::of(status).expect("the broker's error");
    assert_eq!((error.reason(), error.fault()), (Reason::TrunkEnded, Fault::Connection));
    assert_eq!(status.code(), tonic::Code::Unavailable);
    let exit = Exit::of(status).unwrap_or_else(|| panic!("no exit in {error:?}"));
    assert_eq!((exit.code, exit.signal), (code, signal.map(Signal::as_raw)));
}

/// The plugin that ended left nothing, and the other one works.
async fn assert_over(plugin: &PluginHandle, other: PluginHandle) -> PluginEnd {
    let end = within(plugin.ended()).await;
    assert_no_process(plugin.pid());
    assert_works(&other).await;
    stop(other).await;
    end
}

fn signal_of(end: PluginEnd) -> Option<i32> {
    end.exit.and_then(|exit| exit.signal)
}

#[tokio::test]
async fn half_a_frame_and_a_hang_hold_up_nothing_but_their_own_trunk() {
    let (plugin, other) = (criminal("half-a-frame-then-hangs").await, good().await);
    assert_hangs(&plugin).await;
    assert_works(&other).await;
    let end = within(plugin.stop()).await;
    assert_eq!((end.cause, signal_of(end)), (EndCause::Stopped, Some(Signal::TERM.as_raw())));
    assert_over(&plugin, other).await;
}

#[tokio::test]
async fn half_a_frame_and_an_exit_fail_the_call_with_the_exit_code() {
    let (plugin, other) = (criminal("half-a-frame-then-exits").await, good().await);
    assert_died(&failure(&plugin).await, Some(5), None);
    assert_over(&plugin, other).await;
}

#[tokio::test]
async fn a_plugin_that_never_reads_is_ended_by_the_ladder() {
    let (plugin, other) = (criminal("never-reads").await, good().await);
    assert_hangs(&plugin).await;
    // More than all buffers on the way hold.
    let mut call = Request::new(Payload { seq: 0, data: vec![0; 8 << 20] });
    call.set_timeout(DEADLINE);
    let status = within(echo(&plugin).unary(call)).await.expect_err("nobody reads");
    assert_eq!(Error::of(&status).map(Error::reason), Some(Reason::Deadline));
    assert_works(&other).await;
    let end = within(plugin.stop()).await;
    assert_eq!(signal_of(end), Some(Signal::TERM.as_raw()));
    assert_over(&plugin, other).await;
}

#[tokio::test]
async fn a_stream_that_overruns_its_window_is_cut_off_and_the_trunk_goes_on() {
    let (plugin, other) = (criminal("overruns-its-window").await, good().await);
    for _ in 0..3 {
        let status = failure(&plugin).await;
        let error = Error::of(&status).expect("the broker's error");
        assert_eq!((error.reason(), error.fault()), (Reason::Overrun, Fault::Peer));
    }
    assert_eq!(plugin.broker().stats().streams, 0);
    within(plugin.stop()).await;
    assert_over(&plugin, other).await;
}

#[tokio::test]
async fn a_frame_of_nothing_ends_the_trunk_as_a_violation() {
    let (plugin, other) = (criminal("floods-nothing").await, good().await);
    let status = failure(&plugin).await;
    let error = Error::of(&status).expect("the broker's error");
    assert_eq!((error.reason(), error.fault()), (Reason::TrunkEnded, Fault::Peer));
    let end = error.trunk_end();
    assert!(matches!(end, Some(EndReason::Violation(Violation::Malformed))), "{end:?}");
    let end = assert_over(&plugin, other).await;
    assert_eq!(end.cause, EndCause::TrunkEnded);
}

#[tokio::test]
async fn a_plugin_that_ignores_the_go_away_ends_with_its_trunk() {
    let (plugin, other) = (criminal("ignores-go-away").await, good().await);
    let mut echo = echo(&plugin);
    let waiting = echo.unary(Payload::default());
    let (status, end) = within(async { tokio::join!(waiting, plugin.stop()) }).await;
    let status = status.expect_err("it never answers");
    let error = Error::of(&status).expect("the broker's error");
    assert_eq!((error.reason(), error.fault()), (Reason::TrunkEnded, Fault::Local));
    assert_eq!(end.cause, EndCause::Stopped);
    assert_over(&plugin, other).await;
}

#[tokio::test]
async fn a_plugin_that_ignores_go_away_and_sigterm_is_killed() {
    let (plugin, other) = (criminal("ignores-go-away-and-signals").await, good().await);
    let end = within(plugin.stop()).await;
    assert_eq!((end.cause, signal_of(end)), (EndCause::Stopped, Some(Signal::KILL.as_raw())));
    assert_over(&plugin, other).await;
}

#[tokio::test]
async fn a_plugin_that_closes_its_trunk_and_lives_on_is_ended() {
    let launch = host().launch("criminal", bin::plugin("raw:closes-the-trunk-and-lives-on"));
    let plugin = launch.stop_policy(impatient()).start().await.expect("launched");
    let other = good().await;
    let status = failure(&plugin).await;
    let error = Error::of(&status).expect("the broker's error");
    assert_eq!((error.reason(), error.fault()), (Reason::TrunkEnded, Fault::Connection));
    let end = assert_over(&plugin, other).await;
    assert_eq!((end.cause, signal_of(end)), (EndCause::TrunkEnded, Some(Signal::TERM.as_raw())));
}

#[tokio::test]
async fn a_crash_in_the_middle_of_a_call_fails_it_with_the_signal() {
    for (crime, signal) in [("segv", Signal::SEGV), ("abort", Signal::ABORT)] {
        let (plugin, other) = (accomplice().await, good().await);
        let status = within(tell(&plugin, crime)).await.expect_err("it crashes");
        assert_died(&status, None, Some(signal));
        let end = assert_over(&plugin, other).await;
        assert_eq!(signal_of(end), Some(signal.as_raw()));
    }
}

#[tokio::test]
async fn an_exit_in_the_middle_of_a_call_fails_it_with_the_code() {
    let (plugin, other) = (accomplice().await, good().await);
    let status = within(tell(&plugin, "exit 42")).await.expect_err("it exits");
    assert_died(&status, Some(42), None);
    assert_over(&plugin, other).await;
}

#[tokio::test]
async fn a_plugin_that_stops_itself_falls_silent_and_is_killed() {
    let launch = host().launch("stopped", bin::plugin("good")).stop_policy(impatient());
    let launch = launch.keep_alive(DEADLINE, DEADLINE);
    let (plugin, other) = (launch.start().await.expect("launched"), good().await);
    let status = within(tell(&plugin, "stop-oneself")).await.expect_err("it is stopped");
    let error = Error::of(&status).expect("the broker's error");
    assert_eq!((error.reason(), error.fault()), (Reason::TrunkEnded, Fault::Peer));
    assert!(matches!(error.trunk_end(), Some(EndReason::Silent)), "{error:?}");
    let end = assert_over(&plugin, other).await;
    // A process that is stopped gets no other signal.
    assert_eq!(signal_of(end), Some(Signal::KILL.as_raw()));
}

#[tokio::test]
async fn without_keep_alive_a_plugin_that_is_stopped_is_left_alone_and_goes_on() {
    let plugin = good().await;
    kill(plugin.pid(), Signal::STOP);
    eventually("it is stopped", || (state(plugin.pid()) == Some('T')).then_some(())).await;
    assert_hangs(&plugin).await;
    kill(plugin.pid(), Signal::CONT);
    assert_works(&plugin).await;
    stop(plugin).await;
}

#[tokio::test]
async fn a_handler_that_blocks_its_runtime_is_ended_by_the_ladder() {
    let capture = Capture::start();
    let (plugin, other) = (accomplice().await, good().await);
    let blocked = async {
        capture.line("blocked").await;
        assert_hangs(&plugin).await;
        assert_works(&other).await;
        within(plugin.stop()).await
    };
    let (status, end) = within(async { tokio::join!(tell(&plugin, "block"), blocked) }).await;
    let error = status.map_err(|status| Error::of(&status).expect("the broker's").reason());
    assert_eq!(error, Err(Reason::TrunkEnded));
    assert_eq!((end.cause, signal_of(end)), (EndCause::Stopped, Some(Signal::TERM.as_raw())));
    assert_over(&plugin, other).await;
}

#[tokio::test]
async fn a_child_that_holds_the_output_dies_with_the_plugin() {
    let (plugin, other) = (good().await, good().await);
    let child = tell(&plugin, "leave-a-child").await.expect("a child");
    let child = child.parse().expect("a process id");
    assert!(is_running(child));
    let end = within(plugin.stop()).await;
    assert_eq!(end.exit.and_then(|exit| exit.code), Some(0));
    eventually("the child is gone", || (!is_running(child)).then_some(())).await;
    assert_over(&plugin, other).await;
}

#[tokio::test]
async fn a_descendant_in_another_group_that_holds_the_output_keeps_nothing_waiting() {
    let (plugin, other) = (good().await, good().await);
    let child = tell(&plugin, "leave-a-child in another group").await.expect("a child");
    let child = child.parse().expect("a process id");
    let end = within(plugin.stop()).await;
    assert_eq!(end.exit.and_then(|exit| exit.code), Some(0));
    assert!(is_running(child), "it has left the plugin's group, as services do");
    kill(child, Signal::KILL);
    assert_over(&plugin, other).await;
}

#[tokio::test]
async fn a_child_that_holds_the_trunk_does_not_hide_that_the_plugin_is_gone() {
    let capture = Capture::start();
    let (plugin, other) = (criminal("leaves-the-trunk-to-a-child").await, good().await);
    assert_died(&failure(&plugin).await, Some(6), None);
    let child = capture.line("child ").await.parse().expect("a process id");
    eventually("the child is gone", || (!is_running(child)).then_some(())).await;
    assert_over(&plugin, other).await;
}

#[tokio::test]
async fn a_stranger_that_holds_trunk_and_output_does_not_hide_that_the_plugin_is_gone() {
    let capture = Capture::start();
    let (plugin, other) = (criminal("leaves-the-trunk-to-another-group").await, good().await);
    assert_died(&failure(&plugin).await, Some(6), None);
    let stranger = capture.line("child ").await.parse().expect("a process id");
    within(plugin.ended()).await;
    assert!(is_running(stranger), "it has left the plugin's group");
    kill(stranger, Signal::KILL);
    assert_over(&plugin, other).await;
}
