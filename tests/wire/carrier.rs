//! What is under the frames: HTTP/2, gRPC's framing, and peers that speak neither.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;

use ::bytes::Bytes;
use ::bytes::BytesMut;
use futures::task::AtomicWaker;
use h2::SendStream;
use h2::client::ResponseFuture;
use prost::Message;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::DuplexStream;
use tokio::io::ReadBuf;
use tokio::task::JoinHandle;
use trunkline::Broker;
use trunkline::EndReason;
use trunkline::Violation;

use super::Reason;
use super::call;
use super::call_whole;
use super::hello::hello;
use super::ours;
use super::raw;
use super::raw::frames::control;
use super::raw::frames::go_away;
use super::raw::wire;
use super::raw::wire::Code;
use super::raw::wire::Frame;
use super::raw::wire::frame::Control;
use super::reason;
use super::support;

/// A peer that sends bytes, not frames, in a call of HTTP/2.
struct Bare {
    send: SendStream<Bytes>,
    response: ResponseFuture,
    connection: JoinHandle<()>,
}

impl Bare {
    async fn client(io: DuplexStream) -> Self {
        let (mut sender, connection) = h2::client::handshake(io).await.expect("HTTP/2");
        let connection = tokio::spawn(async move {
            let _ = connection.await;
        });
        let request = http::Request::post("http://trunk/trunkline.broker.v1.Broker/Connect")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(());
        let request = request.expect("a request");
        let (response, send) = sender.send_request(request, false).expect("sent");
        Self { send, response, connection }
    }

    fn send_bytes(&mut self, bytes: impl Into<Bytes>) {
        self.send.send_data(bytes.into(), false).expect("sent");
    }

    fn send(&mut self, frame: &Frame) {
        self.send_bytes(raw::frames::message(frame));
    }

    fn send_hello(&mut self) {
        self.send(&control(Control::Hello(hello())));
    }

    /// Everything that our end says until its end.
    async fn hear(self) -> Vec<Frame> {
        let mut body = self.response.await.expect("a response").into_body();
        let mut bytes = BytesMut::new();
        while let Some(chunk) = body.data().await {
            let chunk = chunk.expect("no error");
            body.flow_control().release_capacity(chunk.len()).expect("as much as came");
            bytes.extend_from_slice(&chunk);
        }
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            let prefix = bytes.split_to(5);
            let len = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]);
            frames.push(Frame::decode(bytes.split_to(len as usize)).expect("a frame"));
        }
        frames
    }
}

/// Our end and one that sends bytes, hellos exchanged.
async fn bare() -> (Broker, Bare) {
    let (our_io, io) = tokio::io::duplex(1 << 20);
    let ours = tokio::spawn(ours().accept(our_io));
    let mut bare = Bare::client(io).await;
    bare.send_hello();
    (ours.await.expect("no panic").expect("a trunk"), bare)
}

async fn bytes_break(bytes: impl Into<Bytes>, violation: Violation) {
    let (broker, mut bare) = bare().await;
    bare.send_bytes(bytes);
    match broker.closed().await {
        EndReason::Violation(found) => assert_eq!(found, violation),
        other => panic!("{other:?}"),
    }
    let said = bare.hear().await;
    let Some(Control::GoAway(away)) = &said[1].control else {
        panic!("a hello and a farewell, not {said:?}");
    };
    assert_eq!((away.code(), said.len()), (Code::Protocol, 2));
}

#[tokio::test(start_paused = true)]
async fn a_frame_of_4_gib_is_refused_when_its_length_is_read() {
    // Not one byte of it has come.
    bytes_break(vec![0, 0xff, 0xff, 0xff, 0xff], Violation::FrameTooLong).await;
    let longest = 128 * 1024u32;
    let mut one_more = vec![0];
    one_more.extend_from_slice(&(longest + 1).to_be_bytes());
    bytes_break(one_more, Violation::FrameTooLong).await;
}

