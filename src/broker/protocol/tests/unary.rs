//! Calls of all shapes: their frames, their phases, their cancellation.

use std::time::Duration;

use bytes::Bytes;

use super::At;
use super::Pair;
use super::Reached;
use super::call;
use super::ok;
use super::read;
use super::zeros;
use crate::broker::protocol::Call;
use crate::broker::protocol::Code;
use crate::broker::protocol::End;
use crate::broker::protocol::Entry;
use crate::broker::protocol::Event;
use crate::broker::protocol::Frame;
use crate::broker::protocol::Kind;
use crate::broker::protocol::Metadata;
use crate::broker::protocol::Read;
use crate::broker::protocol::ResponseHead;
use crate::broker::protocol::StreamError;
use crate::broker::protocol::StreamFrame;

fn entry(name: &str, value: &'static [u8]) -> Metadata {
    Metadata(vec![Entry { name: name.to_owned(), value: Bytes::from_static(value) }])
}

#[test]
fn a_unary_call_is_one_frame_each_way() {
    let mut pair = Pair::connected();
    let opened = pair.open(At::Host, Kind::Calls);
    let host = pair.host();
    let caller = host.call(opened.ours, call("/m")).expect("may call");
    host.write(caller, Bytes::from_static(b"question")).expect("open");
    host.finish(caller, End::default()).expect("open");
    let request = pair.pass(At::Host);
    assert!(
        matches!(&request[..], [Frame::Stream(StreamFrame { head: Some(_), data, end: Some(_), .. })]
            if data == "question"),
        "{request:?}"
    );

    let callee = pair.called(At::Plugin);
    let plugin = pair.plugin();
    let (bytes, reached) = read(plugin, callee);
    assert_eq!(bytes, b"question");
    assert!(matches!(reached, Reached::End(Some(_))));
    plugin.respond(callee, ok()).expect("open");
    plugin.write(callee, Bytes::from_static(b"answer")).expect("open");
    plugin.finish(callee, End::default()).expect("open");
    plugin.release(callee, Code::Failed);
    let response = pair.pass(At::Plugin);
    assert!(
        matches!(&response[..], [Frame::Stream(StreamFrame { head: Some(_), data, end: Some(_), .. })]
            if data == "answer"),
        "{response:?}"
    );

    let host = pair.host();
    assert!(host.read_head(caller).expect("well").is_some());
    let (bytes, reached) = read(host, caller);
    assert_eq!(bytes, b"answer");
    assert!(matches!(reached, Reached::End(Some(_))));
    host.release(caller, Code::Cancelled);
    host.close(opened.ours, Code::Done);
    pair.assert_nothing_left();
}

#[test]
fn a_body_that_has_arrived_in_one_piece_is_taken_whole_and_once() {
    let mut pair = Pair::connected();
    let opened = pair.open(At::Host, Kind::Calls);
    let (caller, callee) = pair.call(At::Host, opened.ours);
    assert_eq!(pair.plugin().read_whole(callee), None, "more may come");
    pair.host().write(caller, Bytes::from_static(b"question")).expect("open");
    pair.settle();
    assert_eq!(pair.plugin().read_whole(callee), None, "the end is still to come");
    pair.host().finish(caller, End::default()).expect("open");
    pair.settle();
    let whole = pair.plugin().read_whole(callee).expect("all is here");
    assert_eq!((&whole.data[..], whole.end), (&b"question"[..], End::default()));
    assert_eq!(pair.plugin().read_whole(callee), None);
    assert_eq!(pair.plugin().read(callee).expect("well"), Read::End(None));
}

#[test]
fn a_body_of_several_pieces_is_read_and_not_taken_whole() {
    let mut pair = Pair::connected();
    let opened = pair.open(At::Host, Kind::Calls);
    let (caller, callee) = pair.call(At::Host, opened.ours);
    for _ in 0..2 {
        pair.host().write(caller, zeros(5000)).expect("open");
        pair.settle();
    }
    pair.host().finish(caller, End::default()).expect("open");
    pair.settle();
    assert_eq!(pair.plugin().read_whole(callee), None);
    let (bytes, reached) = read(pair.plugin(), callee);
    assert_eq!(bytes.len(), 10_000);
    assert!(matches!(reached, Reached::End(Some(_))));
}

