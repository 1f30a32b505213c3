//! Hellos: what fits, and what is said when it does not.

use super::ours;
use super::raw;
use super::raw::BOTH_WAYS;
use super::raw::Way;
use super::raw::frames::control;
use super::raw::frames::data;
use super::raw::frames::end;
use super::raw::frames::open_named;
use super::raw::frames::ping;
use super::raw::start;
use super::raw::wire;
use super::raw::wire::Code;
use super::raw::wire::Frame;
use super::raw::wire::frame::Control;
use trunkline::ConnectError;
use trunkline::EndReason;
use trunkline::Incompatible;
use trunkline::Role;
use trunkline::Violation;

/// The hello of a plugin.
pub fn hello() -> wire::Hello {
    raw::answer_to(&wire::Hello { role: wire::Role::Host.into(), ..wire::Hello::default() })
}

/// What the peer says first ends the trunk before it is up.
async fn greets(first: Frame, code: Code) -> EndReason {
    let mut ends = Vec::new();
    for way in BOTH_WAYS {
        let (ours, mut peer) = start(way, ours().run(uuid(1))).await;
        assert!(matches!(peer.expect_control().await, Control::Hello(_)));
        peer.send(first.clone()).await;
        peer.expect_farewell(code).await;
        match ours.await.expect("no panic") {
            Err(ConnectError::Ended(reason)) => ends.push(reason),
            other => panic!("{other:?}"),
        }
    }
    ends.remove(0)
}

fn uuid(tag: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(tag)
}

#[track_caller]
fn assert_violation(end: EndReason, expected: Violation) {
    match end {
        EndReason::Violation(found) => assert_eq!(found, expected),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_before_the_hello_is_a_violation() {
    for frame in [ping(1), open_named(2, "x"), data(3, b"x"), end(2)] {
        let reason = greets(frame, Code::Protocol).await;
        assert_violation(reason, Violation::FrameBeforeHello);
    }
}

#[tokio::test(start_paused = true)]
async fn going_away_before_the_hello_is_a_violation() {
    let reason = greets(raw::frames::go_away(Code::GoingAway), Code::Protocol).await;
    assert_violation(reason, Violation::FrameBeforeHello);
}

#[tokio::test(start_paused = true)]
async fn no_common_version_is_told_with_both_ranges() {
    let newer = wire::Hello { min_version: 2, max_version: 3, ..hello() };
    match greets(control(Control::Hello(newer)), Code::Version).await {
        EndReason::Incompatible(Incompatible::Version { ours, theirs }) => {
            assert_eq!((ours, theirs), ((1, 1), (2, 3)));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_finds_no_common_version_is_believed() {
    for way in BOTH_WAYS {
        let (ours, mut peer) = start(way, ours()).await;
        assert!(matches!(peer.expect_control().await, Control::Hello(_)));
        peer.send(raw::frames::go_away(Code::Version)).await;
        match ours.await.expect("no panic") {
            Err(ConnectError::Ended(EndReason::Accused { code, message })) => {
                assert_eq!(code, trunkline::Code::Version);
                assert_eq!(&*message, "the script says so");
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(peer.next().await, Ok(None)), "no more is said");
    }
}

#[tokio::test(start_paused = true)]
async fn a_range_of_versions_that_holds_ours_is_agreed_on() {
    let (ours, mut peer) = start(Way::WeDial, ours()).await;
    assert!(matches!(peer.expect_control().await, Control::Hello(_)));
    let wide = wire::Hello {
        min_version: 1,
        max_version: 9,
        features: vec!["new in version 9".into()],
        ..hello()
    };
    peer.send(control(Control::Hello(wide))).await;
    let broker = ours.await.expect("no panic").expect("a trunk");
    assert_eq!(broker.peer().name, "raw");
}

#[tokio::test(start_paused = true)]
async fn two_ends_of_one_role_do_not_fit() {
    let twin = wire::Hello { role: wire::Role::Host.into(), ..hello() };
    match greets(control(Control::Hello(twin)), Code::Protocol).await {
        EndReason::Incompatible(Incompatible::SameRole(role)) => assert_eq!(role, Role::Host),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn two_ends_of_different_runs_do_not_fit() {
    let other = wire::Hello { run: uuid(2).as_bytes().to_vec(), ..hello() };
    match greets(control(Control::Hello(other)), Code::Protocol).await {
        EndReason::Incompatible(Incompatible::OtherRun) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn limits_that_no_stream_could_work_with_are_a_violation() {
    let limits = hello().limits.expect("limits");
    let unworkable = [
        wire::Limits { initial_window: 1 << 31, ..limits },
        wire::Limits { initial_window: 1023, ..limits },
        wire::Limits { frame_data: 1023, ..limits },
        wire::Limits { metadata: 1023, ..limits },
    ];
    for limits in unworkable {
        let hello = wire::Hello { limits: Some(limits), ..hello() };
        let reason = greets(control(Control::Hello(hello)), Code::Protocol).await;
        assert_violation(reason, Violation::BadLimits);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hello_without_role_or_limits_or_with_a_broken_run_is_malformed() {
    let hellos = [
        wire::Hello { limits: None, ..hello() },
        wire::Hello { role: 0, ..hello() },
        wire::Hello { role: 99, ..hello() },
        wire::Hello { run: vec![1; 5], ..hello() },
    ];
    for hello in hellos {
        let reason = greets(control(Control::Hello(hello)), Code::Protocol).await;
        assert_violation(reason, Violation::Malformed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_without_a_hello_is_given_up() {
    for way in BOTH_WAYS {
        let limit = std::time::Duration::from_secs(3);
        let (ours, mut peer) = start(way, ours().hello_timeout(limit)).await;
        let begin = tokio::time::Instant::now();
        assert!(matches!(peer.expect_control().await, Control::Hello(_)));
        let error = ours.await.expect("no panic").expect_err("no trunk");
        assert!(begin.elapsed() <= limit, "{:?}", begin.elapsed());
        assert!(
            matches!(
                error,
                ConnectError::Timeout(_) | ConnectError::Ended(EndReason::HelloTimeout)
            ),
            "{error:?}"
        );
        peer.expect_farewell(Code::Deadline).await;
    }
}
