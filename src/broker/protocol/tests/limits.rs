//! Every limit, and what a peer meets when it goes beyond.

use bytes::Bytes;

use super::At;
use super::Pair;
use super::call;
use super::ok;
use super::peer::Peer;
use super::peer::close;
use super::peer::data;
use super::peer::open;
use super::peer::open_kind;
use super::peer::request;
use super::peer::request_head;
use super::peer::reset;
use super::peer::with_head;
use super::zeros;
use crate::broker::protocol::Call;
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
use crate::broker::protocol::StreamError;
use crate::broker::protocol::Target;
use crate::broker::protocol::Violation;
use crate::broker::protocol::limits::MAX_CONTROL_BACKLOG;

fn of(channels: u32, streams: u32, depth: u32) -> Limits {
    Limits { channels, streams, depth, ..Limits::default() }
}

fn is_close(frame: &Frame, number: u64, with: Code) -> bool {
    matches!(frame, Frame::Close { channel, code } if channel.get() == number && *code == with)
}

fn is_reset(frame: &Frame, number: u64, with: Code) -> bool {
    matches!(frame, Frame::Reset { stream, code } if stream.get() == number && *code == with)
}

#[test]
fn one_channel_too_many_is_refused_and_the_trunk_goes_on() {
    let mut peer = Peer::connected_with(of(2, 10, 1));
    peer.send_all([open(2), open(4), open(6)]);
    let sent = peer.sent();
    assert!(matches!(&sent[..], [one] if is_close(one, 6, Code::Limit)), "{sent:?}");
    peer.send_all([close(2), open(8)]);
    assert!(peer.sent().is_empty(), "there is room again");
    assert_eq!(peer.machine.counts().channels, 2);
}

#[test]
fn one_call_too_many_is_refused_and_the_trunk_goes_on() {
    let mut peer = Peer::connected_with(of(10, 2, 1));
    peer.send_all([open(2), request(4, 2), request(6, 2), request(8, 2)]);
    let sent = peer.sent();
    assert!(matches!(&sent[..], [one] if is_reset(one, 8, Code::Limit)), "{sent:?}");
    let calls = |event: &Event| matches!(event, Event::Called { .. });
    assert_eq!(peer.events().iter().filter(|it| calls(it)).count(), 2);
}

#[test]
fn a_byte_stream_counts_as_a_stream() {
    let mut peer = Peer::connected_with(of(10, 1, 1));
    peer.send_all([open_kind(2, Kind::Bytes), open_kind(4, Kind::Bytes)]);
    let sent = peer.sent();
    assert!(matches!(&sent[..], [one] if is_close(one, 4, Code::Limit)), "{sent:?}");
}

#[test]
fn a_call_that_its_handler_still_holds_counts_against_the_limit() {
    let mut peer = Peer::connected_with(of(10, 1, 1));
    peer.send_all([open(2), request(4, 2)]);
    let Some(Event::Called { stream, .. }) = peer.events().into_iter().nth(1) else {
        panic!("called");
    };
    // Else a peer that calls and cancels would have handlers without number.
    peer.send_all([reset(4), request(6, 2)]);
    let sent = peer.sent();
    assert!(matches!(&sent[..], [one] if is_reset(one, 6, Code::Limit)), "{sent:?}");
    peer.machine.release(stream, Code::Failed);
    peer.send(request(8, 2));
    let called = |event: &Event| matches!(event, Event::Called { .. });
    assert!(peer.events().iter().any(called));
}

#[test]
fn a_call_that_is_nested_too_deep_is_refused() {
    let mut peer = Peer::connected_with(of(10, 10, 3));
    let at_depth = |number, depth| {
        let head = RequestHead { depth, ..request_head(2) };
        with_head(number, Head::Request(head))
    };
    peer.send_all([open(2), at_depth(4, 3), at_depth(6, 4)]);
    let sent = peer.sent();
    assert!(matches!(&sent[..], [one] if is_reset(one, 6, Code::Limit)), "{sent:?}");
}

#[test]
fn what_the_peer_would_refuse_is_not_even_sent() {
    let mut pair = Pair::connected_with(of(2, 2, 3));
    let opened = pair.open(At::Host, Kind::Calls);
    let host = pair.host();
    let too_deep = Call { depth: 4, ..call("/m") };
    let limit = |result: Result<_, StreamError>| {
        assert!(matches!(result.map(|_| ()), Err(StreamError::Local(Code::Limit))));
    };
    limit(host.call(opened.ours, too_deep).map(|_| ()));
    host.call(opened.ours, call("/m")).expect("the first");
    host.call(opened.ours, call("/m")).expect("the second");
    limit(host.call(opened.ours, call("/m")).map(|_| ()));
    limit(host.open(Target::Registered(1), Kind::Bytes).map(|_| ()));
    host.open(Target::Registered(1), Kind::Calls).expect("the second channel");
    limit(host.open(Target::Registered(1), Kind::Calls).map(|_| ()));
}

