//! What honest peers do and what must not be held against them: frames that
//! crossed an end on their way.

use super::At;
use super::Pair;
use super::call;
use super::ok;
use super::peer::Peer;
use super::peer::close;
use super::peer::credit;
use super::peer::data;
use super::peer::end;
use super::peer::open;
use super::peer::open_kind;
use super::peer::request;
use super::peer::reset;
use super::peer::response;
use super::read;
use super::zeros;
use crate::broker::protocol::Code;
use crate::broker::protocol::End;
use crate::broker::protocol::Frame;
use crate::broker::protocol::Kind;
use crate::broker::protocol::Limits;
use crate::broker::protocol::Target;
use crate::broker::protocol::limits::MAX_CREDIT;

fn assert_none_ended(pair: &mut Pair) {
    for at in At::BOTH {
        assert!(pair.at(at).ended().is_none(), "{:?}", pair.at(at).ended());
    }
}

/// All that may be said about a stream that is open.
fn anything(stream: u64) -> Vec<Frame> {
    vec![data(stream, 10), credit(stream, 10), end(stream), reset(stream)]
}

#[test]
fn frames_for_a_call_of_the_peer_that_was_reset_are_late_and_not_wrong() {
    let mut peer = Peer::connected();
    peer.send_all([open(2), request(4, 2), reset(4)]);
    peer.send_all(anything(4));
    assert_eq!(peer.violation(), None);
}

#[test]
fn frames_for_a_call_that_this_side_refused_are_late_and_not_wrong() {
    let mut peer = Peer::connected();
    peer.machine.go_away(String::new());
    peer.send_all([open(2), request(4, 2)]);
    let refused = |frame: &Frame| matches!(frame, Frame::Reset { stream, .. } if stream.get() == 4);
    assert!(peer.sent().iter().any(refused));
    peer.send_all(anything(4));
    assert_eq!(peer.violation(), None);
}

#[test]
fn frames_for_a_channel_that_is_closed_are_late_and_not_wrong() {
    let mut peer = Peer::connected();
    peer.send_all([open(2), request(4, 2), open_kind(6, Kind::Bytes)]);
    peer.send_all([close(2), close(6)]);
    peer.send_all(anything(4));
    peer.send_all(anything(6));
    peer.send_all([request(8, 2), data(8, 10), end(8), close(2), close(6)]);
    assert_eq!(peer.violation(), None);
    assert_eq!(peer.machine.counts().channels, 0);
}

#[test]
fn answers_to_a_call_that_was_cancelled_are_late_and_not_wrong() {
    let mut peer = Peer::connected();
    let target = Target::Registered(1);
    let (channel, _) = peer.machine.open(target, Kind::Calls).expect("may open");
    let key = peer.machine.call(channel, call("/m")).expect("may call");
    peer.sent();
    peer.machine.release(key, Code::Cancelled);
    peer.send(response(3));
    peer.send_all(anything(3));
    peer.machine.close(channel, Code::Done);
    peer.send(close(1));
    assert_eq!(peer.violation(), None);
}

#[test]
fn a_request_that_goes_on_while_the_response_ends_is_not_wrong() {
    let mut pair = Pair::connected();
    let opened = pair.open(At::Host, Kind::Calls);
    let (caller, callee) = pair.call(At::Host, opened.ours);
    pair.plugin().respond(callee, ok()).expect("open");
    pair.plugin().finish(callee, End::default()).expect("open");
    pair.host().write(caller, zeros(100)).expect("open");
    pair.host().finish(caller, End::default()).expect("open");
    assert!(pair.transmit(At::Host) && pair.transmit(At::Plugin));
    pair.settle();
    assert_none_ended(&mut pair);
}

#[test]
fn a_cancel_that_crosses_the_response_is_not_wrong() {
    let mut pair = Pair::connected();
    let opened = pair.open(At::Host, Kind::Calls);
    let (caller, callee) = pair.call(At::Host, opened.ours);
    pair.plugin().respond(callee, ok()).expect("open");
    pair.plugin().finish(callee, End::default()).expect("open");
    pair.plugin().release(callee, Code::Failed);
    pair.host().release(caller, Code::Cancelled);
    assert!(pair.transmit(At::Host) && pair.transmit(At::Plugin));
    pair.host().close(opened.ours, Code::Done);
    pair.assert_nothing_left();
    assert_none_ended(&mut pair);
}

#[test]
fn credit_that_crosses_the_end_of_its_stream_is_not_wrong() {
    let mut pair = Pair::connected();
    let opened = pair.open(At::Host, Kind::Calls);
    let (caller, callee) = pair.call(At::Host, opened.ours);
    pair.plugin().respond(callee, ok()).expect("open");
    pair.plugin().write(callee, zeros(16_000)).expect("open");
    pair.settle();
    let (bytes, _) = read(pair.host(), caller);
    assert!(bytes.len() > 8 * 1024, "credit is owed");
    pair.plugin().finish(callee, End::default()).expect("open");
    assert!(pair.transmit(At::Host) && pair.transmit(At::Plugin));
    pair.settle();
    assert_none_ended(&mut pair);
}

#[test]
fn the_largest_windows_that_limits_allow_never_hold_more_credit_than_fits() {
    let limits = Limits {
        initial_window: MAX_CREDIT,
        max_window: MAX_CREDIT,
        shared_window: u64::MAX,
        ..Limits::default()
    };
    limits.check().expect("they are in range");
    let mut pair = Pair::connected_with(limits);
    let opened = pair.open(At::Host, Kind::Bytes);
    let (ours, theirs) = (opened.our_stream, opened.their_stream);
    let (ours, theirs) = (ours.expect("a stream"), theirs.expect("a stream"));
    // Half of the window, in a few shared chunks: nothing is allocated for it.
    let chunk = zeros(64 * 1024);
    for _ in 0..(MAX_CREDIT / 2) / (64 * 1024) + 2 {
        pair.host().write(ours, chunk.clone()).expect("open");
        assert!(pair.transmit(At::Host));
        pair.deliver(At::Host).expect("a frame");
        pair.plugin().read(theirs).expect("well");
    }
    pair.settle();
    assert_none_ended(&mut pair);
}