#[test]
fn head_metadata_deadline_depth_and_trailers_arrive_as_they_were_given() {
    let mut pair = Pair::connected();
    let opened = pair.open(At::Host, Kind::Calls);
    let start = Call {
        path: "/service/Method".to_owned(),
        metadata: entry("question", b"1"),
        timeout: Some(Duration::from_millis(1500)),
        parent: None,
        depth: 3,
        background: false,
    };
    let caller = pair.host().call(opened.ours, start).expect("may call");
    pair.settle();
    let events = pair.events(At::Plugin);
    let Some(Event::Called { stream, head, .. }) = events.into_iter().next() else {
        panic!("a call arrived");
    };
    assert_eq!(head.path, "/service/Method");
    assert_eq!(head.metadata, entry("question", b"1"));
    assert_eq!(head.timeout, Some(Duration::from_millis(1500)));
    assert_eq!((head.parent, head.depth), (None, 3));
    let given = ResponseHead { status: Some(204), metadata: entry("answer", b"2") };
    let last = End { trailers: entry("last", b"3"), grpc_status: Some(5) };
    pair.plugin().respond(stream, given.clone()).expect("open");
    pair.plugin().finish(stream, last.clone()).expect("open");
    pair.settle();
    assert_eq!(pair.host().read_head(caller).expect("well"), Some(given));
    assert_eq!(pair.host().read(caller).expect("well"), Read::End(Some(last)));
    assert_eq!(pair.host().read(caller).expect("well"), Read::End(None), "the end is given once");
}

#[test]
fn a_streaming_call_goes_through_its_phases_in_both_directions_at_once() {
    let mut pair = Pair::connected();
    let opened = pair.open(At::Plugin, Kind::Calls);
    let (caller, callee) = pair.call(At::Plugin, opened.ours);
    assert_eq!(pair.plugin().read_head(caller).expect("well"), None);
    pair.host().respond(callee, ok()).expect("open");
    pair.settle();
    assert!(pair.plugin().read_head(caller).expect("well").is_some());
    assert_eq!(pair.plugin().read_head(caller).expect("once"), None);
    for round in 0..3u8 {
        let chunk = Bytes::from(vec![round]);
        pair.plugin().write(caller, chunk.clone()).expect("open");
        pair.host().write(callee, chunk.clone()).expect("open");
        pair.settle();
        let there = pair.host().read(callee).expect("well");
        let back = pair.plugin().read(caller).expect("well");
        assert_eq!(there, Read::Data(chunk.clone()));
        assert_eq!(back, Read::Data(chunk));
        assert_eq!(pair.host().read(callee).expect("well"), Read::Pending);
    }
    pair.plugin().finish(caller, End::default()).expect("open");
    pair.settle();
    assert!(matches!(pair.host().read(callee), Ok(Read::End(Some(_)))));
    assert!(pair.host().failure(callee).is_none(), "the callee may still speak");
    pair.host().write(callee, zeros(9)).expect("open");
    pair.host().finish(callee, End::default()).expect("open");
    pair.settle();
    let (bytes, reached) = read(pair.plugin(), caller);
    assert_eq!(bytes.len(), 9);
    assert!(matches!(reached, Reached::End(Some(_))));
}

#[test]
fn nothing_can_be_written_after_the_end() {
    let mut pair = Pair::connected();
    let opened = pair.open(At::Host, Kind::Calls);
    let (caller, _) = pair.call(At::Host, opened.ours);
    pair.host().finish(caller, End::default()).expect("open");
    let late = pair.host().write(caller, zeros(1));
    assert!(matches!(late, Err(StreamError::Local(Code::Done))));
    let twice = pair.host().finish(caller, End::default());
    assert!(matches!(twice, Err(StreamError::Local(Code::Done))));
}

