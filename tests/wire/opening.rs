//! Opening sub-channels: who gets one, who is refused and how, who closes it.

use super::Offers;
use super::Reason;
use super::call;
use super::call_whole;
use super::echo;
use super::offers;
use super::ours;
use super::raw::BOTH_WAYS;
use super::raw::Way;
use super::raw::connect;
use super::raw::frames::close;
use super::raw::frames::data;
use super::raw::frames::end;
use super::raw::frames::go_away;
use super::raw::frames::header;
use super::raw::frames::open_bytes;
use super::raw::frames::open_id;
use super::raw::frames::open_named;
use super::raw::frames::request;
use super::raw::frames::request_head;
use super::raw::wire;
use super::raw::wire::Code;
use super::raw::wire::Frame;
use super::raw::wire::frame::Control;
use super::raw::wire::frame::Head;
use super::reason;
use super::support;
use trunkline::Fault;
use trunkline::Limits;

#[tokio::test(start_paused = true)]
async fn what_is_not_granted_is_denied_and_what_is_not_there_is_unknown() {
    for way in BOTH_WAYS {
        let granted = offers().granted(|name| name != "raw.Stuck");
        let ours = support::host().offers(granted);
        let (broker, mut peer) = connect(way, ours).await;
        peer.send(open_named(2, "raw.Stuck")).await;
        peer.expect_close(2, Code::Denied).await;
        peer.send(open_named(4, "raw.Nothing")).await;
        peer.expect_close(4, Code::Unknown).await;
        // A refused channel leaves no trace, and a call that came with it is part of it.
        peer.send(open_named(6, "raw.Stuck")).await;
        peer.send(request(8, 6, "/raw.Stuck/Any")).await;
        peer.send(end(8)).await;
        peer.expect_close(6, Code::Denied).await;
        peer.expect_silence().await;
        let stats = broker.stats();
        assert_eq!((stats.channels, stats.streams, stats.serving), (0, 0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn the_hello_names_what_may_be_opened() {
    let (ours, mut peer) = super::raw::start(Way::WeDial, ours()).await;
    let Control::Hello(hello) = peer.expect_control().await else {
        panic!("a hello");
    };
    assert_eq!(hello.services, ["demo.v1.Echo", "raw.Echo", "raw.Stuck"]);
    assert_eq!((hello.min_version, hello.max_version), (1, 1));
    assert_eq!(hello.role(), wire::Role::Host);
    let limits = hello.limits.expect("limits");
    assert_eq!((limits.initial_window, limits.frame_data), (16384, 65536));
    ours.abort();
}

#[tokio::test(start_paused = true)]
async fn a_service_of_the_other_kind_is_unknown() {
    let (offers, _listener) = offers().bytes("Blob");
    let ours = support::host().offers(offers);
    let (_broker, mut peer) = connect(Way::WeAccept, ours).await;
    peer.send(open_bytes(2, "raw.Echo")).await;
    peer.expect_close(2, Code::Unknown).await;
    peer.send(open_named(4, "Blob")).await;
    peer.expect_close(4, Code::Unknown).await;
}

#[tokio::test(start_paused = true)]
async fn an_id_is_open_until_its_registration_is_dropped_and_worth_nothing_elsewhere() {
    for way in BOTH_WAYS {
        let (broker, mut peer) = connect(way, ours()).await;
        let (other_broker, mut other) = connect(way, ours()).await;
        let registration = broker.register(tower::service_fn(echo));
        let id = registration.id().get();

        other.send(open_id(2, id)).await;
        other.expect_close(2, Code::Unknown).await;
        peer.send(open_id(2, id)).await;
        let got = peer.exchange(4, request_head(2, "/x/Y"), b"hello").await;
        assert_eq!(got.body, b"hello");
        peer.send(request(6, 2, "/x/Y")).await;
        assert_eq!(peer.expect().await.stream, 6);

        drop(registration);
        // The close says it for the call as well.
        peer.expect_close(2, Code::Closed).await;
        peer.send(data(6, b"late")).await;
        peer.send(open_id(8, id)).await;
        peer.expect_close(8, Code::Closed).await;
        peer.send(open_id(10, id + 1)).await;
        peer.expect_close(10, Code::Unknown).await;
        peer.send(open_id(12, 0)).await;
        peer.expect_close(12, Code::Unknown).await;
        support::settle().await;
        let stats = broker.stats();
        assert_eq!((stats.channels, stats.streams, stats.serving), (0, 0, 0));
        drop(other_broker);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_fails_our_calls_with_its_reason() {
    let refusals = [
        (Code::Unknown, Reason::Unknown, tonic::Code::Unimplemented),
        (Code::Closed, Reason::Closed, tonic::Code::NotFound),
        (Code::Denied, Reason::Denied, tonic::Code::PermissionDenied),
        (Code::Limit, Reason::Limit, tonic::Code::ResourceExhausted),
        (Code::GoingAway, Reason::GoingAway, tonic::Code::Unavailable),
        (Code::Done, Reason::Closed, tonic::Code::NotFound),
        (Code::Cancelled, Reason::Cancelled, tonic::Code::Cancelled),
        (Code::Failed, Reason::Failed, tonic::Code::Internal),
        (Code::Protocol, Reason::Protocol, tonic::Code::Internal),
        (Code::Overrun, Reason::Overrun, tonic::Code::Internal),
        (Code::Deadline, Reason::Deadline, tonic::Code::DeadlineExceeded),
        (Code::Version, Reason::Protocol, tonic::Code::Internal),
    ];
    let (broker, mut peer) = connect(Way::WeDial, ours()).await;
    for (turn, (code, expected, shown)) in refusals.into_iter().enumerate() {
        let number = 1 + 4 * turn as u64;
        let channel = broker.open("peer.Thing").expect("open");
        let call = tokio::spawn(call(channel.clone(), "x"));
        assert!(matches!(peer.expect_control().await, Control::Open(_)));
        assert_eq!(peer.expect().await.stream, number + 2);
        peer.send(close(number, code)).await;
        let status = call.await.expect("no panic").expect_err("refused");
        assert_eq!((reason(&status), status.code()), (Some(expected), shown));
        let error = channel.closed().expect("refused");
        assert_eq!((error.reason(), error.fault()), (expected, Fault::Peer));
    }
    assert_eq!(broker.stats().streams, 0);
    peer.expect_silence().await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_code_does_not_pass_for_a_good_end() {
    let (broker, mut peer) = connect(Way::WeDial, ours()).await;
    let channel = broker.open("peer.Thing").expect("open");
    let call = tokio::spawn(call(channel, "x"));
    assert!(matches!(peer.expect_control().await, Control::Open(_)));
    assert_eq!(peer.expect().await.stream, 3);
    let reset = wire::Reset { stream: 3, code: 4711 };
    peer.send(super::raw::frames::control(Control::Reset(reset))).await;
    let status = call.await.expect("no panic").expect_err("reset");
    assert_eq!(reason(&status), Some(Reason::Failed));
    let away = wire::GoAway { code: 4711, message: "new in version 9".into() };
    peer.send(super::raw::frames::control(Control::GoAway(away))).await;
    let end = broker.closed().await;
    let trunkline::EndReason::Accused { code, message } = end else { panic!("{end:?}") };
    assert_eq!((code, &*message), (trunkline::Code::Failed, "new in version 9"));
}

#[tokio::test(start_paused = true)]
async fn closing_ends_all_calls_of_the_channel_and_of_no_other() {
    for way in BOTH_WAYS {
        let (broker, mut peer) = connect(way, ours()).await;
        peer.send(open_named(2, "raw.Echo")).await;
        peer.send(open_named(4, "raw.Echo")).await;
        for stream in [6, 8] {
            peer.send(request(stream, 2, "/x/Y")).await;
            assert_eq!(peer.expect().await.stream, stream);
        }
        peer.send(request(10, 4, "/x/Y")).await;
        assert_eq!(peer.expect().await.stream, 10);
        peer.send(close(2, Code::Done)).await;
        // Nothing is said of each: the close was enough.
        peer.expect_silence().await;
        support::settle().await;
        let stats = broker.stats();
        assert_eq!((stats.channels, stats.streams), (1, 1));
        peer.send(data(10, b"x")).await;
        assert_eq!(peer.expect().await.data, b"x");
    }
}

#[tokio::test(start_paused = true)]
async fn limits_are_refused_with_a_code_and_not_waited_for() {
    for way in BOTH_WAYS {
        let limits = Limits { channels: 3, streams: 2, depth: 5, ..Limits::default() };
        let (offers, _listener) = offers().bytes("Blob");
        let ours = support::host().offers(offers).limits(limits);
        let (broker, mut peer) = connect(way, ours).await;
        for channel in [2, 4, 6] {
            peer.send(open_named(channel, "raw.Stuck")).await;
        }
        peer.send(open_named(8, "raw.Stuck")).await;
        peer.expect_close(8, Code::Limit).await;
        peer.send(close(6, Code::Done)).await;

        let deep = Head::Request(wire::RequestHead {
            channel: 2,
            path: "/x/Y".into(),
            depth: 6,
            ..wire::RequestHead::default()
        });
        let deep = Frame { stream: 10, head: Some(deep), ..Frame::default() };
        peer.send(deep).await;
        peer.expect_reset(10, Code::Limit).await;

        peer.send(request(12, 2, "/x/Y")).await;
        peer.send(request(14, 4, "/x/Y")).await;
        peer.send(request(16, 4, "/x/Y")).await;
        peer.expect_reset(16, Code::Limit).await;
        peer.send(open_bytes(18, "Blob")).await;
        peer.expect_close(18, Code::Limit).await;
        assert_eq!(broker.stats().streams, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn the_limits_of_the_peer_are_kept_without_asking_it() {
    let (ours, mut peer) = super::raw::start(Way::WeDial, ours()).await;
    let Control::Hello(hello) = peer.expect_control().await else {
        panic!("a hello");
    };
    let mut answer = super::raw::answer_to(&hello);
    answer.limits = Some(wire::Limits {
        channels: 2,
        streams: 1,
        metadata: 1024,
        ..answer.limits.expect("limits")
    });
    peer.send(super::raw::frames::control(Control::Hello(answer))).await;
    let broker = ours.await.expect("no panic").expect("a trunk");

    let channel = broker.open("peer.Thing").expect("open");
    let _second = broker.open("peer.Thing").expect("open");
    let error = broker.open("peer.Thing").expect_err("the third");
    assert_eq!(error.reason(), Reason::Limit);

    let mut client = support::demo::echo_client::EchoClient::new(channel.clone());
    let mut request = tonic::Request::new(support::demo::Payload::default());
    let long = "x".repeat(1000);
    request.metadata_mut().insert("x-a", long.parse().expect("a value"));
    let status = client.unary(request).await.expect_err("too long");
    assert_eq!(reason(&status), Some(Reason::MetadataTooLong));

    let first = tokio::spawn(call(channel.clone(), "x"));
    support::settle().await;
    let status = call_whole(channel, "x").await.expect_err("one at a time");
    assert_eq!(reason(&status), Some(Reason::Limit));
    first.abort();
}

#[tokio::test(start_paused = true)]
async fn metadata_of_the_longest_kind_passes() {
    let (_broker, mut peer) = connect(Way::WeDial, ours()).await;
    peer.send(open_named(2, "raw.Echo")).await;
    let path = "/x/Y";
    let limit = Limits::default().metadata as usize;
    let entry = header("x-a", vec![b'v'; limit - path.len() - 32 - 3]);
    let head = Head::Request(wire::RequestHead {
        channel: 2,
        path: path.into(),
        metadata: vec![entry],
        ..wire::RequestHead::default()
    });
    let got = peer.exchange(4, head, b"x").await;
    assert_eq!(got.body, b"x");
}

#[tokio::test(start_paused = true)]
async fn an_end_that_goes_away_takes_only_nested_calls() {
    for way in BOTH_WAYS {
        let (offers, _listener) = offers().bytes("Blob");
        let (broker, mut peer) = connect(way, support::host().offers(offers)).await;
        peer.send(open_named(2, "raw.Echo")).await;
        let channel = broker.open("peer.Thing").expect("open");
        let outer = tokio::spawn(call_whole(channel.clone(), "x"));
        assert!(matches!(peer.expect_control().await, Control::Open(_)));
        assert_eq!(peer.expect().await.stream, 3);

        broker.go_away();
        match peer.expect_control().await {
            Control::GoAway(away) => assert_eq!(away.code(), Code::GoingAway),
            other => panic!("{other:?} was not expected"),
        }
        peer.send(request(4, 2, "/x/Y")).await;
        peer.expect_reset(4, Code::GoingAway).await;
        peer.send(open_bytes(6, "Blob")).await;
        peer.expect_close(6, Code::GoingAway).await;
        let status = call_whole(channel, "x").await.expect_err("nothing new");
        assert_eq!(reason(&status), Some(Reason::GoingAway));

        // On behalf of the call that runs, even over a new channel.
        peer.send(open_named(8, "raw.Echo")).await;
        let nested = Head::Request(wire::RequestHead {
            channel: 8,
            path: "/x/Y".into(),
            parent: 3,
            depth: 1,
            ..wire::RequestHead::default()
        });
        let got = peer.exchange(10, nested.clone(), b"nested").await;
        assert_eq!(got.body, b"nested");

        let answer =
            Frame { end: Some(super::raw::frames::ok()), ..super::raw::frames::response(3) };
        peer.send(answer).await;
        outer.await.expect("no panic").expect("answered");
        // Its parent is over: now it is like any other.
        let late = Frame { stream: 12, head: Some(nested), ..Frame::default() };
        peer.expect_close(1, Code::Done).await;
        peer.send(late).await;
        peer.expect_reset(12, Code::GoingAway).await;
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_peer_says_that_it_goes_away_neither_end_begins_anything() {
    let (broker, mut peer) = connect(Way::WeAccept, ours()).await;
    peer.send(open_named(2, "raw.Echo")).await;
    let channel = broker.open("peer.Thing").expect("open");
    assert!(matches!(peer.expect_control().await, Control::Open(_)));
    peer.send(go_away(Code::GoingAway)).await;
    broker.going_away().await;
    let status = call_whole(channel, "x").await.expect_err("nothing new");
    assert_eq!(reason(&status), Some(Reason::GoingAway));
    broker.open_bytes("peer.Blob").expect_err("nothing new");
    peer.expect_close(1, Code::Done).await;
    peer.send(request(4, 2, "/x/Y")).await;
    peer.expect_reset(4, Code::GoingAway).await;
    assert!(broker.end_reason().is_none());
}

#[tokio::test(start_paused = true)]
async fn byte_streams_that_nobody_takes_are_refused_beyond_a_number() {
    let (offers, listener) = Offers::new().bytes("Blob");
    let (broker, mut peer) = connect(Way::WeDial, support::host().offers(offers)).await;
    for turn in 0..128 {
        peer.send(open_bytes(2 + 2 * turn, "Blob")).await;
    }
    peer.expect_silence().await;
    peer.send(open_bytes(1000, "Blob")).await;
    peer.expect_close(1000, Code::Limit).await;
    drop(listener);
    support::settle().await;
    assert_eq!(broker.stats().streams, 0);
    for turn in 0..128 {
        peer.expect_reset(2 + 2 * turn, Code::Cancelled).await;
    }
    peer.send(open_bytes(1002, "Blob")).await;
    peer.expect_close(1002, Code::Closed).await;
}
