//! Windows: what may be sent, what is given back, and who is not held up.

use ::bytes::Bytes;
use futures::StreamExt;
use http_body_util::BodyExt;

use super::Reason;
use super::call;
use super::call_whole;
use super::ours;
use super::pattern;
use super::raw::BOTH_WAYS;
use super::raw::COST;
use super::raw::Peer;
use super::raw::WINDOW;
use super::raw::Way;
use super::raw::connect;
use super::raw::frames::close;
use super::raw::frames::data;
use super::raw::frames::end;
use super::raw::frames::give;
use super::raw::frames::message;
use super::raw::frames::ok;
use super::raw::frames::open_named;
use super::raw::frames::ping;
use super::raw::frames::request;
use super::raw::frames::request_head;
use super::raw::frames::reset;
use super::raw::frames::response;
use super::raw::wire;
use super::raw::wire::Code;
use super::raw::wire::Frame;
use super::raw::wire::frame::Control;
use super::raw::wire::frame::Head;
use super::reason;
use super::support;
use super::support::demo::Ask;
use super::support::demo::Payload;
use super::support::demo::echo_client::EchoClient;

/// Lengths around the borders of windows and frames.
const LENGTHS: [usize; 8] =
    [0, 1, WINDOW - 33, WINDOW - 32, WINDOW - 31, 64 * 1024, 64 * 1024 + 1, 1024 * 1024];

