//! How trunks end, and what may still arrive for what has ended.

use std::time::Duration;

use trunkline::EndReason;

use super::Reason;
use super::call;
use super::call_whole;
use super::ours;
use super::pattern;
use super::raw::BOTH_WAYS;
use super::raw::COST;
use super::raw::Way;
use super::raw::connect;
use super::raw::frames::close;
use super::raw::frames::control;
use super::raw::frames::data;
use super::raw::frames::end;
use super::raw::frames::give;
use super::raw::frames::go_away;
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
use super::reason;
use super::support;

#[tokio::test(start_paused = true)]
async fn our_farewell_is_a_go_away_and_the_end_of_the_call() {
    for way in BOTH_WAYS {
        let (broker, mut peer) = connect(way, ours()).await;
        let channel = broker.open("peer.Thing").expect("open");
        let call = tokio::spawn(call(channel, "x"));
        assert!(matches!(peer.expect_control().await, Control::Open(_)));
        assert_eq!(peer.expect().await.stream, 3);
        broker.close();
        peer.expect_farewell(Code::Done).await;
        let status = call.await.expect("no panic").expect_err("told");
        assert_eq!(reason(&status), Some(Reason::TrunkEnded));
        let end = broker.closed().await;
        assert!(matches!(end, EndReason::Closed), "{end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_says_farewell() {
    for way in BOTH_WAYS {
        let (broker, mut peer) = connect(way, ours()).await;
        drop(broker);
        peer.expect_farewell(Code::Done).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_graceful_end_waits_for_the_calls_that_run() {
    let (broker, mut peer) = connect(Way::WeDial, ours()).await;
    peer.send(open_named(2, "raw.Echo")).await;
    peer.send(request(4, 2, "/x/Y")).await;
    assert_eq!(peer.expect().await.stream, 4);
    let patience = Duration::from_secs(30);
    let shutdown = tokio::spawn({
        let broker = broker.clone();
        async move { broker.shutdown(patience).await }
    });
    assert!(matches!(peer.expect_control().await, Control::GoAway(_)));
    peer.send(data(4, b"still")).await;
    assert_eq!(peer.expect().await.data, b"still");
    peer.send(end(4)).await;
    assert!(peer.expect().await.end.is_some());
    peer.expect_farewell(Code::Done).await;
    assert!(shutdown.await.expect("no panic"), "all were finished");
}

#[tokio::test(start_paused = true)]
async fn the_peers_farewell_is_answered_with_the_end_of_the_call() {
    for way in BOTH_WAYS {
        let (broker, mut peer) = connect(way, ours()).await;
        let channel = broker.open("peer.Thing").expect("open");
        let call = tokio::spawn(call(channel, "x"));
        assert!(matches!(peer.expect_control().await, Control::Open(_)));
        assert_eq!(peer.expect().await.stream, 3);
        peer.send(go_away(Code::Done)).await;
        assert!(matches!(peer.next().await, Ok(None)), "no more is said");
        let status = call.await.expect("no panic").expect_err("told");
        assert_eq!(reason(&status), Some(Reason::TrunkEnded));
        let end = broker.closed().await;
        assert!(matches!(end, EndReason::PeerClosed), "{end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_accusation_is_kept_with_its_words() {
    for code in [Code::Protocol, Code::Deadline, Code::Failed] {
        let (broker, mut peer) = connect(Way::WeAccept, ours()).await;
        peer.send(go_away(code)).await;
        assert!(matches!(peer.next().await, Ok(None)), "no more is said");
        match broker.closed().await {
            EndReason::Accused { message, .. } => assert_eq!(&*message, "the script says so"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_without_a_farewell_is_a_loss_and_all_are_told() {
    for way in BOTH_WAYS {
        let (broker, mut peer) = connect(way, ours()).await;
        let channel = broker.open("peer.Thing").expect("open");
        let call = tokio::spawn(call_whole(channel.clone(), "x"));
        let pinging = tokio::spawn({
            let broker = broker.clone();
            async move { broker.ping().await }
        });
        for _ in 0..3 {
            peer.expect().await;
        }
        // The half of the call ends; the connection is whole.
        peer.outgoing = None;
        let end = broker.closed().await;
        assert!(matches!(end, EndReason::Lost(_)), "{end:?}");
        let status = call.await.expect("no panic").expect_err("told");
        assert_eq!(reason(&status), Some(Reason::TrunkEnded));
        let error = pinging.await.expect("no panic").expect_err("told");
        assert_eq!(error.reason(), Reason::TrunkEnded);
        let error = channel.closed().expect("ended");
        assert_eq!(error.reason(), Reason::TrunkEnded);
        broker.open("peer.Thing").expect_err("ended");
        drop(channel);
        support::settle().await;
        assert_eq!(broker.stats(), trunkline::Stats::default());
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_is_a_loss() {
    for way in BOTH_WAYS {
        let (broker, peer) = connect(way, ours()).await;
        drop(peer);
        let end = broker.closed().await;
        assert!(matches!(end, EndReason::Lost(_)), "{end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn all_that_was_sent_before_the_end_counts() {
    for way in BOTH_WAYS {
        let (broker, mut peer) = connect(way, ours()).await;
        let channel = broker.open("peer.Source").expect("open");
        let calls: Vec<_> =
            (0..80).map(|_| tokio::spawn(call_whole(channel.clone(), "x"))).collect();
        assert!(matches!(peer.expect_control().await, Control::Open(_)));
        // More than our end takes in one turn, and then the end of everything.
        for _ in &calls {
            let stream = peer.expect().await.stream;
            let answer = Frame {
                data: pattern(super::raw::WINDOW - COST),
                end: Some(ok()),
                ..response(stream)
            };
            peer.send(answer).await;
        }
        peer.send(go_away(Code::Done)).await;
        peer.outgoing = None;
        for call in calls {
            call.await.expect("no panic").expect("whole");
        }
        let end = broker.closed().await;
        assert!(matches!(end, EndReason::PeerClosed), "{end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_ping_is_answered_and_a_pong_that_nobody_asked_for_is_ignored() {
    for way in BOTH_WAYS {
        let (broker, mut peer) = connect(way, ours()).await;
        for token in [0, 1, u64::MAX] {
            peer.send(ping(token)).await;
            let pong = Control::Pong(wire::Ping { token });
            assert_eq!(peer.expect_control().await, pong);
        }
        peer.send(control(Control::Pong(wire::Ping { token: 99 }))).await;
        let asked = tokio::spawn(async move { broker.ping().await });
        let Control::Ping(question) = peer.expect_control().await else {
            panic!("a ping");
        };
        peer.send(control(Control::Pong(question))).await;
        asked.await.expect("no panic").expect("answered");
    }
}

#[tokio::test(start_paused = true)]
async fn what_crosses_the_end_of_a_stream_or_channel_is_ignored() {
    for way in BOTH_WAYS {
        let (broker, mut peer) = connect(way, ours()).await;
        peer.send(open_named(2, "raw.Echo")).await;
        let got = peer.exchange(4, request_head(2, "/x/Y"), b"x").await;
        assert_eq!(got.body, b"x");
        let channel = broker.open("peer.Thing").expect("open");
        let ours = tokio::spawn(call_whole(channel, "x"));
        assert!(matches!(peer.expect_control().await, Control::Open(_)));
        assert_eq!(peer.expect().await.stream, 3);
        peer.send(reset(3, Code::Cancelled)).await;
        ours.await.expect("no panic").expect_err("reset");
        peer.expect_close(1, Code::Done).await;

        let frames = [
            data(4, b"late"),
            end(4),
            end(4),
            give(4, 100),
            give(4, u32::MAX as usize),
            reset(4, Code::Cancelled),
            response(4),
            response(3),
            data(3, b"late"),
            end(3),
            give(3, 100),
            reset(3, Code::Done),
            close(1, Code::Closed),
            close(2, Code::Done),
            close(2, Code::Done),
            // A call that crossed the close of its channel.
            request(6, 2, "/x/Y"),
            data(6, b"late"),
            end(6),
        ];
        peer.send_all(frames).await;
        peer.expect_silence().await;
        support::settle().await;
        let stats = broker.stats();
        assert_eq!((stats.channels, stats.streams), (0, 0));
    }
}
