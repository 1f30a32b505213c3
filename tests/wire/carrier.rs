//! What is under the frames: HTTP/2, gRPC's framing, and peers that speak neither.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use bytes::BytesMut;
use futures::StreamExt;
use futures::task::AtomicWaker;
use h2::SendStream;
use h2::client::ResponseFuture;
use prost::Message;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::io::DuplexStream;
use tokio::io::ReadBuf;
use tokio::task::JoinHandle;
use tonic::transport::Server;
use trunkline::Broker;
use trunkline::CarrierError;
use trunkline::ConnectError;
use trunkline::EndReason;
use trunkline::Violation;

use super::Reason;
use super::call;
use super::call_whole;
use super::ours;
use super::raw;
use super::raw::Peer;
use super::raw::Way;
use super::raw::connect;
use super::raw::control;
use super::raw::go_away;
use super::raw::open_named;
use super::raw::request;
use super::raw::wire;
use super::raw::wire::Code;
use super::raw::wire::Frame;
use super::raw::wire::broker_client::BrokerClient;
use super::raw::wire::frame::Control;
use super::reason;
use super::support;
use super::support::demo::Payload;
use super::support::demo::echo_client::EchoClient;

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
        Self {
            send,
            response,
            connection,
        }
    }

    fn send_bytes(&mut self, bytes: impl Into<Bytes>) {
        self.send.send_data(bytes.into(), false).expect("sent");
    }

    fn send(&mut self, frame: &Frame) {
        self.send_bytes(raw::message(frame));
    }

    fn send_hello(&mut self) {
        let host = wire::Hello {
            role: wire::Role::Host.into(),
            ..wire::Hello::default()
        };
        self.send(&control(Control::Hello(raw::answer_to(&host))));
    }

    /// Everything that our end says until its end.
    async fn hear(self) -> Vec<Frame> {
        let mut body = self.response.await.expect("a response").into_body();
        let mut bytes = BytesMut::new();
        while let Some(chunk) = body.data().await {
            let chunk = chunk.expect("no error");
            body.flow_control()
                .release_capacity(chunk.len())
                .expect("as much as came");
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
    let mut ping = raw::ping(7).encode_to_vec();
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
    for byte in raw::message(&raw::ping(7)) {
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
    let whole = raw::message(&raw::ping(7));
    bare.send
        .send_data(Bytes::copy_from_slice(&whole[..whole.len() / 2]), true)
        .expect("sent");
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
    let gate = Arc::new(Gate {
        open: AtomicBool::new(true),
        waker: AtomicWaker::new(),
    });
    let gated = Gated {
        io: our_io,
        gate: gate.clone(),
    };
    let ours = tokio::spawn(ours().accept(gated));
    let mut bare = Bare::client(io).await;
    bare.send_hello();
    let broker = ours.await.expect("no panic").expect("a trunk");
    let channel = broker.open("peer.Source").expect("open");
    let calls: Vec<_> = (0..50)
        .map(|_| tokio::spawn(call_whole(channel.clone(), "x")))
        .collect();
    support::settle().await;
    // A peer that answers all, says farewell and is gone, while our end does
    // something else. Each answer is a frame of HTTP/2, and they are more than
    // our end takes in one turn.
    gate.set(false);
    for turn in 0..calls.len() as u64 {
        bare.send(&Frame {
            data: vec![7; 10_000],
            end: Some(raw::ok()),
            ..raw::response(3 + 2 * turn)
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

#[tokio::test(start_paused = true)]
async fn garbage_instead_of_http_2_is_no_trunk() {
    let garbage = b"220 mail.example.org ESMTP at your service, what may it be today?\r\n";
    let (our_io, mut io) = tokio::io::duplex(1 << 20);
    io.write_all(garbage).await.expect("written");
    let error = ours().accept(our_io).await.expect_err("no trunk");
    assert!(
        matches!(error, ConnectError::Carrier(CarrierError::Http2(_))),
        "{error:?}"
    );

    let (our_io, mut io) = tokio::io::duplex(1 << 20);
    io.write_all(garbage).await.expect("written");
    let error = ours().dial(our_io).await.expect_err("no trunk");
    let cause = carrier_error(&error);
    assert!(matches!(cause, CarrierError::Http2(_)), "{error:?}");
}

/// The error of the carrier that there is no trunk for.
fn carrier_error(error: &ConnectError) -> &CarrierError {
    match error {
        ConnectError::Carrier(cause) => cause,
        ConnectError::Ended(EndReason::Lost(Some(cause))) => {
            cause.downcast_ref().expect("an error of the carrier")
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_before_the_trunk_is_no_trunk() {
    for way in [Way::WeDial, Way::WeAccept] {
        let (our_io, io) = tokio::io::duplex(1 << 20);
        drop(io);
        let ended = match way {
            Way::WeDial => ours().dial(our_io).await,
            Way::WeAccept => ours().accept(our_io).await,
        };
        let error = ended.expect_err("no trunk");
        let cause = carrier_error(&error);
        assert!(matches!(cause, CarrierError::Io(_)), "{error:?}");
    }
}

/// Dials a tonic server with these services.
async fn dial_server(server: tonic::service::Routes) -> ConnectError {
    let (our_io, io) = tokio::io::duplex(1 << 20);
    let connections =
        futures::stream::iter([Ok::<_, std::io::Error>(io)]).chain(futures::stream::pending());
    let server = Server::builder()
        .add_routes(server)
        .serve_with_incoming(connections);
    let server = tokio::spawn(server);
    let error = ours().dial(our_io).await.expect_err("no trunk");
    server.abort();
    error
}

#[tokio::test(start_paused = true)]
async fn a_grpc_server_without_the_broker_says_unimplemented() {
    let echo = support::echo::Echo::default().server();
    let error = dial_server(tonic::service::Routes::new(echo)).await;
    let cause = carrier_error(&error);
    assert!(matches!(cause, CarrierError::Status(12)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn an_http_server_without_grpc_is_not_a_broker() {
    let (our_io, io) = tokio::io::duplex(1 << 20);
    tokio::spawn(async move {
        let mut connection = h2::server::handshake(io).await.expect("HTTP/2");
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            let response = http::Response::builder().status(404).body(());
            let response = response.expect("a response");
            respond.send_response(response, true).expect("sent");
        }
    });
    let error = ours().dial(our_io).await.expect_err("no trunk");
    match carrier_error(&error) {
        CarrierError::NotABroker(status) => assert_eq!(status.as_u16(), 404),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_the_call_with_a_status_is_quoted() {
    let (our_io, io) = tokio::io::duplex(1 << 20);
    let (done, wait) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        let mut connection = h2::server::handshake(io).await.expect("HTTP/2");
        let (_, mut respond) = connection.accept().await.expect("a call").expect("whole");
        let response = http::Response::builder().header("content-type", "application/grpc");
        let response = response.body(()).expect("a response");
        let mut send = respond.send_response(response, false).expect("sent");
        let plugin = wire::Hello {
            role: wire::Role::Host.into(),
            ..wire::Hello::default()
        };
        let hello = control(Control::Hello(raw::answer_to(&plugin)));
        let hello = raw::message(&hello);
        send.send_data(hello.into(), false).expect("sent");
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", "13".parse().expect("a value"));
        send.send_trailers(trailers).expect("sent");
        tokio::select! {
            _ = connection.accept() => {}
            _ = wait => {}
        }
    });
    let broker = ours().dial(our_io).await.expect("a trunk");
    match broker.closed().await {
        EndReason::Lost(Some(cause)) => {
            let cause = cause.downcast_ref().expect("an error of the carrier");
            assert!(matches!(cause, CarrierError::Status(13)), "{cause:?}");
        }
        other => panic!("{other:?}"),
    }
    drop(done);
    server.abort();
}

#[tokio::test(start_paused = true)]
async fn another_call_on_the_connection_is_refused_and_the_trunk_goes_on() {
    let (broker, mut peer) = connect(Way::WeAccept, ours()).await;
    let channel = peer.channel.clone().expect("a client");
    let frames = futures::stream::pending::<Frame>();
    let second = BrokerClient::new(channel.clone()).connect(frames).await;
    let status = second.expect_err("one trunk for one connection");
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
    let other = EchoClient::new(channel).unary(Payload::default()).await;
    other.expect_err("nothing else is served");
    peer.expect_silence().await;
    assert!(broker.end_reason().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_call_of_another_method_before_the_trunk_is_unimplemented() {
    let (our_io, io) = tokio::io::duplex(1 << 20);
    let ours = tokio::spawn(ours().accept(our_io));
    let channel = raw::channel(io).await;
    let mut other = EchoClient::new(channel.clone());
    let status = other.unary(Payload::default()).await;
    let status = status.expect_err("nothing but the trunk is served");
    assert_eq!(status.code(), tonic::Code::Unimplemented);
    let hello = control(Control::Hello(raw::answer_to(&wire::Hello {
        role: wire::Role::Host.into(),
        ..wire::Hello::default()
    })));
    let frames = futures::stream::iter([hello]).chain(futures::stream::pending());
    let response = BrokerClient::new(channel).connect(frames).await;
    let mut frames = response.expect("the trunk").into_inner();
    let first = frames.message().await.expect("no error").expect("a frame");
    assert!(matches!(first.control, Some(Control::Hello(_))));
    ours.await.expect("no panic").expect("a trunk");
}

#[tokio::test(start_paused = true)]
async fn a_plugin_of_ours_serves_a_foreign_host() {
    for way in raw::BOTH_WAYS {
        let plugin = support::plugin().offers(super::offers());
        let (broker, mut peer) = connect(way, plugin).await;
        // The numbers of a host are odd, ours are even.
        peer.send(open_named(1, "raw.Echo")).await;
        let got = peer.exchange(3, raw::request_head(1, "/x/Y"), b"x").await;
        assert_eq!(got.body, b"x");
        let channel = broker.open("host.Thing").expect("open");
        let ours = tokio::spawn(call_whole(channel, "question"));
        let Control::Open(open) = peer.expect_control().await else {
            panic!("it opens");
        };
        assert_eq!(open.channel, 2);
        let head = raw::response(4).head.expect("a head");
        let got = peer.exchange(4, head, b"answer").await;
        assert_eq!(got.body, b"question");
        assert_eq!(ours.await.expect("no panic").expect("whole"), "answer");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_its_connection_holds_up_its_own_answers_alone() {
    let (our_io, io) = tokio::io::duplex(16 * 1024);
    let ours = tokio::spawn(ours().accept(our_io));
    let mut peer = Peer::client(io).await;
    assert!(matches!(peer.expect_control().await, Control::Hello(_)));
    let host = wire::Hello {
        role: wire::Role::Host.into(),
        ..wire::Hello::default()
    };
    let hello = control(Control::Hello(raw::answer_to(&host)));
    peer.send(hello).await;
    let broker = ours.await.expect("no panic").expect("a trunk");
    // Nothing is read from here on: what we ask fills the pipe, and waits.
    let channel = broker.open("peer.Sink").expect("open");
    let stuck: Vec<_> = (0..50)
        .map(|_| tokio::spawn(call_whole(channel.clone(), vec![7; 16_000])))
        .collect();
    support::settle().await;
    // What the peer sends is taken all the same.
    peer.send(open_named(2, "raw.Stuck")).await;
    peer.send(request(4, 2, "/x/Y")).await;
    support::settle().await;
    assert_eq!(broker.stats().serving, 1);
    let wait = tokio::time::timeout(Duration::from_secs(1), broker.ping());
    wait.await.expect_err("the ping waits behind it");
    // And an end is an end, however much waits.
    broker.close();
    for call in stuck {
        let status = call.await.expect("no panic").expect_err("told");
        assert_eq!(reason(&status), Some(Reason::TrunkEnded));
    }
}
