//! A trunk spoken by hand, with HTTP/2 and generated messages and no rules.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdUnixStream;

use bytes::Buf;
use bytes::BufMut;
use bytes::Bytes;
use bytes::BytesMut;
use h2::RecvStream;
use h2::SendStream;
use prost::Message;
use tokio::net::UnixStream;
use wire::frame::Control;
use wire::frame::Head;

#[allow(dead_code, missing_docs, clippy::all, reason = "generated, for others too")]
pub mod wire {
    include!(concat!(env!("OUT_DIR"), "/foreign/trunkline.broker.v1.rs"));
}

/// One end of a trunk without manners.
pub struct Raw {
    send: SendStream<Bytes>,
    receive: RecvStream,
    received: BytesMut,
    /// What the host said of itself.
    pub host: wire::Hello,
}

/// Standard input, which is the connection.
pub fn connection() -> StdUnixStream {
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().expect("a descriptor");
    StdUnixStream::from(stdin)
}

impl Raw {
    /// Answers the host's call, and says hello as a plugin does.
    pub async fn start() -> Self {
        let mut raw = Self::silent().await;
        raw.control(Control::Hello(hello(1, 1))).await.expect("the host reads");
        match raw.next().await {
            Some(wire::Frame { control: Some(Control::Hello(hello)), .. }) => raw.host = hello,
            other => panic!("no hello: {other:?}"),
        }
        raw
    }

    /// Answers the host's call, and says nothing.
    pub async fn silent() -> Self {
        let connection = connection();
        connection.set_nonblocking(true).expect("a socket");
        let connection = UnixStream::from_std(connection).expect("a socket");
        let mut http = h2::server::handshake(connection).await.expect("HTTP/2");
        let (request, mut respond) = http.accept().await.expect("a call").expect("a call");
        let mut response = http::Response::new(());
        let grpc = http::HeaderValue::from_static("application/grpc");
        response.headers_mut().insert(http::header::CONTENT_TYPE, grpc);
        let send = respond.send_response(response, false).expect("the host reads");
        tokio::spawn(async move { while http.accept().await.is_some() {} });
        let receive = request.into_body();
        Self { send, receive, received: BytesMut::new(), host: wire::Hello::default() }
    }

    pub async fn control(&mut self, control: Control) -> Result<(), h2::Error> {
        self.frame(wire::Frame { control: Some(control), ..wire::Frame::default() }).await
    }

    pub async fn frame(&mut self, frame: wire::Frame) -> Result<(), h2::Error> {
        self.bytes(encoded(&frame)).await
    }

    /// Sends bytes as they are. An error says that the host takes no more.
    pub async fn bytes(&mut self, mut bytes: Bytes) -> Result<(), h2::Error> {
        while bytes.has_remaining() {
            self.send.reserve_capacity(bytes.len());
            let room = std::future::poll_fn(|cx| self.send.poll_capacity(cx)).await;
            let room = room.ok_or(h2::Error::from(h2::Reason::CANCEL))??;
            self.send.send_data(bytes.split_to(room.min(bytes.len())), false)?;
        }
        Ok(())
    }

    /// The host's next frame; `None` when it has ended the trunk.
    pub async fn next(&mut self) -> Option<wire::Frame> {
        loop {
            if let Some(frame) = self.decode() {
                return Some(frame);
            }
            let chunk = self.receive.data().await?.ok()?;
            let released = self.receive.flow_control().release_capacity(chunk.len());
            released.expect("what came is released once");
            self.received.extend_from_slice(&chunk);
        }
    }

    /// Waits for the host's next call: its stream.
    pub async fn call(&mut self) -> u64 {
        loop {
            match self.next().await {
                Some(wire::Frame { stream, head: Some(Head::Request(_)), .. }) => return stream,
                Some(_) => {}
                None => std::process::exit(0),
            }
        }
    }

    /// Reads until the host has ended the trunk.
    pub async fn until_the_end(&mut self) {
        while self.next().await.is_some() {}
    }

    fn decode(&mut self) -> Option<wire::Frame> {
        let mut prefix = self.received.get(..5)?;
        prefix.advance(1);
        let length = prefix.get_u32() as usize;
        if self.received.len() < 5 + length {
            return None;
        }
        self.received.advance(5);
        let message = self.received.split_to(length);
        Some(wire::Frame::decode(message).expect("the host sends frames"))
    }
}

/// With gRPC's prefix.
pub fn encoded(frame: &wire::Frame) -> Bytes {
    let message = frame.encode_to_vec();
    let mut bytes = BytesMut::with_capacity(5 + message.len());
    bytes.put_u8(0);
    bytes.put_u32(message.len() as u32);
    bytes.put_slice(&message);
    bytes.freeze()
}

pub fn hello(min_version: u32, max_version: u32) -> wire::Hello {
    wire::Hello {
        min_version,
        max_version,
        role: wire::Role::Plugin.into(),
        limits: Some(wire::Limits {
            channels: 1000,
            streams: 1000,
            initial_window: 16 * 1024,
            frame_data: 16 * 1024,
            metadata: 16 * 1024,
            depth: 64,
        }),
        name: "raw".to_owned(),
        version: "0".to_owned(),
        application_version: None,
        services: vec!["demo.v1.Echo".to_owned()],
        ..wire::Hello::default()
    }
}

/// The first frame of an answer to a call, with data.
pub fn answer(stream: u64, data: Vec<u8>) -> wire::Frame {
    let head = Some(Head::Response(wire::ResponseHead::default()));
    wire::Frame { stream, head, data, ..wire::Frame::default() }
}

/// More data of a stream.
pub fn data(stream: u64, data: Vec<u8>) -> wire::Frame {
    wire::Frame { stream, data, ..wire::Frame::default() }
}
