//! Every way to break the protocol, and what it is called.

use bytes::Bytes;

use super::call;
use super::peer::Peer;
use super::peer::close;
use super::peer::credit;
use super::peer::data;
use super::peer::end;
use super::peer::hello;
use super::peer::id;
use super::peer::open;
use super::peer::open_kind;
use super::peer::request;
use super::peer::request_head;
use super::peer::reset;
use super::peer::response;
use super::peer::with_head;
use crate::broker::protocol::Code;
use crate::broker::protocol::End;
use crate::broker::protocol::Entry;
use crate::broker::protocol::Event;
use crate::broker::protocol::Frame;
use crate::broker::protocol::Head;
use crate::broker::protocol::Kind;
use crate::broker::protocol::Limits;
use crate::broker::protocol::Metadata;
use crate::broker::protocol::RequestHead;
use crate::broker::protocol::ResponseHead;
use crate::broker::protocol::StreamFrame;
use crate::broker::protocol::Target;
use crate::broker::protocol::Violation;

const CHANNEL: u64 = 1;
const BYTES: u64 = 3;
const CALL: u64 = 5;

/// A machine that has opened a channel (1), a byte stream (3) and a call (5).
fn peer() -> Peer {
    let mut peer = Peer::connected();
    let machine = &mut peer.machine;
    let (channel, _) = machine.open(Target::Registered(1), Kind::Calls).expect("may open");
    machine.open(Target::Registered(2), Kind::Bytes).expect("may open");
    machine.call(channel, call("/m")).expect("may call");
    assert_eq!(peer.sent().len(), 3);
    peer
}

fn violation_of(frames: Vec<Frame>) -> Option<Violation> {
    let mut peer = peer();
    peer.send_all(frames);
    if let Some(violation) = peer.violation() {
        let ends = |event: &Event| matches!(event, Event::Ended);
        assert_eq!(peer.events().iter().filter(|it| ends(it)).count(), 1);
        let sent = peer.sent();
        let Some(Frame::GoAway { code, message }) = sent.last() else {
            panic!("the peer is told: {sent:?}");
        };
        assert_eq!(*code, Code::Protocol);
        assert_eq!(*message, violation.to_string());
    }
    peer.violation()
}

fn long() -> Metadata {
    Metadata(vec![Entry {
        name: "name".to_owned(),
        value: Bytes::from(vec![0; Limits::default().metadata as usize]),
    }])
}

fn long_path() -> RequestHead {
    RequestHead { path: "x".repeat(Limits::default().metadata as usize + 1), ..request_head(2) }
}

fn long_request() -> RequestHead {
    RequestHead { metadata: long(), ..request_head(2) }
}

fn long_response() -> ResponseHead {
    ResponseHead { status: None, metadata: long() }
}

fn long_end(number: u64) -> Frame {
    Frame::Stream(StreamFrame {
        stream: id(number),
        head: None,
        data: Bytes::new(),
        end: Some(End { trailers: long(), grpc_status: None }),
    })
}

