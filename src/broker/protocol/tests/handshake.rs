//! The hello: what must fit, what ends the trunk before it begins.

use super::At;
use super::HELLO_TIMEOUT;
use super::Pair;
use super::config;
use super::peer::Peer;
use super::peer::hello;
use super::peer::open;
use crate::broker::protocol::Code;
use crate::broker::protocol::Config;
use crate::broker::protocol::EndReason;
use crate::broker::protocol::Event;
use crate::broker::protocol::Frame;
use crate::broker::protocol::Incompatible;
use crate::broker::protocol::Kind;
use crate::broker::protocol::Limits;
use crate::broker::protocol::Role;
use crate::broker::protocol::StreamError;
use crate::broker::protocol::Target;
use crate::broker::protocol::Violation;

fn configs() -> (Config, Config) {
    let of = |role| config(role, Limits::default());
    (of(Role::Host), of(Role::Plugin))
}

fn reasons_of(host: Config, plugin: Config) -> [EndReason; 2] {
    let mut pair = Pair::new(host, plugin);
    pair.settle();
    At::BOTH.map(|at| pair.at(at).ended().expect("ended").clone())
}

#[test]
fn both_ends_agree_on_the_highest_common_version_and_the_common_features() {
    let (mut host, mut plugin) = configs();
    host.hello.versions = (1, 5);
    plugin.hello.versions = (3, 7);
    host.hello.features = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
    plugin.hello.features = vec!["c".to_owned(), "d".to_owned(), "a".to_owned()];
    let mut pair = Pair::new(host, plugin);
    pair.settle();
    for at in At::BOTH {
        let agreed = pair.at(at).agreed().expect("agreed");
        assert_eq!(agreed.version, 5);
        let mut features = agreed.features.clone();
        features.sort();
        assert_eq!(features, ["a", "c"]);
    }
}

#[test]
fn versions_without_overlap_end_the_trunk_at_both_ends_and_say_both_ranges() {
    let (mut host, mut plugin) = configs();
    host.hello.versions = (1, 2);
    plugin.hello.versions = (3, 4);
    let [at_host, at_plugin] = reasons_of(host, plugin);
    let expected = |reason, expected_ours, expected_theirs| match reason {
        EndReason::Incompatible(Incompatible::Version { ours, theirs }) => {
            assert_eq!((ours, theirs), (expected_ours, expected_theirs));
        }
        other => panic!("{other:?}"),
    };
    expected(at_host, (1, 2), (3, 4));
    expected(at_plugin, (3, 4), (1, 2));
}

#[test]
fn two_hosts_do_not_fit() {
    let (host, _) = configs();
    for reason in reasons_of(host.clone(), host) {
        let expected = Incompatible::SameRole(Role::Host);
        assert!(matches!(reason, EndReason::Incompatible(it) if it == expected));
    }
}

#[test]
fn a_plugin_of_another_run_does_not_fit() {
    let (mut host, mut plugin) = configs();
    host.hello.run = Some([1; 16]);
    plugin.hello.run = Some([2; 16]);
    for reason in reasons_of(host, plugin) {
        let expected = Incompatible::OtherRun;
        assert!(matches!(reason, EndReason::Incompatible(it) if it == expected));
    }
}

#[test]
fn a_run_that_only_one_end_knows_is_no_obstacle() {
    let (mut host, plugin) = configs();
    host.hello.run = Some([1; 16]);
    let mut pair = Pair::new(host, plugin);
    pair.settle();
    assert!(pair.plugin().agreed().is_some());
    assert!(pair.host().agreed().is_some());
}

#[test]
fn limits_that_no_stream_could_work_with_are_a_violation() {
    type Spoil = fn(&mut Limits);
    let spoils: [Spoil; 3] = [
        |limits| limits.initial_window = 1023,
        |limits| limits.frame_data = 0,
        |limits| limits.metadata = 1,
    ];
    for spoil in spoils {
        let mut limits = Limits::default();
        spoil(&mut limits);
        let mut peer = Peer::new(Limits::default());
        peer.send(Frame::Hello(config(Role::Plugin, limits).hello));
        assert_eq!(peer.violation(), Some(Violation::BadLimits));
    }
}

#[test]
fn a_frame_before_the_hello_is_a_violation() {
    let mut peer = Peer::new(Limits::default());
    peer.send(open(2));
    assert_eq!(peer.violation(), Some(Violation::FrameBeforeHello));
}

#[test]
fn a_second_hello_is_a_violation() {
    let mut peer = Peer::connected();
    peer.send(hello());
    assert_eq!(peer.violation(), Some(Violation::SecondHello));
}

#[test]
fn a_peer_that_says_no_hello_in_time_is_given_up_and_told_so() {
    let mut peer = Peer::new(Limits::default());
    let deadline = peer.now + HELLO_TIMEOUT;
    assert_eq!(peer.machine.poll_timeout(), Some(deadline));
    let just_before = deadline - std::time::Duration::from_nanos(1);
    peer.machine.handle_timeout(just_before);
    assert!(peer.machine.ended().is_none());
    peer.machine.handle_timeout(deadline);
    assert!(matches!(peer.machine.ended(), Some(EndReason::HelloTimeout)));
    assert!(matches!(peer.events()[..], [Event::Ended]));
    assert!(matches!(
        peer.sent()[..],
        [Frame::Hello(_), Frame::GoAway { code: Code::Deadline, .. }]
    ));
    assert_eq!(peer.machine.poll_timeout(), None);
}

#[test]
fn nothing_but_the_hello_is_said_to_a_peer_that_has_not_said_its_own() {
    let mut peer = Peer::new(Limits::default());
    assert!(matches!(peer.sent()[..], [Frame::Hello(_)]));
    peer.machine.ping(7).expect("may be asked for");
    assert!(peer.sent().is_empty());
    assert!(!peer.machine.wants_transmit());
    peer.send(hello());
    assert_eq!(peer.sent(), [Frame::Ping(7)]);
}

#[test]
fn nothing_can_be_opened_before_the_hellos_are_there() {
    let mut peer = Peer::new(Limits::default());
    let result = peer.machine.open(Target::Registered(1), Kind::Calls);
    assert!(matches!(result, Err(StreamError::Local(Code::Closed))));
}

#[test]
fn a_farewell_instead_of_a_hello_says_why_the_trunk_ended() {
    let mut peer = Peer::new(Limits::default());
    peer.send(Frame::GoAway { code: Code::Version, message: "too old".to_owned() });
    let Some(EndReason::Accused { code, message }) = peer.machine.ended() else {
        panic!("{:?}", peer.machine.ended());
    };
    assert_eq!((*code, message.as_ref()), (Code::Version, "too old"));
}

#[test]
fn the_hello_leaves_first_even_if_the_trunk_is_closed_before_it() {
    let mut peer = Peer::new(Limits::default());
    peer.machine.shut();
    let sent = peer.sent();
    assert!(matches!(sent[..], [Frame::Hello(_), Frame::GoAway { code: Code::Done, .. }]));
}
