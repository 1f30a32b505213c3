//! Numbers on the wire, and keys of slots that are used again.

use super::At;
use super::Pair;
use super::call;
use super::ok;
use super::read;
use super::zeros;
use crate::broker::protocol::Code;
use crate::broker::protocol::End;
use crate::broker::protocol::Frame;
use crate::broker::protocol::Head;
use crate::broker::protocol::Kind;
use crate::broker::protocol::StreamError;
use crate::broker::protocol::Target;

/// The number that a frame introduces.
fn introduced(frame: &Frame) -> Option<u64> {
    match frame {
        Frame::Open { channel, .. } => Some(channel.get()),
        Frame::Stream(frame) => match frame.head {
            Some(Head::Request(_)) => Some(frame.stream.get()),
            _ => None,
        },
        _ => None,
    }
}

#[test]
fn numbers_ascend_in_the_order_of_the_wire_however_commands_interleave() {
    let mut pair = Pair::connected();
    let first = pair.host().open(Target::Registered(1), Kind::Calls);
    let (first, _) = first.expect("may open");
    let mut frames = Vec::new();
    for round in 0..20 {
        let host = pair.host();
        host.call(first, call("/a")).expect("may call");
        let (channel, _) = host.open(Target::Registered(2), Kind::Calls).expect("may open");
        let key = host.call(channel, call("/b")).expect("may call");
        host.open(Target::Registered(3), Kind::Bytes).expect("may open");
        if round % 3 == 0 {
            host.release(key, Code::Cancelled);
        }
        if round % 4 == 0 {
            host.close(channel, Code::Done);
        }
        frames.extend((0..round % 5).filter_map(|_| pair.host().poll_transmit()));
    }
    frames.extend(std::iter::from_fn(|| pair.host().poll_transmit()));
    let numbers: Vec<u64> = frames.iter().filter_map(introduced).collect();
    assert!(numbers.len() > 50);
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    assert!(numbers.iter().all(|number| number % 2 == 1), "of the host");
}

#[test]
fn the_ends_choose_from_different_numbers() {
    let mut pair = Pair::connected();
    for at in At::BOTH {
        let opened = pair.at(at).open(Target::Registered(1), Kind::Calls);
        opened.expect("may open");
        let frames = pair.pass(at);
        let numbers: Vec<u64> = frames.iter().filter_map(introduced).collect();
        assert_eq!(numbers, [if at == At::Host { 1 } else { 2 }]);
    }
}

#[test]
fn the_key_of_a_call_that_is_over_does_nothing_to_the_next_in_its_slot() {
    let mut pair = Pair::connected();
    let opened = pair.open(At::Host, Kind::Calls);
    let (stale, stale_there) = pair.call(At::Host, opened.ours);
    pair.host().release(stale, Code::Cancelled);
    pair.settle();
    pair.plugin().release(stale_there, Code::Failed);
    let (fresh, fresh_there) = pair.call(At::Host, opened.ours);
    assert_eq!(stale.slot(), fresh.slot(), "the slot is used again");
    assert_eq!(stale_there.slot(), fresh_there.slot());

    for (at, stale) in [(At::Host, stale), (At::Plugin, stale_there)] {
        let machine = pair.at(at);
        let gone = |result| assert!(matches!(result, Err(StreamError::Local(Code::Closed))));
        gone(machine.write(stale, zeros(1)));
        gone(machine.finish(stale, End::default()));
        gone(machine.respond(stale, ok()));
        gone(machine.read(stale).map(|_| ()));
        gone(machine.read_head(stale).map(|_| ()));
        gone(machine.room(stale).map(|_| ()));
        gone(machine.is_flushed(stale).map(|_| ()));
        machine.reset(stale, Code::Cancelled);
        machine.release(stale, Code::Cancelled);
    }
    pair.settle();
    assert!(pair.host().failure(fresh).is_none());
    pair.plugin().respond(fresh_there, ok()).expect("open");
    pair.plugin().finish(fresh_there, End::default()).expect("open");
    pair.settle();
    let (bytes, _) = read(pair.host(), fresh);
    assert!(bytes.is_empty());
    assert!(pair.host().read_head(fresh).expect("well").is_some());
}

#[test]
fn credit_that_is_due_to_a_call_that_is_over_is_not_given_to_the_next_in_its_slot() {
    let mut pair = Pair::connected();
    let opened = pair.open(At::Host, Kind::Calls);
    let (caller, callee) = pair.call(At::Host, opened.ours);
    pair.host().write(caller, zeros(16_000)).expect("open");
    pair.settle();
    read(pair.plugin(), callee);
    pair.plugin().release(callee, Code::Failed);
    let frames = pair.pass(At::Plugin);
    assert!(
        matches!(frames[..], [Frame::Reset { .. }]),
        "the credit that waited is about nothing: {frames:?}"
    );
    assert_eq!(pair.plugin().tables().answers, 0);
}
