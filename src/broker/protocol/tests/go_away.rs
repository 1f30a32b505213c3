//! Going away: nothing new begins, what runs may end, and nobody is cut off.

use super::At;
use super::Pair;
use super::Reached;
use super::call;
use super::ok;
use super::peer::Peer;
use super::peer::id;
use super::peer::open;
use super::peer::request;
use super::peer::request_head;
use super::peer::with_head;
use super::read;
use crate::broker::protocol::Call;
use crate::broker::protocol::ChannelKey;
use crate::broker::protocol::Code;
use crate::broker::protocol::Connection;
use crate::broker::protocol::End;
use crate::broker::protocol::Event;
use crate::broker::protocol::Frame;
use crate::broker::protocol::Head;
use crate::broker::protocol::Kind;
use crate::broker::protocol::StreamError;
use crate::broker::protocol::StreamKey;
use crate::broker::protocol::Target;

fn go_away(pair: &mut Pair, at: At) {
    pair.at(at).go_away("done here".to_owned());
}

fn answer(machine: &mut Connection, key: StreamKey) {
    machine.respond(key, ok()).expect("open");
    machine.finish(key, End::default()).expect("open");
    machine.release(key, Code::Failed);
}

/// How often each of the two events is among those that wait.
fn gone_and_drained(pair: &mut Pair, at: At) -> (usize, usize) {
    let events = pair.events(at);
    let gone = |event: &&Event| matches!(event, Event::GoingAway);
    let drained = |event: &&Event| matches!(event, Event::Drained);
    (events.iter().filter(gone).count(), events.iter().filter(drained).count())
}

fn nested(parent: StreamKey) -> Call {
    Call { parent: Some(parent), depth: 1, ..call("/nested") }
}

fn channels(pair: &mut Pair) -> (ChannelKey, ChannelKey) {
    let host = pair.open(At::Host, Kind::Calls);
    let plugin = pair.open(At::Plugin, Kind::Calls);
    (host.ours, plugin.ours)
}

#[test]
fn who_goes_away_begins_nothing_new() {
    let mut pair = Pair::connected();
    let (channel, _) = channels(&mut pair);
    go_away(&mut pair, At::Host);
    let refused = pair.host().call(channel, call("/m"));
    assert!(matches!(refused, Err(StreamError::Local(Code::GoingAway))));
    let refused = pair.host().open(Target::Registered(1), Kind::Bytes);
    assert!(matches!(refused, Err(StreamError::Local(Code::GoingAway))));
}

#[test]
fn a_peer_that_goes_away_is_asked_for_nothing_new() {
    let mut pair = Pair::connected();
    let (_, channel) = channels(&mut pair);
    go_away(&mut pair, At::Host);
    pair.settle();
    let refused = pair.plugin().call(channel, call("/m"));
    assert!(matches!(refused, Err(StreamError::Peer(Code::GoingAway))));
    let refused = pair.plugin().open(Target::Registered(1), Kind::Bytes);
    assert!(matches!(refused, Err(StreamError::Peer(Code::GoingAway))));
}

#[test]
fn a_call_that_crosses_the_news_is_refused_and_can_be_made_elsewhere() {
    let mut pair = Pair::connected();
    let (_, channel) = channels(&mut pair);
    let late = pair.plugin().call(channel, call("/m")).expect("may call");
    let bytes = pair.plugin().open(Target::Registered(1), Kind::Bytes);
    let (_, bytes) = bytes.expect("may open");
    go_away(&mut pair, At::Host);
    pair.settle();
    for key in [late, bytes.expect("a stream")] {
        assert!(matches!(pair.plugin().failure(key), Some(StreamError::Peer(Code::GoingAway))));
    }
    let begun = |event: &Event| matches!(event, Event::Called { .. } | Event::Opened { .. });
    assert!(!pair.events(At::Host).iter().any(begun));
}

#[test]
fn a_call_that_was_begun_before_going_away_is_served_to_its_end() {
    let mut pair = Pair::connected();
    let (channel, _) = channels(&mut pair);
    let caller = pair.host().call(channel, call("/m")).expect("may call");
    // The news are a control frame, and overtake the call.
    go_away(&mut pair, At::Host);
    pair.settle();
    assert!(pair.host().failure(caller).is_none(), "it had begun");
    let callee = pair.called(At::Plugin);
    answer(pair.plugin(), callee);
    assert_eq!(gone_and_drained(&mut pair, At::Host), (1, 0));
    pair.settle();
    let (_, reached) = read(pair.host(), caller);
    assert!(matches!(reached, Reached::End(Some(_))));
    assert_eq!(gone_and_drained(&mut pair, At::Host), (0, 1));
}

