//! The keep-alive, on a clock that only the tests move.

use std::time::Duration;

use super::At;
use super::Pair;
use super::config;
use super::peer::Peer;
use super::peer::hello;
use crate::broker::protocol::Code;
use crate::broker::protocol::Connection;
use crate::broker::protocol::EndReason;
use crate::broker::protocol::Event;
use crate::broker::protocol::Frame;
use crate::broker::protocol::Limits;
use crate::broker::protocol::Role;

const INTERVAL: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(5);

fn peer() -> Peer {
    let mut peer = Peer::new(Limits::default());
    let mut config = config(Role::Host, Limits::default());
    config.keep_alive = Some((INTERVAL, PATIENCE));
    peer.machine = Connection::new(config, peer.now);
    peer.send(hello());
    peer.sent();
    peer.events();
    peer
}

#[test]
fn a_silent_peer_is_asked_and_then_given_up() {
    let mut peer = peer();
    let asked = peer.now + INTERVAL;
    assert_eq!(peer.machine.poll_timeout(), Some(asked));
    peer.machine.handle_timeout(asked);
    assert!(matches!(peer.sent()[..], [Frame::Ping(_)]));
    let given_up = asked + PATIENCE;
    assert_eq!(peer.machine.poll_timeout(), Some(given_up));
    peer.machine.handle_timeout(given_up - Duration::from_nanos(1));
    assert!(peer.machine.ended().is_none());
    peer.machine.handle_timeout(given_up);
    assert!(matches!(peer.machine.ended(), Some(EndReason::Silent)));
    assert!(matches!(peer.sent()[..], [Frame::GoAway { code: Code::Deadline, .. }]));
}

#[test]
fn any_frame_is_a_sign_of_life() {
    let mut peer = peer();
    let asked = peer.now + INTERVAL;
    peer.machine.handle_timeout(asked);
    peer.now = asked + PATIENCE - Duration::from_nanos(1);
    peer.send(Frame::Ping(1));
    peer.machine.handle_timeout(asked + PATIENCE);
    assert!(peer.machine.ended().is_none());
    assert_eq!(peer.machine.poll_timeout(), Some(peer.now + INTERVAL));
}

#[test]
fn a_peer_that_speaks_is_not_asked() {
    let mut peer = peer();
    for _ in 0..100 {
        peer.now += INTERVAL - Duration::from_secs(1);
        let now = peer.now;
        peer.machine.handle_timeout(now);
        peer.send(Frame::Pong(9));
    }
    assert!(peer.sent().is_empty());
}

#[test]
fn a_timeout_that_comes_early_or_twice_does_nothing() {
    let mut peer = peer();
    let asked = peer.now + INTERVAL;
    for early in [peer.now, asked - Duration::from_nanos(1)] {
        peer.machine.handle_timeout(early);
        assert!(peer.sent().is_empty());
    }
    peer.machine.handle_timeout(asked);
    peer.machine.handle_timeout(asked);
    assert_eq!(peer.sent().len(), 1);
}

#[test]
fn without_a_keep_alive_there_is_no_timer() {
    let mut peer = Peer::connected();
    assert_eq!(peer.machine.poll_timeout(), None);
    let later = peer.now + Duration::from_secs(1_000_000);
    peer.machine.handle_timeout(later);
    assert!(peer.sent().is_empty());
}

#[test]
fn two_idle_ends_keep_each_other_alive_and_hear_nothing_of_it() {
    let keeping = |role| {
        let mut config = config(role, Limits::default());
        config.keep_alive = Some((INTERVAL, PATIENCE));
        config
    };
    let mut pair = Pair::new(keeping(Role::Host), keeping(Role::Plugin));
    pair.delay = [Duration::from_secs(2), Duration::from_secs(2)];
    let end = pair.now + 20 * INTERVAL;
    let steps = (0..10_000).take_while(|_| pair.now < end && pair.step());
    assert!(steps.count() < 10_000, "time stands still");
    for at in At::BOTH {
        assert!(pair.at(at).ended().is_none());
        assert!(matches!(pair.events(at)[..], [Event::Connected]));
    }
}

#[test]
fn a_wire_that_is_slower_than_the_patience_is_as_good_as_cut() {
    let mut slow = config(Role::Host, Limits::default());
    slow.keep_alive = Some((INTERVAL, PATIENCE));
    let mut pair = Pair::new(slow, config(Role::Plugin, Limits::default()));
    pair.settle();
    pair.delay = [PATIENCE; 2];
    let steps = (0..1000).take_while(|_| pair.host().ended().is_none() && pair.step());
    assert!(steps.count() < 1000, "it waits for good");
    assert!(matches!(pair.host().ended(), Some(EndReason::Silent)));
}

#[test]
fn an_answer_to_a_ping_of_the_application_is_an_event() {
    let mut pair = Pair::connected();
    pair.host().ping(41).expect("alive");
    pair.settle();
    assert!(matches!(pair.events(At::Host)[..], [Event::Pong(41)]));
    assert!(pair.events(At::Plugin).is_empty());
}

#[test]
fn durations_that_no_clock_can_express_are_without_end() {
    let mut peer = Peer::new(Limits::default());
    let mut config = config(Role::Host, Limits::default());
    config.hello_timeout = Duration::MAX;
    config.keep_alive = Some((Duration::MAX, Duration::MAX));
    peer.machine = Connection::new(config, peer.now);
    let decade = Duration::from_secs(10 * 365 * 24 * 60 * 60);
    peer.now += decade;
    peer.machine.handle_timeout(peer.now);
    peer.send(hello());
    peer.now += decade;
    peer.machine.handle_timeout(peer.now);
    assert!(peer.machine.ended().is_none());
    assert!(peer.machine.poll_timeout().is_some_and(|due| due > peer.now + decade));
}
