//! The end of a trunk: who waits is told at once and why, and nothing is left.

use std::sync::Arc;

use super::At;
use super::Opened;
use super::Pair;
use super::Reached;
use super::call;
use super::ok;
use super::read;
use super::zeros;
use crate::broker::protocol::Code;
use crate::broker::protocol::End;
use crate::broker::protocol::EndReason;
use crate::broker::protocol::Event;
use crate::broker::protocol::Frame;
use crate::broker::protocol::Kind;
use crate::broker::protocol::Read;
use crate::broker::protocol::StreamError;
use crate::broker::protocol::StreamKey;
use crate::broker::protocol::Target;

/// A trunk with a call and a byte stream in each direction, of which this
/// returns all keys.
fn busy() -> (Pair, Vec<(At, StreamKey)>, Opened) {
    let mut pair = Pair::connected();
    let mut keys = Vec::new();
    let mut last = None;
    for at in At::BOTH {
        let opened = pair.open(at, Kind::Calls);
        let (caller, callee) = pair.call(at, opened.ours);
        let bytes = pair.open(at, Kind::Bytes);
        let ours = bytes.our_stream.expect("a stream");
        let theirs = bytes.their_stream.expect("a stream");
        pair.at(at).write(ours, zeros(10)).expect("open");
        keys.extend([(at, caller), (at.other(), callee)]);
        keys.extend([(at, ours), (at.other(), theirs)]);
        last = Some(opened);
    }
    pair.settle();
    pair.events(At::Host);
    pair.events(At::Plugin);
    (pair, keys, last.expect("two"))
}

fn assert_all_failed(
    pair: &mut Pair,
    at: At,
    keys: &[(At, StreamKey)],
    is: fn(&EndReason) -> bool,
) {
    let ours: Vec<_> = keys.iter().filter(|(of, _)| *of == at).collect();
    let events = pair.events(at);
    assert!(matches!(events.last(), Some(Event::Ended)));
    for (_, key) in &ours {
        let Some(StreamError::Trunk(reason)) = pair.at(at).failure(*key) else {
            panic!("{:?}", pair.at(at).failure(*key));
        };
        assert!(is(&reason), "{reason:?}");
        let told = |event: &Event| matches!(event, Event::Changed(it) if it == key);
        assert_eq!(events.iter().filter(|it| told(it)).count(), 1);
        assert!(matches!(pair.at(at).read(*key), Err(StreamError::Trunk(_))));
    }
    for (_, key) in ours {
        pair.at(at).release(*key, Code::Cancelled);
    }
}

#[test]
fn a_close_fails_every_stream_at_both_ends_at_once_and_leaves_nothing() {
    let (mut pair, keys, _) = busy();
    pair.host().shut();
    assert_all_failed(&mut pair, At::Host, &keys, |it| matches!(it, EndReason::Closed));
    pair.settle();
    assert_all_failed(&mut pair, At::Plugin, &keys, |it| matches!(it, EndReason::PeerClosed));
    pair.assert_nothing_left();
}

#[test]
fn a_lost_connection_fails_every_stream_with_its_cause_and_leaves_nothing() {
    let (mut pair, keys, _) = busy();
    let cause = std::io::Error::other("exit status 9");
    for at in At::BOTH {
        let cause = EndReason::Lost(Some(Arc::new(std::io::Error::other(cause.to_string()))));
        pair.at(at).handle_lost(cause);
        assert_all_failed(
            &mut pair,
            at,
            &keys,
            |it| matches!(it, EndReason::Lost(Some(cause)) if cause.to_string() == "exit status 9"),
        );
        assert_eq!(pair.at(at).poll_transmit(), None, "there is nobody to tell");
    }
    pair.assert_nothing_left();
}

#[test]
fn a_violation_fails_every_stream_at_both_ends_and_leaves_nothing() {
    let (mut pair, keys, _) = busy();
    let now = pair.now;
    pair.host().handle_frame(super::peer::hello(), now);
    assert_all_failed(&mut pair, At::Host, &keys, |it| matches!(it, EndReason::Violation(_)));
    pair.settle();
    assert_all_failed(
        &mut pair,
        At::Plugin,
        &keys,
        |it| matches!(it, EndReason::Accused { code: Code::Protocol, message } if !message.is_empty()),
    );
    pair.assert_nothing_left();
}

#[test]
fn the_first_reason_stays() {
    let mut pair = Pair::connected();
    pair.host().shut();
    pair.host().handle_lost(EndReason::Lost(None));
    assert!(matches!(pair.host().ended(), Some(EndReason::Closed)));
    let ended = |event: &Event| matches!(event, Event::Ended);
    assert_eq!(pair.events(At::Host).iter().filter(|it| ended(it)).count(), 1);
}