#[test]
fn calls_on_behalf_of_running_ones_are_let_through() {
    let mut pair = Pair::connected();
    let (to_plugin, to_host) = channels(&mut pair);
    let (caller, callee) = pair.call(At::Host, to_plugin);
    go_away(&mut pair, At::Host);
    pair.settle();
    let back = pair.plugin().call(to_host, nested(callee));
    let back = back.expect("its parent runs");
    pair.settle();
    let served = pair.called(At::Host);
    answer(pair.host(), served);
    pair.settle();
    let (_, reached) = read(pair.plugin(), back);
    assert!(matches!(reached, Reached::End(Some(_))));
    pair.plugin().release(back, Code::Cancelled);

    answer(pair.plugin(), callee);
    pair.settle();
    pair.host().release(caller, Code::Cancelled);
    assert_eq!(gone_and_drained(&mut pair, At::Host), (0, 1));
    let orphan = pair.plugin().call(to_host, nested(callee));
    assert!(matches!(orphan, Err(StreamError::Peer(Code::GoingAway))));
}

#[test]
fn a_parent_that_the_callee_never_called_does_not_open_the_door() {
    let mut peer = Peer::connected();
    peer.send_all([open(2), request(4, 2)]);
    peer.machine.go_away(String::new());
    // Neither its own call nor one that does not exist is a parent.
    for (number, parent) in [(6, 4), (8, 99)] {
        let mut head = request_head(2);
        head.parent = Some(id(parent));
        peer.send(with_head(number, Head::Request(head)));
        let refused = |frame: &Frame| {
            matches!(frame, Frame::Reset { stream, code: Code::GoingAway }
                if stream.get() == number)
        };
        assert!(peer.sent().iter().any(refused), "{number}");
    }
}

#[test]
fn who_goes_away_is_told_once_that_nothing_runs_any_more() {
    let mut pair = Pair::connected();
    let (to_plugin, to_host) = channels(&mut pair);
    let (caller, callee) = pair.call(At::Host, to_plugin);
    let (caller_there, callee_here) = pair.call(At::Plugin, to_host);
    go_away(&mut pair, At::Host);
    go_away(&mut pair, At::Host);
    pair.settle();
    assert_eq!(gone_and_drained(&mut pair, At::Host), (1, 0));
    assert_eq!(gone_and_drained(&mut pair, At::Plugin).0, 1);
    answer(pair.plugin(), callee);
    pair.settle();
    pair.host().release(caller, Code::Cancelled);
    assert_eq!(gone_and_drained(&mut pair, At::Host), (0, 0));
    answer(pair.host(), callee_here);
    assert_eq!(gone_and_drained(&mut pair, At::Host), (0, 0), "the answer has not left");
    pair.settle();
    assert_eq!(gone_and_drained(&mut pair, At::Host), (0, 1));
    pair.plugin().release(caller_there, Code::Cancelled);
    pair.settle();
    assert_eq!(gone_and_drained(&mut pair, At::Host), (0, 0));
}

#[test]
fn going_away_with_nothing_to_do_is_drained_at_once() {
    let mut pair = Pair::connected();
    go_away(&mut pair, At::Plugin);
    assert!(matches!(pair.events(At::Plugin)[..], [Event::GoingAway, Event::Drained]));
}

#[test]
fn both_can_go_away_at_once_and_each_is_drained_once() {
    let mut pair = Pair::connected();
    let (channel, _) = channels(&mut pair);
    let (caller, callee) = pair.call(At::Host, channel);
    go_away(&mut pair, At::Host);
    go_away(&mut pair, At::Plugin);
    pair.settle();
    for at in At::BOTH {
        assert_eq!(gone_and_drained(&mut pair, at), (1, 0));
    }
    answer(pair.plugin(), callee);
    pair.settle();
    pair.host().release(caller, Code::Cancelled);
    for at in At::BOTH {
        assert_eq!(gone_and_drained(&mut pair, at), (0, 1));
    }
}

#[test]
fn who_hears_that_the_peer_goes_away_is_told_when_nothing_runs_any_more() {
    let mut pair = Pair::connected();
    go_away(&mut pair, At::Host);
    pair.settle();
    let events = pair.events(At::Plugin);
    assert!(matches!(events.last(), Some(Event::Drained)), "{events:?}");
    go_away(&mut pair, At::Plugin);
    assert!(pair.events(At::Plugin).is_empty(), "and is not told twice");
}
