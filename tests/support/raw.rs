//! A scripted peer: the other end of a trunk, made of nothing but what tonic
//! generates from the .proto, to show that any gRPC stack can be that end.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::pin::Pin;
use std::time::Duration;

use futures::Stream;
use futures::StreamExt;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;
use tonic::Response;
use tonic::Status;
use tonic::Streaming;
use tonic::transport::Channel;
use tonic::transport::Endpoint;
use tonic::transport::Server;
use trunkline::Broker;
use trunkline::Builder;
use trunkline::ConnectError;

#[path = "raw/frames.rs"]
pub mod frames;

pub mod wire {
    #![allow(
        unused_qualifications,
        clippy::use_self,
        clippy::allow_attributes_without_reason,
        reason = "generated"
    )]
    include!(concat!(env!("OUT_DIR"), "/foreign/trunkline.broker.v1.rs"));
}

use frames::control;
use frames::give;
use frames::ok;
use wire::Code;
use wire::Frame;
use wire::Role;
use wire::broker_client::BrokerClient;
use wire::broker_server;
use wire::broker_server::BrokerServer;
use wire::frame::Control;
use wire::frame::Head;

/// Who makes the gRPC call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    WeDial,
    WeAccept,
}

pub const BOTH_WAYS: [Way; 2] = [Way::WeDial, Way::WeAccept];

/// The windows of the scripted peer, which are also the defaults of ours.
pub const WINDOW: usize = 16 * 1024;

/// What a frame with data costs beside the data.
pub const COST: usize = 32;

/// How long a scripted peer waits, on the paused clock: for ever would hang.
const PATIENCE: Duration = Duration::from_secs(3600);

/// HTTP/2's own default, the least that a foreign stack may have.
const HTTP2_WINDOW: u32 = 65_535;

/// What the pipe between the two ends holds.
const PIPE: usize = 4 << 20;

/// One end of a trunk that does as the test says.
pub struct Peer {
    /// `None` when it has ended its half of the call.
    pub outgoing: Option<mpsc::Sender<Frame>>,
    pub incoming: Streaming<Frame>,
    /// The connection, for more calls on it, where this peer is the client.
    pub channel: Option<Channel>,
    server: Option<JoinHandle<()>>,
}

/// Our end, on its way.
pub type Ours = JoinHandle<Result<Broker, ConnectError>>;

/// Our end and a peer that has not said anything yet.
pub async fn start(way: Way, ours: Builder) -> (Ours, Peer) {
    let (our_io, peer_io) = tokio::io::duplex(PIPE);
    match way {
        Way::WeDial => {
            let ours = tokio::spawn(ours.dial(our_io));
            (ours, Peer::server(peer_io).await)
        }
        Way::WeAccept => {
            let ours = tokio::spawn(ours.accept(our_io));
            (ours, Peer::client(peer_io).await)
        }
    }
}

/// Our end and a peer of the other role, hellos exchanged.
pub async fn connect(way: Way, ours: Builder) -> (Broker, Peer) {
    let (ours, mut peer) = start(way, ours).await;
    let Some(Control::Hello(hello)) = peer.expect().await.control else {
        panic!("the first frame is a hello");
    };
    peer.send(control(Control::Hello(answer_to(&hello)))).await;
    (ours.await.expect("no panic").expect("a trunk"), peer)
}

/// A hello that fits the other one.
pub fn answer_to(hello: &wire::Hello) -> wire::Hello {
    wire::Hello {
        min_version: 1,
        max_version: 1,
        role: match hello.role() {
            Role::Host => Role::Plugin,
            _ => Role::Host,
        }
        .into(),
        limits: Some(wire::Limits {
            channels: 100,
            streams: 100,
            initial_window: WINDOW as u32,
            frame_data: 64 * 1024,
            metadata: 8192,
            depth: 10,
        }),
        name: "raw".into(),
        ..wire::Hello::default()
    }
}

impl Peer {
    /// A foreign gRPC server, which our end has dialled.
    pub async fn server(io: DuplexStream) -> Self {
        let (started, mut starts) = mpsc::channel(1);
        let service = BrokerServer::new(ForeignServer { started });
        // The connection never ends, lest the server shut down with its list.
        let connections =
            futures::stream::iter([Ok::<_, std::io::Error>(io)]).chain(futures::stream::pending());
        let server = Server::builder()
            .initial_stream_window_size(HTTP2_WINDOW)
            .initial_connection_window_size(HTTP2_WINDOW)
            .add_service(service)
            .serve_with_incoming(connections);
        let server = tokio::spawn(async move { server.await.expect("it serves") });
        let (outgoing, incoming) = starts.recv().await.expect("our end dials");
        Self { outgoing: Some(outgoing), incoming, channel: None, server: Some(server) }
    }

    /// A foreign gRPC client, which dials our end.
    pub async fn client(io: DuplexStream) -> Self {
        let channel = channel(io).await;
        let (outgoing, frames) = mpsc::channel(1024);
        let response = BrokerClient::new(channel.clone())
            .connect(ReceiverStream::new(frames))
            .await
            .expect("our end serves it");
        Self {
            outgoing: Some(outgoing),
            incoming: response.into_inner(),
            channel: Some(channel),
            server: None,
        }
    }

    pub async fn send(&self, frame: Frame) {
        let outgoing = self.outgoing.as_ref().expect("not finished");
        // Fails if our end has ended the call, which the test then sees.
        let _ = outgoing.send(frame).await;
    }

    pub async fn send_all(&self, frames: impl IntoIterator<Item = Frame>) {
        for frame in frames {
            self.send(frame).await;
        }
    }