#[test]
fn the_farewell_goes_out_before_anything_that_still_waits() {
    let (mut pair, _, _) = busy();
    let opened = pair.open(At::Host, Kind::Bytes);
    let stream = opened.our_stream.expect("a stream");
    pair.host().write(stream, zeros(100_000)).expect("open");
    pair.host().ping(1).expect("alive");
    pair.host().shut();
    let frames = pair.pass(At::Host);
    assert!(matches!(frames[..], [Frame::GoAway { code: Code::Done, .. }]), "{frames:?}");
}

#[test]
fn what_has_arrived_whole_can_still_be_read() {
    let mut pair = Pair::connected();
    let opened = pair.open(At::Host, Kind::Calls);
    let (caller, callee) = pair.call(At::Host, opened.ours);
    pair.plugin().respond(callee, ok()).expect("open");
    pair.plugin().write(callee, zeros(500)).expect("open");
    pair.plugin().finish(callee, End::default()).expect("open");
    let bytes = pair.open(At::Host, Kind::Bytes);
    let (ours, theirs) = (bytes.our_stream, bytes.their_stream);
    let (ours, theirs) = (ours.expect("a stream"), theirs.expect("a stream"));
    pair.plugin().write(theirs, zeros(700)).expect("open");
    pair.plugin().finish(theirs, End::default()).expect("open");
    pair.settle();
    pair.host().handle_lost(EndReason::Lost(None));

    assert!(pair.host().read_head(caller).expect("arrived").is_some());
    for (key, expected) in [(caller, 500), (ours, 700)] {
        let (bytes, reached) = read(pair.host(), key);
        assert_eq!(bytes.len(), expected);
        assert!(matches!(reached, Reached::End(Some(_))));
        pair.host().release(key, Code::Cancelled);
    }
    assert_eq!(pair.host().tables().entries, 0);
}

#[test]
fn what_has_arrived_in_part_is_an_error_and_never_a_short_end() {
    let mut pair = Pair::connected();
    let opened = pair.open(At::Host, Kind::Bytes);
    let (ours, theirs) = (opened.our_stream, opened.their_stream);
    let (ours, theirs) = (ours.expect("a stream"), theirs.expect("a stream"));
    pair.plugin().write(theirs, zeros(700)).expect("open");
    pair.settle();
    pair.plugin().finish(theirs, End::default()).expect("open");
    pair.plugin().shut();
    pair.settle();
    assert!(matches!(pair.host().read(ours), Err(StreamError::Trunk(EndReason::PeerClosed))));
    assert_eq!(pair.host().buffered(), 0);
}

#[test]
fn nothing_can_be_begun_on_a_trunk_that_has_ended() {
    let (mut pair, keys, opened) = busy();
    pair.plugin().shut();
    let machine = pair.plugin();
    let target = Target::Registered(1);
    let expect = |result: Result<(), StreamError>| {
        assert!(matches!(result, Err(StreamError::Trunk(EndReason::Closed))));
    };
    expect(machine.open(target.clone(), Kind::Calls).map(|_| ()));
    expect(machine.open(target, Kind::Bytes).map(|_| ()));
    expect(machine.call(opened.ours, call("/m")).map(|_| ()));
    expect(machine.check_channel(opened.ours));
    expect(machine.ping(1));
    let ours = keys.iter().filter(|(at, _)| *at == At::Plugin);
    for (_, key) in ours {
        expect(machine.write(*key, zeros(1)));
        expect(machine.finish(*key, End::default()));
    }
    machine.go_away(String::new());
    machine.close(opened.ours, Code::Done);
    assert_eq!(machine.poll_timeout(), None);
    let frames = pair.pass(At::Plugin);
    assert_eq!(frames.len(), 1, "the farewell: {frames:?}");
}

#[test]
fn a_channel_that_was_never_announced_ends_with_the_trunk_too() {
    let mut pair = Pair::connected();
    let opened = pair.host().open(Target::Registered(1), Kind::Bytes);
    let (_, stream) = opened.expect("may open");
    let stream = stream.expect("a stream");
    pair.host().shut();
    assert!(matches!(pair.host().read(stream), Err(StreamError::Trunk(EndReason::Closed))));
    pair.host().release(stream, Code::Cancelled);
    pair.assert_nothing_left();
}

#[test]
fn reading_what_was_complete_gives_no_credit_to_a_trunk_that_has_ended() {
    let mut pair = Pair::connected();
    let opened = pair.open(At::Host, Kind::Bytes);
    let (ours, theirs) = (opened.our_stream, opened.their_stream);
    let (ours, theirs) = (ours.expect("a stream"), theirs.expect("a stream"));
    pair.plugin().write(theirs, zeros(16_000)).expect("open");
    pair.plugin().finish(theirs, End::default()).expect("open");
    pair.settle();
    pair.host().handle_lost(EndReason::Lost(None));
    assert!(matches!(pair.host().read(ours), Ok(Read::Data(_))));
    assert_eq!(pair.host().poll_transmit(), None);
}