#[test]
fn metadata_that_the_peer_does_not_take_is_an_error_of_the_call_alone() {
    let limits = Limits::default();
    let mut pair = Pair::connected();
    let opened = pair.open(At::Host, Kind::Calls);
    let metadata = Metadata(vec![Entry {
        name: "n".to_owned(),
        value: Bytes::from(vec![0; limits.metadata as usize]),
    }]);
    let size = metadata.size();
    let expect = |result: Result<(), StreamError>, expected: usize| {
        let Err(StreamError::MetadataTooLong { size, limit }) = result else {
            panic!("{result:?}");
        };
        assert_eq!((size, limit), (expected, limits.metadata));
    };
    let start = Call { metadata: metadata.clone(), ..call("/m") };
    expect(pair.host().call(opened.ours, start).map(|_| ()), size + 2);
    let (_, callee) = pair.call(At::Host, opened.ours);
    let head = ResponseHead { status: None, metadata: metadata.clone() };
    expect(pair.plugin().respond(callee, head), size);
    pair.plugin().respond(callee, ok()).expect("open");
    let end = End { trailers: metadata, grpc_status: None };
    expect(pair.plugin().finish(callee, end), size);
    assert!(pair.plugin().ended().is_none());
}

#[test]
fn metadata_that_is_exactly_as_long_as_allowed_goes_through() {
    let limits = Limits::default();
    let mut pair = Pair::connected();
    let opened = pair.open(At::Host, Kind::Calls);
    let start = Call {
        path: "/".to_owned(),
        metadata: Metadata(vec![Entry {
            name: "n".to_owned(),
            value: Bytes::from(vec![0; limits.metadata as usize - 32 - 2]),
        }]),
        ..Call::default()
    };
    pair.host().call(opened.ours, start).expect("fits");
    pair.settle();
    pair.called(At::Plugin);
    assert!(pair.plugin().ended().is_none());
}

#[test]
fn no_frame_is_longer_than_the_peer_takes() {
    let limits = Limits { frame_data: 2000, ..Limits::default() };
    let mut pair = Pair::connected_with(limits);
    let opened = pair.open(At::Host, Kind::Bytes);
    let stream = opened.our_stream.expect("a stream");
    pair.host().write(stream, zeros(15_000)).expect("open");
    let longest = pair.pass(At::Host).into_iter().map(|frame| match frame {
        Frame::Stream(frame) => frame.data.len(),
        _ => 0,
    });
    assert_eq!(longest.max(), Some(2000));
}

/// Sends what `next` makes until the trunk ends, and never reads. Returns the
/// most control frames that have waited.
fn flood(mut peer: Peer, mut next: impl FnMut(u64) -> Vec<Frame>) -> usize {
    let mut most = 0;
    for round in 0..200_000 {
        peer.send_all(next(round));
        for event in peer.events() {
            match event {
                Event::Called { stream, .. } => peer.machine.release(stream, Code::Failed),
                Event::Opened { stream: Some(stream), .. } => {
                    peer.machine.release(stream, Code::Failed)
                }
                _ => {}
            }
        }
        most = most.max(peer.machine.counts().backlog);
        if peer.machine.ended().is_some() {
            assert_eq!(peer.violation(), Some(Violation::DoesNotRead));
            assert!(peer.machine.tables().capacity < 1000, "{:?}", peer.machine.tables());
            return most;
        }
    }
    panic!("never cut off");
}

#[test]
fn a_peer_that_floods_pings_and_does_not_read_is_cut_off() {
    let most = flood(Peer::connected(), |round| vec![Frame::Ping(round)]);
    assert!(most <= MAX_CONTROL_BACKLOG + 1, "{most}");
}

#[test]
fn a_peer_that_floods_opens_and_does_not_read_is_cut_off() {
    let limits = of(3, 3, 1);
    let most = flood(Peer::connected_with(limits), |round| vec![open(2 * round + 2)]);
    assert!(most <= MAX_CONTROL_BACKLOG + 1, "{most}");
}

#[test]
fn a_peer_that_floods_byte_streams_and_does_not_read_is_cut_off() {
    let most = flood(Peer::connected(), |round| vec![open_kind(2 * round + 2, Kind::Bytes)]);
    assert!(most <= MAX_CONTROL_BACKLOG + 1, "{most}");
}

#[test]
fn a_peer_that_floods_calls_and_does_not_read_is_cut_off() {
    let mut peer = Peer::connected();
    peer.send(open(2));
    let most = flood(peer, |round| vec![request(2 * round + 4, 2)]);
    assert!(most <= MAX_CONTROL_BACKLOG + 1, "{most}");
}

#[test]
fn a_peer_that_floods_overruns_and_does_not_read_is_cut_off() {
    let limits = Limits { initial_window: 1024, ..Limits::default() };
    let mut peer = Peer::connected_with(limits);
    peer.send(open(2));
    let most = flood(peer, |round| {
        let number = 2 * round + 4;
        vec![request(number, 2), data(number, 2000)]
    });
    assert!(most <= MAX_CONTROL_BACKLOG + 1, "{most}");
}

#[test]
fn a_peer_that_reads_may_ask_as_much_as_it_likes() {
    let mut peer = Peer::connected();
    for round in 0..200_000 {
        peer.send(Frame::Ping(round));
        assert_eq!(peer.machine.poll_transmit(), Some(Frame::Pong(round)));
    }
    assert!(peer.machine.ended().is_none());
    assert_eq!(peer.machine.tables().answers, 0);
}

#[test]
fn limits_out_of_range_are_named() {
    let spoilt = Limits { max_window: 1024, ..Limits::default() };
    let error = spoilt.check().expect_err("below the initial window");
    assert_eq!(
        error.to_string(),
        "the limit `max_window` is 1024; it must be from 16384 to 2147483647"
    );
    Limits::default().check().expect("the defaults are good");
}
