//! Calls, frame by frame.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::Request;
use http::Response;
use tonic::body::Body;

use super::Offers;
use super::Reason;
use super::call;
use super::call_whole;
use super::ours;
use super::pattern;
use super::raw::BOTH_WAYS;
use super::raw::Peer;
use super::raw::connect;
use super::raw::frames::data;
use super::raw::frames::end;
use super::raw::frames::header;
use super::raw::frames::message;
use super::raw::frames::ok;
use super::raw::frames::open_named;
use super::raw::frames::request;
use super::raw::frames::request_head;
use super::raw::frames::reset;
use super::raw::frames::response;
use super::raw::wire;
use super::raw::wire::Code;
use super::raw::wire::Frame;
use super::raw::wire::frame::Control;
use super::raw::wire::frame::Head;
use super::read_message;
use super::reason;
use super::support;
use super::support::demo::FailRequest;
use super::support::demo::Payload;
use super::support::demo::echo_client::EchoClient;

fn payload() -> Payload {
    Payload { seq: 7, data: pattern(100) }
}

/// A whole unary call in one frame.
fn unary(stream: u64, channel: u64, method: &str, body: Vec<u8>) -> Frame {
    Frame {
        data: body,
        end: Some(wire::End::default()),
        ..request(stream, channel, &format!("/demo.v1.Echo/{method}"))
    }
}

/// Takes the frame that opens our first channel, and the next.
async fn expect_first_call(peer: &mut Peer) -> Frame {
    let open = Control::Open(wire::Open {
        channel: 1,
        target: Some(wire::open::Target::Service("demo.v1.Echo".into())),
        kind: wire::Kind::Calls.into(),
    });
    assert_eq!(peer.expect_control().await, open);
    peer.expect().await
}