#[test]
fn the_end_of_the_response_is_the_end_of_the_call_whatever_of_the_request_is_missing() {
    let mut pair = Pair::connected();
    let opened = pair.open(At::Host, Kind::Calls);
    let (caller, callee) = pair.call(At::Host, opened.ours);
    pair.host().write(caller, zeros(100_000)).expect("open");
    pair.settle();
    pair.events(At::Plugin);
    pair.plugin().respond(callee, ok()).expect("open");
    pair.plugin().finish(callee, End::default()).expect("open");
    pair.settle();
    assert!(matches!(pair.host().write(caller, zeros(1)), Err(StreamError::Local(Code::Done))));
    let (_, reached) = read(pair.host(), caller);
    assert!(matches!(reached, Reached::End(Some(_))));

    let changed = pair.events(At::Plugin);
    assert!(
        matches!(changed[..], [Event::Changed(key)] if key == callee),
        "who still waits for the request is told: {changed:?}"
    );
    let (bytes, reached) = read(pair.plugin(), callee);
    assert!(!bytes.is_empty(), "what had arrived can be read");
    assert!(
        matches!(reached, Reached::Failure(StreamError::Local(Code::Done))),
        "and then there is an error, not a wait: {reached:?}"
    );
}

#[test]
fn cancelling_a_call_reaches_its_handler_with_the_code() {
    let mut pair = Pair::connected();
    let opened = pair.open(At::Host, Kind::Calls);
    let (caller, callee) = pair.call(At::Host, opened.ours);
    pair.events(At::Plugin);
    pair.host().release(caller, Code::Deadline);
    pair.settle();
    assert!(matches!(pair.plugin().failure(callee), Some(StreamError::Peer(Code::Deadline))));
    assert!(matches!(
        pair.events(At::Plugin)[..],
        [Event::Changed(key)] if key == callee
    ));
    pair.plugin().release(callee, Code::Failed);
    pair.host().close(opened.ours, Code::Done);
    pair.assert_nothing_left();
}

#[test]
fn a_handler_that_is_lost_fails_its_call() {
    let mut pair = Pair::connected();
    let opened = pair.open(At::Host, Kind::Calls);
    let (caller, callee) = pair.call(At::Host, opened.ours);
    pair.plugin().respond(callee, ok()).expect("open");
    pair.plugin().write(callee, zeros(10)).expect("open");
    pair.settle();
    pair.plugin().release(callee, Code::Failed);
    pair.settle();
    let (bytes, reached) = read(pair.host(), caller);
    assert!(bytes.is_empty(), "an unfinished response is not handed out");
    assert!(matches!(reached, Reached::Failure(StreamError::Peer(Code::Failed))));
}

#[test]
fn a_call_that_is_dropped_before_its_frame_left_leaves_no_trace() {
    let mut pair = Pair::connected();
    let opened = pair.open(At::Host, Kind::Calls);
    let key = pair.host().call(opened.ours, call("/m")).expect("may call");
    pair.host().release(key, Code::Cancelled);
    assert!(pair.pass(At::Host).is_empty());
    pair.host().close(opened.ours, Code::Done);
    pair.assert_nothing_left();
}

#[test]
fn what_the_application_has_let_go_of_cannot_be_read() {
    let mut pair = Pair::connected();
    let opened = pair.open(At::Host, Kind::Calls);
    let (_, callee) = pair.call(At::Host, opened.ours);
    let plugin = pair.plugin();
    plugin.respond(callee, ok()).expect("open");
    plugin.write(callee, zeros(100_000)).expect("open");
    plugin.finish(callee, End::default()).expect("open");
    plugin.release(callee, Code::Failed);
    pair.settle();
    assert_eq!(pair.counts()[1].streams, 1, "the response waits for credit");
    assert!(matches!(pair.plugin().read(callee), Err(StreamError::Local(Code::Closed))));
}