#[tokio::test(start_paused = true)]
async fn bodies_of_all_lengths_pass_when_the_peer_calls() {
    for way in BOTH_WAYS {
        let (broker, mut peer) = connect(way, ours()).await;
        peer.send(open_named(2, "raw.Echo")).await;
        for (turn, len) in LENGTHS.into_iter().enumerate() {
            let stream = 4 + 2 * turn as u64;
            let body = pattern(len);
            let head = request_head(2, "/raw.Echo/Any");
            let got = peer.exchange(stream, head, &body).await;
            assert!(matches!(got.head, Some(Head::Response(_))));
            assert!(got.body == body, "{len} bytes came back changed");
            if len <= WINDOW - COST {
                assert_eq!(got.sent, 1, "{len} bytes fit the first window");
            } else {
                assert!(got.sent > 1, "{len} bytes do not fit the first window");
            }
        }
        support::settle().await;
        let stats = broker.stats();
        assert_eq!((stats.streams, stats.window_growth), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_of_all_lengths_pass_when_we_call() {
    for way in BOTH_WAYS {
        let (broker, mut peer) = connect(way, ours()).await;
        let channel = broker.open("raw.Echo").expect("open");
        peer.expect_control().await;
        for (turn, len) in LENGTHS.into_iter().enumerate() {
            let body = pattern(len);
            let call = tokio::spawn(call_whole(channel.clone(), body.clone()));
            let head = response(0).head.expect("a head");
            let stream = 3 + 2 * turn as u64;
            let got = peer.exchange(stream, head, &body).await;
            assert!(matches!(got.head, Some(Head::Request(_))));
            assert!(got.body == body, "{len} bytes arrived changed");
            if len <= WINDOW - COST {
                assert_eq!(got.received, 1, "{len} bytes fit the first window");
            }
            let back = call.await.expect("no panic").expect("answered");
            assert!(back == body, "{len} bytes came back changed");
        }
        support::settle().await;
        assert_eq!(broker.stats().streams, 0);
    }
}

/// Takes what our end may send on a stream without more credit. Returns what it
/// cost.
async fn drain(peer: &mut Peer, stream: u64) -> usize {
    // Everything that may leave has left before the answer to the ping.
    support::settle().await;
    peer.send(ping(1)).await;
    let mut cost = 0;
    loop {
        let frame = peer.expect().await;
        match frame.control {
            Some(Control::Pong(_)) => return cost,
            None if frame.stream == stream => {
                cost += match frame.data.len() {
                    0 => 0,
                    len => len + COST,
                }
            }
            _ => panic!("{frame:?} was not expected"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_waits_for_credit_and_goes_on_with_it() {
    for way in BOTH_WAYS {
        let (_broker, mut peer) = connect(way, ours()).await;
        peer.send(open_named(2, "demo.v1.Echo")).await;
        let ask = Ask { messages: 1000, bytes_each: 1000 };
        let mut frame = request(4, 2, "/demo.v1.Echo/ServerStream");
        frame.data = message(&ask);
        frame.end = Some(wire::End::default());
        peer.send(frame).await;
        let first = drain(&mut peer, 4).await;
        assert!((WINDOW - 1024 - COST..=WINDOW).contains(&first), "{first} of {WINDOW} bytes");
        peer.send(give(4, 8192)).await;
        let all = first + drain(&mut peer, 4).await;
        assert!((WINDOW + 8192 - 1024 - COST..=WINDOW + 8192).contains(&all));
        peer.send(reset(4, Code::Cancelled)).await;
        peer.expect_silence().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_gives_no_credit_for_one_call_holds_up_no_other() {
    for way in BOTH_WAYS {
        let (broker, mut peer) = connect(way, ours()).await;
        peer.send(open_named(2, "raw.Echo")).await;
        // Answered with a megabyte that is never read.
        let ask = Ask { messages: 100, bytes_each: 10_000 };
        peer.send(open_named(4, "demo.v1.Echo")).await;
        let mut frame = request(6, 4, "/demo.v1.Echo/ServerStream");
        frame.data = message(&ask);
        frame.end = Some(wire::End::default());
        peer.send(frame).await;
        drain(&mut peer, 6).await;
        // A request of ours that is never taken.
        let channel = broker.open("peer.Stuck").expect("open");
        let stuck = tokio::spawn(call_whole(channel, pattern(1 << 20)));
        assert!(matches!(peer.expect_control().await, Control::Open(_)));
        drain(&mut peer, 3).await;
        for turn in 0..20 {
            let body = pattern(100_000);
            let head = request_head(2, "/raw.Echo/Any");
            let got = peer.exchange(8 + 2 * turn, head, &body).await;
            assert!(got.body == body);
        }
        assert!(!stuck.is_finished());
        stuck.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn credit_comes_when_the_application_has_read_and_not_before() {
    let (broker, mut peer) = connect(Way::WeDial, ours()).await;
    let channel = broker.open("peer.Source").expect("open");
    let answer = tokio::spawn(call(channel, ""));
    assert!(matches!(peer.expect_control().await, Control::Open(_)));
    assert_eq!(peer.expect().await.stream, 3);
    let half = WINDOW / 2 - COST;
    peer.send(Frame { data: pattern(half), ..response(3) }).await;
    peer.send(data(3, pattern(half))).await;
    let mut body = answer.await.expect("no panic").expect("a head").into_body();
    peer.expect_silence().await;
    let read = body.frame().await.expect("data").expect("no error");
    assert_eq!(read.into_data().expect("data").len(), half);
    let Control::Credit(credit) = peer.expect_control().await else {
        panic!("half of the window was read");
    };
    assert_eq!(credit.stream, 3);
    assert!(credit.bytes as usize >= WINDOW / 2, "{}", credit.bytes);
}

#[tokio::test(start_paused = true)]
async fn an_overrun_of_a_request_cuts_the_call_and_no_other() {
    for way in BOTH_WAYS {
        let (broker, mut peer) = connect(way, ours()).await;
        peer.send(open_named(2, "raw.Stuck")).await;
        peer.send(request(4, 2, "/raw.Stuck/Any")).await;
        peer.send(request(6, 2, "/raw.Stuck/Any")).await;
        peer.send(data(6, pattern(WINDOW - COST))).await;
        peer.expect_silence().await;
        peer.send(data(6, [1])).await;
        peer.expect_reset(6, Code::Overrun).await;
        peer.send(data(6, [1])).await;
        peer.send(data(4, pattern(WINDOW - COST))).await;
        peer.expect_silence().await;
        support::settle().await;
        assert_eq!(broker.stats().streams, 1, "the other call lives");
        assert!(broker.end_reason().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn an_overrun_of_a_response_fails_the_call_and_no_other() {
    for way in BOTH_WAYS {
        let (broker, mut peer) = connect(way, ours()).await;
        let channel = broker.open("peer.Source").expect("open");
        let calls: Vec<_> = ["a", "b"]
            .into_iter()
            .map(|body| tokio::spawn(call_whole(channel.clone(), body)))
            .collect();
        assert!(matches!(peer.expect_control().await, Control::Open(_)));
        assert_eq!(peer.expect().await.stream, 3);
        assert_eq!(peer.expect().await.stream, 5);
        peer.send(Frame { data: pattern(WINDOW - COST + 1), ..response(3) }).await;
        peer.expect_reset(3, Code::Overrun).await;
        peer.send(Frame { data: pattern(WINDOW - COST), end: Some(ok()), ..response(5) }).await;
        let mut calls = calls.into_iter();
        let mut next = async || calls.next().expect("two").await.expect("no panic");
        let status = next().await.expect_err("cut off");
        assert_eq!(reason(&status), Some(Reason::Overrun));
        assert_eq!(status.code(), tonic::Code::Internal);
        assert_eq!(next().await.expect("whole").len(), WINDOW - COST);
    }
}

#[tokio::test(start_paused = true)]
async fn empty_frames_are_not_free() {
    let (_broker, mut peer) = connect(Way::WeDial, ours()).await;
    peer.send(open_named(2, "raw.Stuck")).await;
    peer.send(request(4, 2, "/raw.Stuck/Any")).await;
    for _ in 0..WINDOW / COST {
        peer.send(data(4, [])).await;
    }
    peer.expect_silence().await;
    peer.send(data(4, [])).await;
    peer.expect_reset(4, Code::Overrun).await;
}

#[tokio::test(start_paused = true)]
async fn heads_and_ends_without_data_need_no_credit() {
    let (broker, mut peer) = connect(Way::WeDial, ours()).await;
    peer.send(open_named(2, "raw.Stuck")).await;
    peer.send(request(4, 2, "/raw.Stuck/Any")).await;
    peer.send(data(4, pattern(WINDOW - COST))).await;
    peer.send(end(4)).await;
    peer.expect_silence().await;
    support::settle().await;
    assert_eq!(broker.stats().streams, 1);
}

#[tokio::test(start_paused = true)]
async fn the_largest_credit_is_accepted() {
    let (broker, mut peer) = connect(Way::WeDial, ours()).await;
    peer.send(open_named(2, "raw.Echo")).await;
    peer.send(request(4, 2, "/raw.Echo/Any")).await;
    peer.send(give(4, (1 << 31) - 1 - WINDOW)).await;
    peer.send(give(4, 0)).await;
    peer.send(data(4, [1])).await;
    assert_eq!(peer.expect().await.stream, 4);
    assert!(broker.end_reason().is_none());
}

#[tokio::test(start_paused = true)]
async fn messages_of_a_stream_arrive_as_they_are_sent() {
    for way in BOTH_WAYS {
        let (broker, mut peer) = connect(way, ours()).await;
        let mut client = EchoClient::new(broker.open("demo.v1.Echo").expect("open"));
        let requests =
            futures::stream::iter([Payload::default()]).chain(futures::stream::pending());
        let replies = tokio::spawn(async move { client.bidi(requests).await });
        assert!(matches!(peer.expect_control().await, Control::Open(_)));
        let frame = peer.expect().await;
        assert_eq!(frame.data, message(&Payload::default()));
        assert_eq!(frame.end, None);
        peer.send(response(3)).await;
        let mut replies =
            replies.await.expect("no panic").expect("the head is enough").into_inner();
        for seq in 0..3 {
            let payload = Payload { seq, data: pattern(10) };
            peer.send(data(3, message(&payload))).await;
            let got = replies.message().await.expect("no error");
            assert_eq!(got, Some(payload));
        }
        peer.send(Frame { end: Some(ok()), ..data(3, []) }).await;
        assert_eq!(replies.message().await.expect("a good end"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_message_is_cut_into_frames_that_others_come_between() {
    let (broker, mut peer) = connect(Way::WeDial, ours()).await;
    let channel = broker.open("peer.Sink").expect("open");
    let large = tokio::spawn(call_whole(channel, pattern(8 << 20)));
    assert!(matches!(peer.expect_control().await, Control::Open(_)));
    let first = peer.expect().await;
    assert_eq!(first.stream, 3);
    let other = broker.open("peer.Small").expect("open");
    peer.send(give(3, 64 << 20)).await;
    let small = tokio::spawn(call_whole(other, Bytes::from_static(b"x")));
    let mut before = 0;
    loop {
        let frame = peer.expect().await;
        assert!(frame.data.len() <= 64 * 1024);
        if frame.stream == 7 {
            break;
        }
        before += frame.data.len();
    }
    assert!(before < 1 << 20, "{before} bytes came first");
    peer.send(close(1, Code::Done)).await;
    large.abort();
    small.abort();
}
