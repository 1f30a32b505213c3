//! Opening, refusing and closing sub-channels.

use super::At;
use super::Pair;
use super::call;
use super::peer::Peer;
use super::peer::close;
use super::peer::open;
use super::peer::request;
use crate::broker::protocol::Code;
use crate::broker::protocol::Event;
use crate::broker::protocol::Frame;
use crate::broker::protocol::Kind;
use crate::broker::protocol::StreamError;
use crate::broker::protocol::Target;

#[test]
fn an_open_tells_the_peer_the_name_or_the_id_and_waits_for_nothing() {
    for target in [Target::Service("log".to_owned()), Target::Registered(42)] {
        let mut pair = Pair::connected();
        let opened = pair.host().open(target.clone(), Kind::Calls);
        let (channel, stream) = opened.expect("may open");
        assert_eq!(stream, None);
        pair.host().check_channel(channel).expect("usable at once");
        let frames = pair.pass(At::Host);
        assert!(matches!(&frames[..], [Frame::Open { target: it, .. }] if *it == target));
        assert!(matches!(
            &pair.events(At::Plugin)[..],
            [Event::Opened { target: it, kind: Kind::Calls, stream: None, .. }] if *it == target
        ));
        assert!(pair.pass(At::Plugin).is_empty(), "opening is not answered");
    }
}

#[test]
fn an_open_and_the_first_request_travel_together() {
    let mut pair = Pair::connected();
    let target = Target::Registered(1);
    let (channel, _) = pair.host().open(target, Kind::Calls).expect("may open");
    pair.host().call(channel, call("/m")).expect("may call");
    let frames = pair.pass(At::Host);
    assert!(matches!(frames[..], [Frame::Open { .. }, Frame::Stream(_)]));
    assert!(matches!(
        pair.events(At::Plugin)[..],
        [Event::Opened { .. }, Event::Called { .. }, Event::Changed(_)]
    ));
}

#[test]
fn a_refusal_reaches_the_opener_and_its_calls_with_its_code() {
    let mut pair = Pair::connected();
    let opened = pair.open(At::Host, Kind::Calls);
    let (caller, callee) = pair.call(At::Host, opened.ours);
    pair.plugin().refuse(opened.theirs, Code::Denied);
    pair.settle();
    assert!(matches!(pair.host().failure(caller), Some(StreamError::Peer(Code::Denied))));
    assert!(matches!(pair.host().check_channel(opened.ours), Err(StreamError::Peer(Code::Denied))));
    assert!(matches!(
        pair.host().call(opened.ours, call("/m")),
        Err(StreamError::Peer(Code::Denied))
    ));
    let events = pair.events(At::Host);
    assert!(
        matches!(events[..], [Event::Changed(key), Event::Closed { channel }]
            if key == caller && channel == opened.ours),
        "{events:?}"
    );
    pair.host().close(opened.ours, Code::Done);
    pair.host().release(caller, Code::Cancelled);
    pair.plugin().release(callee, Code::Failed);
    pair.assert_nothing_left();
}

#[test]
fn a_refused_byte_stream_fails_with_the_code_of_the_refusal() {
    let mut pair = Pair::connected();
    let opened = pair.open(At::Plugin, Kind::Bytes);
    let (ours, theirs) = (opened.our_stream.expect("a stream"), opened.their_stream);
    pair.host().refuse(opened.theirs, Code::Unknown);
    pair.host().release(theirs.expect("a stream"), Code::Unknown);
    pair.settle();
    assert!(matches!(pair.plugin().read(ours), Err(StreamError::Peer(Code::Unknown))));
    pair.plugin().release(ours, Code::Cancelled);
    pair.assert_nothing_left();
}

#[test]
fn the_opener_can_close_and_the_acceptor_hears_of_it() {
    let mut pair = Pair::connected();
    let opened = pair.open(At::Host, Kind::Calls);
    pair.host().close(opened.ours, Code::Done);
    pair.settle();
    let events = pair.events(At::Plugin);
    assert!(matches!(events[..], [Event::Closed { channel }] if channel == opened.theirs));
    pair.assert_nothing_left();
}

