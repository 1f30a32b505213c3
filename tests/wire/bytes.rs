//! Byte streams, frame by frame.

use super::ours;
use super::pattern;
use super::raw::BOTH_WAYS;
use super::raw::COST;
use super::raw::WINDOW;
use super::raw::Way;
use super::raw::connect;
use super::raw::frames::data;
use super::raw::frames::end;
use super::raw::frames::open_bytes;
use super::raw::frames::reset;
use super::raw::wire;
use super::raw::wire::Code;
use super::raw::wire::frame::Control;
use super::support;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use trunkline::Offers;

#[tokio::test(start_paused = true)]
async fn a_byte_stream_of_ours_is_a_channel_and_a_stream_of_one_number() {
    for way in BOTH_WAYS {
        let (broker, mut peer) = connect(way, ours()).await;
        let mut bytes = broker.open_bytes("peer.Blob").expect("open");
        let open = Control::Open(wire::Open {
            channel: 1,
            target: Some(wire::open::Target::Service("peer.Blob".into())),
            kind: wire::Kind::Bytes.into(),
        });
        assert_eq!(peer.expect_control().await, open);
        bytes.write_all(b"question").await.expect("written");
        assert_eq!(peer.expect().await, data(1, b"question"));
        bytes.shutdown().await.expect("ended");
        assert_eq!(peer.expect().await, end(1));
        // The other half is open still.
        peer.send(data(1, b"answer")).await;
        peer.send(end(1)).await;
        let mut answer = String::new();
        bytes.read_to_string(&mut answer).await.expect("whole");
        assert_eq!(answer, "answer");
        drop(bytes);
        peer.expect_silence().await;
        let stats = broker.stats();
        assert_eq!((stats.channels, stats.streams), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_byte_stream_of_the_peer_ends_half_by_half_or_at_once() {
    for way in BOTH_WAYS {
        let (offers, mut listener) = Offers::new().bytes("Blob");
        let (broker, mut peer) = connect(way, support::host().offers(offers)).await;
        peer.send(open_bytes(2, "Blob")).await;
        peer.send(data(2, b"question")).await;
        peer.send(end(2)).await;
        let mut bytes = listener.accept().await.expect("one");
        let mut question = String::new();
        bytes.read_to_string(&mut question).await.expect("whole");
        assert_eq!(question, "question");
        bytes.write_all(b"answer").await.expect("written");
        bytes.shutdown().await.expect("ended");
        // They were given one after the other, so they may come as one or two.
        let frame = peer.expect().await;
        assert_eq!(frame.data, b"answer");
        if frame.end.is_none() {
            assert_eq!(peer.expect().await, end(2));
        }
        drop(bytes);

        peer.send(open_bytes(4, "Blob")).await;
        peer.send(data(4, b"half a")).await;
        peer.send(reset(4, Code::Cancelled)).await;
        let mut bytes = listener.accept().await.expect("one");
        peer.expect_silence().await;
        let error = bytes.read_to_string(&mut question).await;
        error.expect_err("a reset stream is never taken for a whole one");
        drop(bytes);

        peer.send(open_bytes(6, "Blob")).await;
        drop(listener.accept().await.expect("one"));
        peer.expect_reset(6, Code::Cancelled).await;
        support::settle().await;
        let stats = broker.stats();
        assert_eq!((stats.channels, stats.streams), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn an_overrun_of_a_byte_stream_cuts_that_stream() {
    let (offers, mut listener) = Offers::new().bytes("Blob");
    let (broker, mut peer) = connect(Way::WeAccept, support::host().offers(offers)).await;
    peer.send(open_bytes(2, "Blob")).await;
    peer.send(data(2, pattern(WINDOW - COST))).await;
    peer.send(data(2, [1])).await;
    peer.expect_reset(2, Code::Overrun).await;
    let mut bytes = listener.accept().await.expect("one");
    bytes.read_u8().await.expect_err("cut off");
    assert!(broker.end_reason().is_none());
}
