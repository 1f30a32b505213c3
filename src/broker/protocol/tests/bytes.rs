//! Sub-channels that carry bytes: two directions, each with its own end.

use super::At;
use super::Pair;
use super::Reached;
use super::read;
use super::zeros;
use crate::broker::protocol::Code;
use crate::broker::protocol::Connection;
use crate::broker::protocol::End;
use crate::broker::protocol::Event;
use crate::broker::protocol::Frame;
use crate::broker::protocol::Kind;
use crate::broker::protocol::StreamError;
use crate::broker::protocol::StreamKey;
use crate::broker::protocol::Target;

fn duplex() -> (Pair, StreamKey, StreamKey) {
    let mut pair = Pair::connected();
    let opened = pair.open(At::Host, Kind::Bytes);
    let ours = opened.our_stream.expect("a stream");
    (pair, ours, opened.their_stream.expect("a stream"))
}

fn finish(machine: &mut Connection, key: StreamKey) {
    machine.finish(key, End::default()).expect("open");
}

#[test]
fn bytes_flow_before_anybody_has_answered() {
    let mut pair = Pair::connected();
    let opened = pair.host().open(Target::Registered(1), Kind::Bytes);
    let (_, stream) = opened.expect("may open");
    pair.host().write(stream.expect("a stream"), zeros(3)).expect("open");
    let frames = pair.pass(At::Host);
    assert!(matches!(frames[..], [Frame::Open { .. }, Frame::Stream(_)]));
}

#[test]
fn one_direction_can_end_while_the_other_goes_on() {
    let (mut pair, ours, theirs) = duplex();
    pair.host().write(ours, zeros(5)).expect("open");
    finish(pair.host(), ours);
    pair.settle();
    let (bytes, reached) = read(pair.plugin(), theirs);
    assert_eq!(bytes.len(), 5);
    assert!(matches!(reached, Reached::End(Some(_))));
    for _ in 0..3 {
        pair.plugin().write(theirs, zeros(7)).expect("still open");
        pair.settle();
        let (bytes, reached) = read(pair.host(), ours);
        assert_eq!(bytes.len(), 7);
        assert!(matches!(reached, Reached::Pause));
    }
    finish(pair.plugin(), theirs);
    pair.settle();
    let (_, reached) = read(pair.host(), ours);
    assert!(matches!(reached, Reached::End(Some(_))));
    pair.host().release(ours, Code::Cancelled);
    pair.plugin().release(theirs, Code::Cancelled);
    pair.assert_nothing_left();
}

#[test]
fn a_drop_without_an_end_is_a_reset_at_the_peer_and_never_a_clean_end() {
    let (mut pair, ours, theirs) = duplex();
    pair.host().write(ours, zeros(5)).expect("open");
    pair.settle();
    pair.host().release(ours, Code::Cancelled);
    pair.settle();
    let (_, reached) = read(pair.plugin(), theirs);
    assert!(matches!(reached, Reached::Failure(StreamError::Peer(Code::Cancelled))));
    pair.plugin().release(theirs, Code::Cancelled);
    pair.assert_nothing_left();
}

#[test]
fn an_end_and_a_drop_deliver_everything_and_then_reset_the_unread_direction() {
    let (mut pair, ours, theirs) = duplex();
    let total = 300_000;
    pair.host().write(ours, zeros(total)).expect("open");
    finish(pair.host(), ours);
    pair.host().release(ours, Code::Cancelled);
    pair.settle();
    let (arrived, reached) = pair.read_to_end(At::Plugin, theirs);
    assert!(matches!(reached, Reached::End(Some(_))), "{reached:?}");
    assert_eq!(arrived, total);
    assert!(matches!(
        pair.plugin().write(theirs, zeros(1)),
        Err(StreamError::Peer(Code::Cancelled))
    ));
    pair.plugin().release(theirs, Code::Cancelled);
    pair.assert_nothing_left();
}

#[test]
fn a_drop_after_the_end_has_left_resets_the_unread_direction_at_once() {
    let (mut pair, ours, theirs) = duplex();
    finish(pair.host(), ours);
    pair.settle();
    pair.host().release(ours, Code::Cancelled);
    pair.settle();
    let (_, reached) = read(pair.plugin(), theirs);
    assert!(matches!(reached, Reached::End(Some(_))), "it had ended well");
    assert!(matches!(
        pair.plugin().write(theirs, zeros(1)),
        Err(StreamError::Peer(Code::Cancelled))
    ));
    pair.plugin().release(theirs, Code::Cancelled);
    pair.assert_nothing_left();
}

#[test]
fn an_end_and_a_drop_deliver_everything_to_a_peer_that_writes_before_it_reads() {
    let (mut pair, ours, theirs) = duplex();
    let total = 200_000;
    pair.host().write(ours, zeros(total)).expect("open");
    finish(pair.host(), ours);
    pair.host().release(ours, Code::Cancelled);
    let mut read_so_far = 0;
    // An echo: it reads on only when what it wrote has left.
    for turn in 0.. {
        assert!(turn < 1000, "stuck after {read_so_far} bytes");
        pair.settle();
        let flushed = pair.plugin().is_flushed(theirs);
        if matches!(flushed, Ok(false)) {
            panic!("nobody reads the echo, and the rest waits for it");
        }
        let (bytes, reached) = read(pair.plugin(), theirs);
        read_so_far += bytes.len();
        if matches!(reached, Reached::End(_)) {
            break;
        }
        let _ = pair.plugin().write(theirs, bytes.into());
    }
    assert_eq!(read_so_far, total);
    pair.plugin().release(theirs, Code::Cancelled);
    pair.assert_nothing_left();
}

#[test]
fn both_ends_can_finish_and_drop_at_the_same_time() {
    let (mut pair, ours, theirs) = duplex();
    for (at, key) in [(At::Host, ours), (At::Plugin, theirs)] {
        pair.at(at).write(key, zeros(10)).expect("open");
        finish(pair.at(at), key);
        pair.at(at).release(key, Code::Cancelled);
    }
    pair.assert_nothing_left();
    for at in At::BOTH {
        assert!(pair.at(at).ended().is_none());
    }
}

#[test]
fn what_was_written_is_flushed_once_it_has_left() {
    let (mut pair, ours, _) = duplex();
    pair.host().write(ours, zeros(10)).expect("open");
    assert!(!pair.host().is_flushed(ours).expect("well"));
    pair.pass(At::Host);
    assert!(pair.host().is_flushed(ours).expect("well"));
    finish(pair.host(), ours);
    assert!(!pair.host().is_flushed(ours).expect("well"), "the end counts");
    pair.events(At::Host);
    pair.pass(At::Host);
    assert!(pair.host().is_flushed(ours).expect("well"));
    assert!(
        matches!(pair.events(At::Host)[..], [Event::Changed(key)] if key == ours),
        "who waits for the flush is told"
    );
}

#[test]
fn a_reset_from_both_sides_at_once_leaves_nothing() {
    let (mut pair, ours, theirs) = duplex();
    pair.host().reset(ours, Code::Cancelled);
    pair.plugin().reset(theirs, Code::Failed);
    assert!(pair.transmit(At::Host) && pair.transmit(At::Plugin));
    pair.settle();
    assert!(matches!(pair.host().failure(ours), Some(StreamError::Local(Code::Cancelled))));
    assert!(matches!(pair.plugin().failure(theirs), Some(StreamError::Local(Code::Failed))));
    pair.host().release(ours, Code::Cancelled);
    pair.plugin().release(theirs, Code::Cancelled);
    pair.assert_nothing_left();
}