#[test]
fn the_acceptor_can_close_and_the_opener_hears_of_it() {
    let mut pair = Pair::connected();
    let opened = pair.open(At::Host, Kind::Calls);
    pair.plugin().close(opened.theirs, Code::Closed);
    pair.settle();
    let events = pair.events(At::Host);
    assert!(matches!(events[..], [Event::Closed { channel }] if channel == opened.ours));
    assert!(matches!(pair.host().check_channel(opened.ours), Err(StreamError::Peer(Code::Closed))));
    pair.host().close(opened.ours, Code::Done);
    pair.assert_nothing_left();
}

#[test]
fn a_close_from_both_sides_at_once_is_one_close() {
    let mut pair = Pair::connected();
    let opened = pair.open(At::Host, Kind::Calls);
    pair.host().close(opened.ours, Code::Done);
    pair.plugin().close(opened.theirs, Code::Closed);
    assert!(pair.transmit(At::Host) && pair.transmit(At::Plugin));
    pair.settle();
    for at in At::BOTH {
        assert!(pair.at(at).ended().is_none());
        assert!(pair.events(at).is_empty(), "who closed it need not be told that it is closed");
    }
    pair.assert_nothing_left();
}

#[test]
fn a_call_that_crosses_the_close_of_its_channel_ends_with_the_close() {
    let mut pair = Pair::connected();
    let opened = pair.open(At::Host, Kind::Calls);
    let caller = pair.host().call(opened.ours, call("/m")).expect("may call");
    assert!(pair.transmit(At::Host), "the call is on its way");
    pair.plugin().close(opened.theirs, Code::Closed);
    pair.settle();
    assert!(pair.events(At::Plugin).is_empty(), "nobody is there to serve it");
    assert!(matches!(pair.host().failure(caller), Some(StreamError::Peer(Code::Closed))));
    pair.host().release(caller, Code::Cancelled);
    pair.host().close(opened.ours, Code::Done);
    pair.assert_nothing_left();
}

#[test]
fn closing_a_channel_ends_the_calls_that_run_on_it_and_no_others() {
    let mut pair = Pair::connected();
    let closing = pair.open(At::Host, Kind::Calls);
    let staying = pair.open(At::Host, Kind::Calls);
    let (lost, lost_there) = pair.call(At::Host, closing.ours);
    let (kept, kept_there) = pair.call(At::Host, staying.ours);
    pair.host().close(closing.ours, Code::Done);
    assert!(matches!(pair.host().failure(lost), Some(StreamError::Local(Code::Done))));
    pair.settle();
    assert!(matches!(pair.plugin().failure(lost_there), Some(StreamError::Peer(Code::Done))));
    assert!(pair.host().failure(kept).is_none());
    assert!(pair.plugin().failure(kept_there).is_none());
}

#[test]
fn a_channel_that_is_closed_before_it_was_announced_is_never_spoken_of() {
    let mut pair = Pair::connected();
    for kind in [Kind::Calls, Kind::Bytes] {
        let target = Target::Registered(1);
        let (channel, stream) = pair.host().open(target, kind).expect("may open");
        pair.host().close(channel, Code::Done);
        if let Some(stream) = stream {
            pair.host().release(stream, Code::Cancelled);
        }
        assert!(pair.pass(At::Host).is_empty());
    }
    pair.assert_nothing_left();
}

#[test]
fn a_channel_is_closed_for_those_that_knew_it_even_if_its_slot_is_used_again() {
    let mut pair = Pair::connected();
    let first = pair.open(At::Host, Kind::Calls);
    pair.host().close(first.ours, Code::Done);
    pair.settle();
    let second = pair.open(At::Host, Kind::Calls);
    assert!(pair.host().check_channel(first.ours).is_err());
    pair.host().close(first.ours, Code::Done);
    pair.host().check_channel(second.ours).expect("the second is another one");
}

#[test]
fn a_close_of_what_is_closed_already_is_not_a_violation() {
    let mut peer = Peer::connected();
    peer.send_all([open(2), close(2), close(2), request(4, 2), close(2)]);
    assert_eq!(peer.violation(), None);
    assert_eq!(peer.machine.counts().channels, 0);
}
