//! Every violation of the specification's table, sent raw: its code on the wire,
//! its typed reason here, and what else it ends.

use tokio::task::JoinHandle;
use tonic::Status;
use trunkline::Broker;
use trunkline::ByteListener;
use trunkline::EndReason;
use trunkline::Limits;
use trunkline::Violation;

use super::Reason;
use super::call;
use super::hello::hello;
use super::offers;
use super::ours;
use super::pattern;
use super::raw;
use super::raw::BOTH_WAYS;
use super::raw::Peer;
use super::raw::Way;
use super::raw::connect;
use super::raw::frames::close;
use super::raw::frames::control;
use super::raw::frames::data;
use super::raw::frames::end;
use super::raw::frames::give;
use super::raw::frames::header;
use super::raw::frames::open_bytes;
use super::raw::frames::open_named;
use super::raw::frames::ping;
use super::raw::frames::request;
use super::raw::frames::reset;
use super::raw::frames::response;
use super::raw::wire;
use super::raw::wire::Code;
use super::raw::wire::Frame;
use super::raw::wire::frame::Control;
use super::raw::wire::frame::Head;
use super::reason;
use super::support;

/// A trunk on which something runs: our channel 1 with our call 3, the peer's
/// channel 2 with its call 4, and the peer's byte stream 6. The peer's next
/// number is 8.
struct Scene {
    broker: Broker,
    peer: Peer,
    call: JoinHandle<Result<http::Response<trunkline::Body>, Status>>,
    listener: ByteListener,
}

impl Scene {
    async fn new(way: Way) -> Self {
        let (offers, listener) = offers().bytes("Blob");
        let (broker, mut peer) = connect(way, support::host().offers(offers)).await;
        let channel = broker.open("peer.Thing").expect("open");
        let call = tokio::spawn(call(channel, "x"));
        assert!(matches!(peer.expect_control().await, Control::Open(_)));
        assert_eq!(peer.expect().await.stream, 3);
        peer.send(open_named(2, "raw.Stuck")).await;
        peer.send(request(4, 2, "/raw.Stuck/Any")).await;
        peer.send(open_bytes(6, "Blob")).await;
        peer.expect_silence().await;
        Self { broker, peer, call, listener }
    }

    async fn ends_with(mut self, violation: Violation, what: &str) {
        self.peer.expect_farewell(Code::Protocol).await;
        match self.broker.closed().await {
            EndReason::Violation(found) => assert_eq!(found, violation, "{what}"),
            other => panic!("{what}: {other:?}"),
        }
        let status = self.call.await.expect("no panic").expect_err("told");
        assert_eq!(reason(&status), Some(Reason::TrunkEnded), "{what}");
        drop(self.listener);
        support::settle().await;
        let stats = self.broker.stats();
        assert_eq!(stats, trunkline::Stats::default(), "{what}");
    }
}

/// The frames, sent one after the other, end the trunk in this way, whoever
/// dialled.
async fn breaks(violation: Violation, what: &str, frames: Vec<Frame>) {
    for way in BOTH_WAYS {
        let scene = Scene::new(way).await;
        scene.peer.send_all(frames.clone()).await;
        scene.ends_with(violation, what).await;
    }
}

/// Each of the frames ends a trunk in this way.
async fn each_breaks(violation: Violation, frames: Vec<(&str, Frame)>) {
    for (what, frame) in frames {
        breaks(violation, what, vec![frame]).await;
    }
}