    /// The next frame.
    pub async fn expect(&mut self) -> Frame {
        match self.next().await {
            Ok(Some(frame)) => frame,
            end => panic!("a frame was expected, not {end:?}"),
        }
    }

    /// The next frame, which must be a control frame.
    pub async fn expect_control(&mut self) -> Control {
        let frame = self.expect().await;
        let control = frame.control.clone();
        control.unwrap_or_else(|| panic!("a control frame was expected, not {frame:?}"))
    }

    /// The last frame of a trunk, and that nothing comes after it.
    pub async fn expect_farewell(&mut self, code: Code) {
        match self.expect_control().await {
            Control::GoAway(away) => assert_eq!(away.code(), code, "{}", away.message),
            other => panic!("a farewell was expected, not {other:?}"),
        }
        let end = self.next().await;
        assert!(matches!(end, Ok(None)), "an end was expected, not {end:?}");
    }

    pub async fn expect_reset(&mut self, stream: u64, code: Code) {
        let expected = wire::Reset { stream, code: code.into() };
        assert_eq!(self.expect_control().await, Control::Reset(expected));
    }

    pub async fn expect_close(&mut self, channel: u64, code: Code) {
        let expected = wire::Close { channel, code: code.into() };
        assert_eq!(self.expect_control().await, Control::Close(expected));
    }

    /// That our end has nothing to say: the answer to a ping comes first.
    pub async fn expect_silence(&mut self) {
        let ping = wire::Ping { token: 77 };
        self.send(control(Control::Ping(ping))).await;
        assert_eq!(self.expect_control().await, Control::Pong(ping));
    }

    pub async fn next(&mut self) -> Result<Option<Frame>, Status> {
        tokio::time::timeout(PATIENCE, self.incoming.message())
            .await
            .expect("our end does not leave the peer waiting")
    }

    /// Sends a head and a body and receives a body, as the specification wants
    /// it: within the windows, with credit for what was consumed. For the caller,
    /// with a request head; for the callee, with a response head, and then the
    /// request comes first: the callee's end would end it.
    pub async fn exchange(&mut self, stream: u64, head: Head, body: &[u8]) -> Exchange {
        let caller = matches!(head, Head::Request(_));
        let mut head = Some(head);
        let mut rest = body;
        let mut credit = WINDOW;
        let mut owed = 0;
        let mut ended = false;
        let mut exchange = Exchange::default();
        loop {
            while !ended && (caller || exchange.end.is_some()) {
                let part = part_of(rest.len(), credit);
                if head.is_none() && part == 0 && !rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at(part);
                rest = later;
                ended = rest.is_empty();
                credit -= if part > 0 { part + COST } else { 0 };
                let frame = Frame {
                    stream,
                    head: head.take(),
                    data: now.to_vec(),
                    end: ended.then(ok),
                    ..Frame::default()
                };
                exchange.sent += 1;
                self.send(frame).await;
            }
            if exchange.end.is_some() && (caller || ended) {
                return exchange;
            }
            let frame = self.expect().await;
            match frame.control {
                Some(Control::Credit(given)) if given.stream == stream => {
                    credit += given.bytes as usize;
                }
                None if frame.stream == stream => {
                    owed += exchange.take(frame);
                    if owed * 2 >= WINDOW && exchange.end.is_none() {
                        self.send(give(stream, owed)).await;
                        owed = 0;
                    }
                }
                _ => panic!("{frame:?} was not expected"),
            }
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

/// What came of [`Peer::exchange`].
#[derive(Debug, Default)]
pub struct Exchange {
    pub head: Option<Head>,
    pub body: Vec<u8>,
    pub end: Option<wire::End>,
    /// Frames in each direction.
    pub sent: usize,
    pub received: usize,
}

impl Exchange {
    /// Takes in a frame. Returns what it cost.
    fn take(&mut self, frame: Frame) -> usize {
        assert!(self.head.is_none() || frame.head.is_none(), "one head: {frame:?}");
        self.received += 1;
        self.head = self.head.take().or(frame.head);
        self.body.extend_from_slice(&frame.data);
        self.end = frame.end;
        if frame.data.is_empty() { 0 } else { frame.data.len() + COST }
    }
}

/// How much of `pending` bytes may be sent: all, or a part that is worth it.
fn part_of(pending: usize, credit: usize) -> usize {
    let whole = pending.min(64 * 1024);
    let part = whole.min(credit.saturating_sub(COST));
    if part == whole || part >= 1024 { part } else { 0 }
}

/// A foreign gRPC client's connection over a pipe.
pub async fn channel(io: DuplexStream) -> Channel {
    let mut io = Some(io);
    let connector = tower::service_fn(move |_| {
        let io = io.take().map(TokioIo::new);
        std::future::ready(io.ok_or(std::io::Error::from(std::io::ErrorKind::NotConnected)))
    });
    Endpoint::from_static("http://trunk")
        .initial_stream_window_size(HTTP2_WINDOW)
        .initial_connection_window_size(HTTP2_WINDOW)
        .connect_with_connector(connector)
        .await
        .expect("HTTP/2")
}

struct ForeignServer {
    started: mpsc::Sender<(mpsc::Sender<Frame>, Streaming<Frame>)>,
}

#[tonic::async_trait]
impl broker_server::Broker for ForeignServer {
    type ConnectStream = Pin<Box<dyn Stream<Item = Result<Frame, Status>> + Send>>;

    async fn connect(
        &self,
        request: Request<Streaming<Frame>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let (outgoing, frames) = mpsc::channel(1024);
        let started = self.started.send((outgoing, request.into_inner()));
        started.await.expect("the test waits");
        Ok(Response::new(Box::pin(ReceiverStream::new(frames).map(Ok))))
    }
}
