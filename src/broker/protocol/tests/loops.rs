//! What is done a million times and must leave no trace.

use super::At;
use super::Pair;
use super::call;
use super::peer::Peer;
use crate::broker::protocol::ChannelKey;
use crate::broker::protocol::Code;
use crate::broker::protocol::Connection;
use crate::broker::protocol::Counts;
use crate::broker::protocol::Event;
use crate::broker::protocol::Frame;
use crate::broker::protocol::Kind;
use crate::broker::protocol::Limits;
use crate::broker::protocol::Target;
use crate::broker::protocol::limits::MAX_CONTROL_BACKLOG;

/// A million, eight at a time: most of what it takes is asking for the next
/// frame and the next event.
const ROUNDS: usize = 125_000;
const AT_ONCE: usize = 8;

/// Frames from one machine to the other, with nothing kept for looking at.
fn move_all(from: &mut Connection, to: &mut Connection, now: std::time::Instant) {
    while let Some(frame) = from.poll_transmit() {
        to.handle_frame(frame, now);
    }
}

fn open(machine: &mut Connection) -> ChannelKey {
    let opened = machine.open(Target::Registered(1), Kind::Calls);
    opened.expect("may open").0
}

#[test]
fn a_million_refused_opens_leave_no_trace() {
    let mut pair = Pair::connected();
    let now = pair.now;
    let [host, plugin] = &mut pair.machines;
    let mut tables = None;
    for round in 0..ROUNDS {
        let channels: [_; AT_ONCE] = std::array::from_fn(|_| open(host));
        move_all(host, plugin, now);
        while let Some(event) = plugin.poll_event() {
            if let Event::Opened { channel, .. } = event {
                plugin.refuse(channel, Code::Denied);
            }
        }
        move_all(plugin, host, now);
        for channel in channels {
            assert!(matches!(host.poll_event(), Some(Event::Closed { .. })));
            host.close(channel, Code::Done);
        }
        if round == 10 {
            tables = Some((host.tables(), plugin.tables()));
        }
    }
    assert_eq!(Some((host.tables(), plugin.tables())), tables);
    pair.assert_nothing_left();
}

#[test]
fn a_million_dropped_calls_leave_no_trace() {
    let mut pair = Pair::connected();
    let opened = pair.open(At::Host, Kind::Calls);
    let now = pair.now;
    let [host, plugin] = &mut pair.machines;
    let mut tables = None;
    for round in 0..ROUNDS {
        let call = |_| host.call(opened.ours, call("")).expect("may call");
        let keys: [_; AT_ONCE] = std::array::from_fn(call);
        // Half of them before they have left, half while they are served.
        let (early, late) = keys.split_at(AT_ONCE / 2);
        for key in early {
            host.release(*key, Code::Cancelled);
        }
        move_all(host, plugin, now);
        for key in late {
            host.release(*key, Code::Cancelled);
        }
        move_all(host, plugin, now);
        while let Some(event) = plugin.poll_event() {
            if let Event::Called { stream, .. } = event {
                plugin.release(stream, Code::Failed);
            }
        }
        move_all(plugin, host, now);
        if round == 10 {
            tables = Some((host.tables(), plugin.tables()));
        }
    }
    assert_eq!(Some((host.tables(), plugin.tables())), tables);
    pair.host().close(opened.ours, Code::Done);
    pair.assert_nothing_left();
}

#[test]
fn tables_that_were_large_give_their_memory_back() {
    let mut pair = Pair::connected();
    let before = pair.host().tables();
    let channels: Vec<_> = (0..5000).map(|_| open(pair.host())).collect();
    let calls: Vec<_> = channels
        .iter()
        .take(2000)
        .map(|channel| pair.host().call(*channel, call("/m")).expect("may call"))
        .collect();
    pair.settle();
    assert!(pair.host().tables().capacity > 20_000);
    for key in calls {
        pair.host().release(key, Code::Cancelled);
    }
    for channel in channels {
        pair.host().close(channel, Code::Done);
    }
    pair.settle();
    for event in pair.events(At::Plugin) {
        if let Event::Called { stream, .. } = event {
            pair.plugin().release(stream, Code::Failed);
        }
    }
    pair.assert_nothing_left();
    for at in At::BOTH {
        let after = pair.at(at).tables();
        assert!(after.capacity < before.capacity + 2000, "{before:?} {after:?}");
    }
}

/// A machine whose transport takes nothing, doing `work` over and over.
fn stalled(work: impl Fn(&mut Connection)) -> Connection {
    let mut peer = Peer::connected_with(Limits::default());
    for _ in 0..200_000 {
        work(&mut peer.machine);
        let counts = peer.machine.counts();
        let bound = 2 * Limits::default().channels as usize;
        assert!(counts.backlog <= bound, "{counts:?}");
        while peer.machine.poll_event().is_some() {}
    }
    peer.machine
}

#[test]
fn opening_and_closing_without_a_transport_that_takes_frames_meets_the_limit() {
    let machine = stalled(|machine| {
        if let Ok((channel, _)) = machine.open(Target::Registered(1), Kind::Calls) {
            machine.close(channel, Code::Done);
        }
    });
    let expected = Limits::default().channels as usize;
    assert_eq!(machine.counts().backlog, expected);
    let mut machine = machine;
    assert_eq!(machine.poll_transmit(), None, "and all of it is about nothing");
    assert_eq!(machine.counts(), Counts::default());
    assert_eq!(machine.tables().entries, 0);
}

#[test]
fn opening_and_dropping_byte_streams_without_a_transport_meets_the_limit() {
    let mut machine = stalled(|machine| {
        if let Ok((_, stream)) = machine.open(Target::Registered(1), Kind::Bytes) {
            machine.release(stream.expect("a stream"), Code::Cancelled);
        }
    });
    assert_eq!(machine.poll_transmit(), None);
    assert_eq!(machine.counts(), Counts::default());
    assert_eq!(machine.tables().entries, 0);
}

#[test]
fn calling_and_cancelling_without_a_transport_that_takes_frames_grows_nothing() {
    let mut peer = Peer::connected();
    let channel = open(&mut peer.machine);
    assert!(matches!(peer.sent()[..], [Frame::Open { .. }]));
    let mut tables = None;
    for round in 0..200_000 {
        let key = peer.machine.call(channel, call("/m")).expect("may call");
        peer.machine.release(key, Code::Cancelled);
        if round == 10 {
            tables = Some(peer.machine.tables());
        }
    }
    assert_eq!(Some(peer.machine.tables()), tables);
}

#[test]
fn pinging_without_a_transport_that_takes_frames_meets_a_limit() {
    let machine = stalled(|machine| {
        let _ = machine.ping(1);
    });
    assert!(machine.counts().backlog <= MAX_CONTROL_BACKLOG);
}

#[test]
fn a_dropped_call_that_was_sent_costs_one_reset_however_long_the_transport_stalls() {
    let mut peer = Peer::connected();
    let channel = open(&mut peer.machine);
    let keys: Vec<_> =
        (0..100).map(|_| peer.machine.call(channel, call("/m")).expect("may call")).collect();
    peer.sent();
    for key in keys {
        peer.machine.release(key, Code::Cancelled);
        peer.machine.release(key, Code::Cancelled);
        peer.machine.reset(key, Code::Cancelled);
    }
    assert_eq!(peer.machine.counts().backlog, 100);
}