#[tokio::test(start_paused = true)]
async fn a_unary_call_of_ours_is_one_frame_each_way() {
    for way in BOTH_WAYS {
        let (broker, mut peer) = connect(way, ours()).await;
        let mut client = EchoClient::new(broker.open("demo.v1.Echo").expect("open"));
        let call = tokio::spawn(async move { client.unary(payload()).await });
        let frame = expect_first_call(&mut peer).await;
        assert_eq!(frame, unary(3, 1, "Unary", message(&payload())));
        let answer = Frame { data: message(&payload()), end: Some(ok()), ..response(3) };
        peer.send(answer).await;
        let reply = call.await.expect("no panic").expect("answered");
        assert_eq!(reply.into_inner(), payload());
        peer.expect_close(1, Code::Done).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_unary_call_of_the_peer_is_one_frame_each_way() {
    for way in BOTH_WAYS {
        let (_broker, mut peer) = connect(way, ours()).await;
        peer.send(open_named(2, "demo.v1.Echo")).await;
        peer.send(unary(4, 2, "Unary", message(&payload()))).await;
        let answer = Frame { data: message(&payload()), end: Some(ok()), ..response(4) };
        assert_eq!(peer.expect().await, answer);
        peer.expect_silence().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_numbers_of_channels_and_streams_ascend_together() {
    for way in BOTH_WAYS {
        let (broker, mut peer) = connect(way, ours()).await;
        let first = broker.open("a").expect("open");
        let second = broker.open("b").expect("open");
        let calls = [first, second].map(|channel| tokio::spawn(call_whole(channel, "x")));
        let mut numbers = Vec::new();
        for _ in 0..4 {
            let frame = peer.expect().await;
            numbers.push(match frame.control {
                Some(Control::Open(open)) => open.channel,
                _ => frame.stream,
            });
        }
        assert_eq!(numbers, [1, 3, 5, 7]);
        calls.into_iter().for_each(|call| call.abort());
    }
}

#[tokio::test(start_paused = true)]
async fn metadata_and_a_deadline_of_ours_stand_in_the_head() {
    let (broker, mut peer) = connect(BOTH_WAYS[0], ours()).await;
    let mut client = EchoClient::new(broker.open("demo.v1.Echo").expect("open"));
    let mut call = tonic::Request::new(payload());
    call.set_timeout(Duration::from_millis(1500));
    let metadata = call.metadata_mut();
    metadata.append("x-a", "1".parse().expect("a value"));
    metadata.append("x-a", "2".parse().expect("a value"));
    metadata.insert_bin("x-b-bin", tonic::metadata::BinaryMetadataValue::from_bytes(&[0, 255]));
    let call = tokio::spawn(async move { client.unary(call).await });
    let frame = expect_first_call(&mut peer).await;
    let Some(Head::Request(mut head)) = frame.head else {
        panic!("a request head");
    };
    head.metadata.sort_by(|a, b| (&a.name, &a.value).cmp(&(&b.name, &b.value)));
    let expected = wire::RequestHead {
        channel: 1,
        path: "/demo.v1.Echo/Unary".into(),
        metadata: vec![header("x-a", "1"), header("x-a", "2"), header("x-b-bin", "AP8")],
        timeout_us: 1_500_000,
        parent: 0,
        depth: 0,
    };
    assert_eq!(head, expected);
    let status = call.await.expect("no panic").expect_err("never answered");
    assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
    peer.expect_reset(3, Code::Deadline).await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_of_the_peer_is_kept_here() {
    let (_broker, mut peer) = connect(BOTH_WAYS[0], ours()).await;
    peer.send(open_named(2, "demo.v1.Echo")).await;
    let head = Head::Request(wire::RequestHead {
        channel: 2,
        path: "/demo.v1.Echo/Hang".into(),
        timeout_us: 1000,
        ..wire::RequestHead::default()
    });
    let hang = Frame { head: Some(head), ..unary(4, 2, "Hang", message(&payload())) };
    peer.send(hang).await;
    let frame = peer.expect().await;
    let Some(Head::Response(head)) = frame.head else {
        panic!("a response head, not {frame:?}");
    };
    assert!(head.metadata.contains(&header("grpc-status", "4")));
    assert!(frame.end.is_some(), "an answer without a body is one frame");
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_of_the_peer_is_answered_in_one_frame_without_a_body() {
    let (_broker, mut peer) = connect(BOTH_WAYS[0], ours()).await;
    peer.send(open_named(2, "demo.v1.Echo")).await;
    let fail = FailRequest { code: 5, message: "gone".into(), details: Vec::new() };
    peer.send(unary(4, 2, "Fail", message(&fail))).await;
    let frame = peer.expect().await;
    let Some(Head::Response(head)) = frame.head else {
        panic!("a response head, not {frame:?}");
    };
    assert_eq!((head.http_status, frame.data.len()), (0, 0));
    assert!(head.metadata.contains(&header("grpc-status", "5")));
    assert!(head.metadata.contains(&header("grpc-message", "gone")));
    assert_eq!(frame.end, Some(wire::End::default()));
}

#[tokio::test(start_paused = true)]
async fn a_status_is_read_from_the_end_and_from_the_head() {
    let (broker, mut peer) = connect(BOTH_WAYS[0], ours()).await;
    let client = EchoClient::new(broker.open("demo.v1.Echo").expect("open"));
    let trailers_only = Head::Response(wire::ResponseHead {
        http_status: 0,
        metadata: vec![header("grpc-status", "5"), header("grpc-message", "gone")],
    });
    let in_head =
        Frame { head: Some(trailers_only), end: Some(wire::End::default()), ..Frame::default() };
    let in_end = Frame {
        end: Some(wire::End {
            trailers: vec![header("grpc-message", "gone")],
            grpc_status: Some(5),
        }),
        ..response(0)
    };
    for (turn, answer) in [in_head, in_end].into_iter().enumerate() {
        let mut client = client.clone();
        let call = tokio::spawn(async move { client.unary(payload()).await });
        let stream = 3 + 2 * turn as u64;
        if turn == 0 {
            expect_first_call(&mut peer).await;
        } else {
            assert_eq!(peer.expect().await.stream, stream);
        }
        peer.send(Frame { stream, ..answer }).await;
        let status = call.await.expect("no panic").expect_err("it failed");
        assert_eq!((status.code(), status.message()), (tonic::Code::NotFound, "gone"));
        assert_eq!(reason(&status), None, "the peer's handler said so");
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_without_a_status_is_the_clients_to_judge() {
    let (broker, mut peer) = connect(BOTH_WAYS[0], ours()).await;
    let mut client = EchoClient::new(broker.open("demo.v1.Echo").expect("open"));
    let call = tokio::spawn(async move { client.unary(payload()).await });
    expect_first_call(&mut peer).await;
    let head = Head::Response(wire::ResponseHead { http_status: 503, metadata: Vec::new() });
    let answer = Frame { head: Some(head), ..end(3) };
    peer.send(answer).await;
    let status = call.await.expect("no panic").expect_err("not a success");
    assert_eq!(status.code(), tonic::Code::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_call_of_ours_resets_it() {
    for way in BOTH_WAYS {
        let (broker, mut peer) = connect(way, ours()).await;
        let channel = broker.open("demo.v1.Echo").expect("open");
        let call = tokio::spawn(call(channel.clone(), "x"));
        assert_eq!(expect_first_call(&mut peer).await.stream, 3);
        call.abort();
        peer.expect_reset(3, Code::Cancelled).await;
        assert!(channel.closed().is_none(), "the channel is as it was");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_of_the_peer_drops_the_handler() {
    let echo = support::echo::Echo::default();
    let offers = Offers::new().service(echo.clone().server());
    let (broker, mut peer) = connect(BOTH_WAYS[0], support::host().offers(offers)).await;
    peer.send(open_named(2, "demo.v1.Echo")).await;
    peer.send(unary(4, 2, "Hang", message(&payload()))).await;
    peer.expect_silence().await;
    assert_eq!(echo.running.load(Ordering::SeqCst), 1);
    peer.send(reset(4, Code::Cancelled)).await;
    peer.expect_silence().await;
    support::settle().await;
    assert_eq!(echo.running.load(Ordering::SeqCst), 0);
    assert_eq!(broker.stats().streams, 0);
}

#[tokio::test(start_paused = true)]
async fn the_handler_of_a_call_that_is_over_already_does_not_begin() {
    let begun = Arc::new(AtomicUsize::new(0));
    let counting = {
        let begun = begun.clone();
        tower::service_fn(move |_: Request<Body>| {
            begun.fetch_add(1, Ordering::SeqCst);
            std::future::ready(Ok::<_, Infallible>(Response::new(Body::empty())))
        })
    };
    let offers = Offers::new().named("count", counting);
    let (broker, mut peer) = connect(BOTH_WAYS[0], support::host().offers(offers)).await;
    peer.send_all([
        open_named(2, "count"),
        unary(4, 2, "Unary", message(&payload())),
        reset(4, Code::Cancelled),
    ])
    .await;
    peer.expect_silence().await;
    assert_eq!(begun.load(Ordering::SeqCst), 0);
    assert_eq!(broker.stats().streams, 0);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_resets_its_call_as_failed() {
    let (_broker, mut peer) = connect(BOTH_WAYS[0], ours()).await;
    peer.send(open_named(2, "demo.v1.Echo")).await;
    let fail = FailRequest { message: "panic".into(), ..FailRequest::default() };
    peer.send(unary(4, 2, "Fail", message(&fail))).await;
    peer.expect_reset(4, Code::Failed).await;
}

#[tokio::test(start_paused = true)]
async fn the_callees_end_is_the_end_of_the_call_in_both_directions() {
    let (broker, mut peer) = connect(BOTH_WAYS[0], ours()).await;
    let mut client = EchoClient::new(broker.open("demo.v1.Echo").expect("open"));
    let (sender, requests) = tokio::sync::mpsc::channel(1);
    let requests = tokio_stream::wrappers::ReceiverStream::new(requests);
    let call = tokio::spawn(async move { client.client_stream(requests).await });
    let frame = expect_first_call(&mut peer).await;
    assert_eq!((frame.stream, frame.end), (3, None));
    let answer =
        Frame { data: message(&support::demo::Summary::default()), end: Some(ok()), ..response(3) };
    peer.send(answer).await;
    call.await.expect("no panic").expect("answered");
    // No reset: the end was enough.
    peer.expect_close(1, Code::Done).await;
    support::settle().await;
    assert!(sender.is_closed(), "nobody reads the request any more");
    assert_eq!(broker.stats().streams, 0);
    peer.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_back_names_the_call_that_it_is_made_for() {
    let echo = support::echo::Echo::default();
    let offers = Offers::new().service(echo.clone().server());
    let (broker, mut peer) = connect(BOTH_WAYS[0], support::host().offers(offers)).await;
    echo.set_broker(&broker);
    peer.send(open_named(2, "demo.v1.Echo")).await;
    let nest = support::demo::NestRequest { depth: 1, callback: 55, ..Default::default() };
    let head = Head::Request(wire::RequestHead {
        channel: 2,
        path: "/demo.v1.Echo/Nest".into(),
        timeout_us: 9_000_000,
        depth: 3,
        ..wire::RequestHead::default()
    });
    let outer = Frame { head: Some(head), ..unary(4, 2, "Nest", message(&nest)) };
    peer.send(outer).await;
    let Control::Open(open) = peer.expect_control().await else {
        panic!("it opens our service");
    };
    assert_eq!(open.target, Some(wire::open::Target::Registered(55)));
    let frame = peer.expect().await;
    let Some(Head::Request(head)) = frame.head else {
        panic!("a request head");
    };
    assert_eq!((head.parent, head.depth), (4, 4));
    assert_eq!(head.timeout_us, 9_000_000, "the outer deadline bounds it");
    let inner: support::demo::NestRequest = read_message(&frame.data);
    assert_ne!(inner.callback, 0);
}

#[tokio::test(start_paused = true)]
async fn what_no_http_head_may_hold_fails_the_call_alone() {
    for way in BOTH_WAYS {
        let (broker, mut peer) = connect(way, ours()).await;
        peer.send(open_named(2, "demo.v1.Echo")).await;
        let heads = [
            wire::RequestHead { path: "no path".into(), ..wire::RequestHead::default() },
            wire::RequestHead {
                path: "/demo.v1.Echo/Unary".into(),
                metadata: vec![header("not a name", "x")],
                ..wire::RequestHead::default()
            },
            wire::RequestHead {
                path: "/demo.v1.Echo/Unary".into(),
                metadata: vec![header("x-a", "two\nlines")],
                ..wire::RequestHead::default()
            },
        ];
        for (turn, head) in heads.into_iter().enumerate() {
            let stream = 4 + 2 * turn as u64;
            let head = wire::RequestHead { channel: 2, ..head };
            let frame = Frame { head: Some(Head::Request(head)), ..end(stream) };
            peer.send(frame).await;
            peer.expect_reset(stream, Code::Protocol).await;
        }
        let channel = broker.open("demo.v1.Echo").expect("open");
        let first = tokio::spawn(call(channel.clone(), "x"));
        expect_first_call(&mut peer).await;
        let answers =
            [(0, vec![header("x-a", "two\nlines")]), (42, Vec::new()), (0, vec![header("", "")])];
        let mut calls = vec![first];
        for (turn, (http_status, metadata)) in answers.into_iter().enumerate() {
            let stream = 3 + 2 * turn as u64;
            if turn > 0 {
                calls.push(tokio::spawn(call(channel.clone(), "x")));
                assert_eq!(peer.expect().await.stream, stream);
            }
            let head = wire::ResponseHead { http_status, metadata };
            let answer = Frame { stream, head: Some(Head::Response(head)), ..Frame::default() };
            peer.send(answer).await;
            peer.expect_reset(stream, Code::Cancelled).await;
        }
        for call in calls {
            let status = call.await.expect("no panic").expect_err("unusable");
            assert_eq!(reason(&status), Some(Reason::Protocol));
        }
        assert!(broker.end_reason().is_none(), "the trunk is whole");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_may_come_in_any_number_of_frames() {
    let (_broker, mut peer) = connect(BOTH_WAYS[0], ours()).await;
    peer.send(open_named(2, "demo.v1.Echo")).await;
    peer.send(request(4, 2, "/demo.v1.Echo/Unary")).await;
    for byte in message(&payload()) {
        peer.send(data(4, [byte])).await;
    }
    peer.send(end(4)).await;
    let frame = peer.expect().await;
    assert_eq!(read_message::<Payload>(&frame.data), payload());
    let head = request_head(2, "/demo.v1.Echo/Unary");
    let again = peer.exchange(6, head, &message(&payload())).await;
    assert_eq!((again.sent, again.received), (1, 1));
}