#[tokio::test(start_paused = true)]
async fn a_compressed_frame_is_malformed() {
    bytes_break(vec![1, 0, 0, 0, 2, 0, 0], Violation::Malformed).await;
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_frame_are_malformed() {
    bytes_break(vec![0, 0, 0, 0, 2, 0xff, 0xff], Violation::Malformed).await;
    bytes_break(vec![0, 0, 0, 0, 0], Violation::Malformed).await;
    // A frame with nothing in it but a field of a later version.
    bytes_break(vec![0, 0, 0, 0, 3, 0xf8, 0x01, 1], Violation::Malformed).await;
}

#[tokio::test(start_paused = true)]
async fn fields_of_a_later_version_are_ignored() {
    let (broker, mut bare) = bare().await;
    let mut ping = raw::frames::ping(7).encode_to_vec();
    ping.extend([0xf8, 0x01, 1]);
    let mut bytes = vec![0, 0, 0, 0, ping.len() as u8];
    bytes.extend(ping);
    bare.send_bytes(bytes);
    support::settle().await;
    broker.close();
    let said = bare.hear().await;
    let pong = Control::Pong(wire::Ping { token: 7 });
    assert_eq!(said[1].control, Some(pong));
}

#[tokio::test(start_paused = true)]
async fn a_frame_may_come_byte_by_byte() {
    let (broker, mut bare) = bare().await;
    for byte in raw::frames::message(&raw::frames::ping(7)) {
        bare.send_bytes(vec![byte]);
        support::settle().await;
    }
    broker.close();
    let said = bare.hear().await;
    let pong = Control::Pong(wire::Ping { token: 7 });
    assert_eq!(said[1].control, Some(pong));
}

#[tokio::test(start_paused = true)]
async fn half_a_frame_and_then_the_end_is_a_loss_and_all_are_told() {
    let (broker, mut bare) = bare().await;
    let channel = broker.open("peer.Thing").expect("open");
    let waiting = tokio::spawn(call(channel, "x"));
    let mut bytes = broker.open_bytes("peer.Blob").expect("open");
    support::settle().await;
    let whole = raw::frames::message(&raw::frames::ping(7));
    bare.send.send_data(Bytes::copy_from_slice(&whole[..whole.len() / 2]), true).expect("sent");
    let end = broker.closed().await;
    assert!(matches!(end, EndReason::Lost(_)), "{end:?}");
    let status = waiting.await.expect("no panic").expect_err("told");
    assert_eq!(reason(&status), Some(Reason::TrunkEnded));
    bytes.read_u8().await.expect_err("told");
}

/// A connection from which nothing can be read until the gate is opened.
struct Gated {
    io: DuplexStream,
    gate: Arc<Gate>,
}

struct Gate {
    open: AtomicBool,
    waker: AtomicWaker,
}

impl Gate {
    fn set(&self, open: bool) {
        self.open.store(open, Ordering::SeqCst);
        self.waker.wake();
    }
}

impl AsyncRead for Gated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.gate.waker.register(cx.waker());
        if self.gate.open.load(Ordering::SeqCst) {
            Pin::new(&mut self.io).poll_read(cx, buffer)
        } else {
            Poll::Pending
        }
    }
}

impl AsyncWrite for Gated {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn what_came_with_the_end_of_the_connection_counts() {
    let (our_io, io) = tokio::io::duplex(4 << 20);
    let gate = Arc::new(Gate { open: AtomicBool::new(true), waker: AtomicWaker::new() });
    let gated = Gated { io: our_io, gate: gate.clone() };
    let ours = tokio::spawn(ours().accept(gated));
    let mut bare = Bare::client(io).await;
    bare.send_hello();
    let broker = ours.await.expect("no panic").expect("a trunk");
    let channel = broker.open("peer.Source").expect("open");
    let calls: Vec<_> = (0..50).map(|_| tokio::spawn(call_whole(channel.clone(), "x"))).collect();
    support::settle().await;
    // A peer that answers all, says farewell and is gone, while our end does
    // something else. Each answer is a frame of HTTP/2, and they are more than
    // our end takes in one turn.
    gate.set(false);
    for turn in 0..calls.len() as u64 {
        bare.send(&Frame {
            data: vec![7; 10_000],
            end: Some(raw::frames::ok()),
            ..raw::frames::response(3 + 2 * turn)
        });
    }
    bare.send(&go_away(Code::Done));
    support::settle().await;
    bare.connection.abort();
    support::settle().await;
    gate.set(true);
    for call in calls {
        let body = call.await.expect("no panic").expect("whole");
        assert_eq!(body.len(), 10_000);
    }
    let end = broker.closed().await;
    assert!(matches!(end, EndReason::PeerClosed), "{end:?}");
}