#[track_caller]
fn assert_violation(end: EndReason, expected: Violation) {
    match end {
        EndReason::Violation(found) => assert_eq!(found, expected),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_hello_is_a_violation() {
    let again = control(Control::Hello(hello()));
    breaks(Violation::SecondHello, "a second hello", vec![again]).await;
}

#[tokio::test(start_paused = true)]
async fn a_frame_of_no_shape_is_malformed() {
    let open = |kind: i32, target| control(Control::Open(wire::Open { channel: 8, target, kind }));
    let target = || Some(wire::open::Target::Registered(1));
    let head = |http_status| {
        Some(Head::Response(wire::ResponseHead { http_status, metadata: Vec::new() }))
    };
    let frames = vec![
        ("nothing", Frame::default()),
        ("control and stream", Frame { stream: 4, ..ping(1) }),
        ("control and data", Frame { data: vec![1], ..ping(1) }),
        ("control and end", Frame { end: Some(wire::End::default()), ..ping(1) }),
        ("control and head", Frame { head: head(200), ..ping(1) }),
        ("a part of no stream", data(0, b"x")),
        ("open without a kind", open(0, target())),
        ("open of an unknown kind", open(9, target())),
        ("open without a target", open(1, None)),
        (
            "an HTTP status of five digits",
            Frame { stream: 3, head: head(70_000), ..Frame::default() },
        ),
    ];
    each_breaks(Violation::Malformed, frames).await;
}

#[tokio::test(start_paused = true)]
async fn a_number_that_the_peer_may_not_use_is_a_violation() {
    let frames = vec![
        ("a channel of our parity", open_named(9, "raw.Echo")),
        ("a channel of a used number", open_named(6, "raw.Echo")),
        ("a call of our parity", request(9, 2, "/x/Y")),
        ("a call of a lower number", request(5, 2, "/x/Y")),
        ("channel 0", open_named(0, "raw.Echo")),
        ("close of channel 0", close(0, Code::Done)),
        ("close of a channel never opened", close(8, Code::Done)),
        ("close of our channel never opened", close(99, Code::Done)),
        ("credit for stream 0", give(0, 1)),
        ("reset of stream 0", reset(0, Code::Done)),
        ("a call on channel 0", request(8, 0, "/x/Y")),
    ];
    each_breaks(Violation::BadId, frames).await;
}

#[tokio::test(start_paused = true)]
async fn numbers_ascend_across_channels_and_streams() {
    let frames = vec![open_named(10, "raw.Stuck"), request(8, 10, "/x/Y")];
    breaks(Violation::BadId, "a call below its channel", frames).await;
    let frames = vec![request(10, 2, "/x/Y"), open_named(8, "raw.Stuck")];
    breaks(Violation::BadId, "a channel below a call", frames).await;
}

#[tokio::test(start_paused = true)]
async fn a_frame_for_a_stream_that_was_never_opened_is_a_violation() {
    let frames = vec![
        ("data", data(8, b"x")),
        ("data on ours", data(99, b"x")),
        ("an end", end(8)),
        ("a response", response(99)),
        ("credit", give(8, 1)),
        ("credit for ours", give(99, 1)),
        ("a reset", reset(8, Code::Cancelled)),
        ("a reset of ours", reset(99, Code::Cancelled)),
    ];
    each_breaks(Violation::UnopenedStream, frames).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_on_what_is_no_channel_of_calls_of_the_peer_is_a_violation() {
    let frames = vec![
        ("never opened", request(8, 20, "/x/Y")),
        ("ours", request(8, 1, "/x/Y")),
        ("a byte stream", request(8, 6, "/x/Y")),
    ];
    each_breaks(Violation::BadChannel, frames).await;
}

#[tokio::test(start_paused = true)]
async fn a_head_where_none_may_be_is_a_violation() {
    let frames = vec![
        ("a second request head", request(4, 2, "/x/Y")),
        ("a request head on our call", request(3, 2, "/x/Y")),
        ("a response head from the caller", response(4)),
        ("a response head on a byte stream", response(6)),
        ("a request head on a byte stream", request(6, 2, "/x/Y")),
    ];
    each_breaks(Violation::BadHead, frames).await;
    let frames = vec![response(3), response(3)];
    breaks(Violation::BadHead, "a second response head", frames).await;
}

#[tokio::test(start_paused = true)]
async fn data_or_an_end_before_the_response_head_is_a_violation() {
    let frames = vec![("data", data(3, b"x")), ("an end", end(3))];
    each_breaks(Violation::DataBeforeHead, frames).await;
}

#[tokio::test(start_paused = true)]
async fn what_follows_the_end_of_an_open_stream_is_a_violation() {
    for stream in [4, 6] {
        let frames = vec![end(stream), data(stream, b"x")];
        breaks(Violation::AfterEnd, "data", frames).await;
        let frames = vec![end(stream), end(stream)];
        breaks(Violation::AfterEnd, "a second end", frames).await;
    }
}

#[tokio::test(start_paused = true)]
async fn metadata_beyond_the_limit_is_a_violation() {
    let limit = Limits::default().metadata as usize;
    let long = || vec![header("x-a", vec![b'v'; limit - 32 - 3 + 1])];
    let many = || vec![header("", ""); limit / 32 + 1];
    let request_head = |metadata, path: &str| Frame {
        stream: 8,
        head: Some(Head::Request(wire::RequestHead {
            channel: 2,
            path: path.into(),
            metadata,
            ..wire::RequestHead::default()
        })),
        ..Frame::default()
    };
    let frames = vec![
        ("a request head", request_head(long(), "")),
        ("a path", request_head(Vec::new(), &"/".repeat(limit + 1))),
        ("empty fields", request_head(many(), "")),
        (
            "a response head",
            Frame {
                stream: 3,
                head: Some(Head::Response(wire::ResponseHead { http_status: 0, metadata: long() })),
                ..Frame::default()
            },
        ),
        (
            "trailers",
            Frame { end: Some(wire::End { trailers: long(), grpc_status: None }), ..response(3) },
        ),
    ];
    each_breaks(Violation::MetadataTooLong, frames).await;
}

#[tokio::test(start_paused = true)]
async fn data_beyond_the_longest_is_a_violation() {
    let longest = Limits::default().frame_data as usize;
    let frames = vec![
        ("on a call", data(4, pattern(longest + 1))),
        ("on a byte stream", data(6, pattern(longest + 1))),
        ("even for a stream that is gone", data(2, pattern(longest + 1))),
        ("a whole message", data(4, pattern(200_000))),
        ("a name", open_named(8, &"x".repeat(200_000))),
    ];
    each_breaks(Violation::FrameTooLong, frames).await;
}

#[tokio::test(start_paused = true)]
async fn credit_beyond_what_a_window_can_hold_is_a_violation() {
    let frames =
        vec![("for a call", give(4, 1 << 31)), ("for a byte stream", give(6, u32::MAX as usize))];
    each_breaks(Violation::CreditOverflow, frames).await;
    let almost = (1usize << 31) - 1 - raw::WINDOW;
    let frames = vec![give(4, almost), give(4, 1)];
    breaks(Violation::CreditOverflow, "bit by bit", frames).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_asks_for_more_than_it_reads_is_cut_off() {
    for way in BOTH_WAYS {
        let (broker, peer) = connect(way, ours()).await;
        // What fits into HTTP/2's windows and pipes, and then 65,536.
        let flood = async {
            for token in 1..200_000 {
                peer.send(ping(token)).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            reason = broker.closed() => assert_violation(reason, Violation::DoesNotRead),
            () = flood => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_silent_is_asked_and_then_given_up() {
    let minute = std::time::Duration::from_secs(60);
    let ours = ours().keep_alive(minute, minute / 2);
    let (broker, mut peer) = connect(Way::WeDial, ours).await;
    let start = tokio::time::Instant::now();
    assert!(matches!(peer.expect_control().await, Control::Ping(_)));
    assert_eq!(start.elapsed().as_secs(), 60);
    // Any frame is a sign of life.
    peer.send(ping(9)).await;
    assert!(matches!(peer.expect_control().await, Control::Pong(_)));
    let Control::Ping(asked) = peer.expect_control().await else {
        panic!("the next question");
    };
    assert_eq!(start.elapsed().as_secs(), 120);
    peer.send(control(Control::Pong(asked))).await;
    assert!(matches!(peer.expect_control().await, Control::Ping(_)));
    peer.expect_farewell(Code::Deadline).await;
    assert_eq!(start.elapsed().as_secs(), 210);
    let end = broker.closed().await;
    assert!(matches!(end, EndReason::Silent), "{end:?}");
}