type Row = (Violation, &'static str, Vec<Frame>);

/// What is wrong with a number.
fn numbers() -> Vec<Row> {
    use Violation::BadChannel;
    use Violation::BadId;
    use Violation::UnopenedStream;
    let bytes = |number| open_kind(number, Kind::Bytes);
    vec![
        (BadId, "an open with a number of ours", vec![open(9)]),
        (BadId, "an open with a used number", vec![open(2), open(2)]),
        (BadId, "an open with a lower number", vec![open(4), open(2)]),
        (BadId, "a close of what never was", vec![close(2)]),
        (BadId, "a close of what we never opened", vec![close(7)]),
        (BadId, "a call with a number of ours", vec![open(2), request(9, 2)]),
        (BadId, "a call with the number of its channel", vec![open(2), request(2, 2)]),
        (
            BadId,
            "a call with the number of one that is over",
            vec![open(2), request(4, 2), reset(4), request(4, 2)],
        ),
        (UnopenedStream, "data for nothing", vec![data(4, 1)]),
        (UnopenedStream, "an end for nothing", vec![end(4)]),
        (UnopenedStream, "credit for nothing", vec![credit(4, 1)]),
        (UnopenedStream, "a reset of nothing", vec![reset(4)]),
        (UnopenedStream, "a response to nothing", vec![response(7)]),
        (BadChannel, "a call on nothing", vec![request(4, 6)]),
        (BadChannel, "a call on a channel of ours", vec![request(4, CHANNEL)]),
        (BadChannel, "a call on a byte stream", vec![bytes(2), request(4, 2)]),
    ]
}

/// What is wrong at its time.
fn phases() -> Vec<Row> {
    use Violation::AfterEnd;
    use Violation::BadHead;
    use Violation::DataBeforeHead;
    use Violation::SecondHello;
    vec![
        (SecondHello, "a hello again", vec![hello()]),
        (BadHead, "a request twice", vec![open(2), request(4, 2), request(4, 2)]),
        (BadHead, "a request on a call of ours", vec![open(2), request(CALL, 2)]),
        (BadHead, "a response by the caller", vec![open(2), request(4, 2), response(4)]),
        (BadHead, "a response twice", vec![response(CALL), response(CALL)]),
        (BadHead, "a response on a byte stream", vec![response(BYTES)]),
        (DataBeforeHead, "data before the response", vec![data(CALL, 1)]),
        (DataBeforeHead, "an end before the response", vec![end(CALL)]),
        (
            AfterEnd,
            "data after the end of a request",
            vec![open(2), request(4, 2), end(4), data(4, 1)],
        ),
        (AfterEnd, "a second end of a request", vec![open(2), request(4, 2), end(4), end(4)]),
        (AfterEnd, "data after the end of a byte stream", vec![end(BYTES), data(BYTES, 1)]),
    ]
}

/// What is too much.
fn sizes() -> Vec<Row> {
    use Violation::CreditOverflow;
    use Violation::FrameTooLong;
    use Violation::MetadataTooLong;
    let too_long = Limits::default().frame_data as usize + 1;
    vec![
        (
            FrameTooLong,
            "data of one byte too many",
            vec![open(2), request(4, 2), data(4, too_long)],
        ),
        (MetadataTooLong, "a long path", vec![open(2), with_head(4, Head::Request(long_path()))]),
        (
            MetadataTooLong,
            "a long request",
            vec![open(2), with_head(4, Head::Request(long_request()))],
        ),
        (
            MetadataTooLong,
            "a long response",
            vec![with_head(CALL, Head::Response(long_response()))],
        ),
        (MetadataTooLong, "long trailers", vec![response(CALL), long_end(CALL)]),
        (CreditOverflow, "more credit than a window holds", vec![credit(CALL, u32::MAX)]),
    ]
}

fn table() -> impl Iterator<Item = Row> {
    [numbers(), phases(), sizes()].into_iter().flatten()
}

#[test]
fn each_way_to_break_the_protocol_ends_the_trunk_and_has_its_name() {
    for (violation, what, frames) in table() {
        assert_eq!(violation_of(frames), Some(violation), "{what}");
    }
}

#[test]
fn the_last_frame_of_each_row_is_the_one_that_breaks_the_protocol() {
    for (_, what, mut frames) in table() {
        frames.pop();
        assert_eq!(violation_of(frames), None, "{what}: before its last frame");
    }
}

#[test]
fn bytes_that_are_no_frame_end_the_trunk() {
    let mut peer = peer();
    peer.machine.handle_violation(Violation::Malformed);
    assert_eq!(peer.violation(), Some(Violation::Malformed));
}

#[test]
fn nothing_is_heard_after_the_end() {
    let mut peer = peer();
    peer.send(hello());
    peer.events();
    peer.sent();
    peer.send_all([open(2), request(4, 2), Frame::Ping(1)]);
    assert!(peer.events().is_empty());
    assert!(peer.sent().is_empty());
}
