//! The HTTP/2 connection that carries a trunk: one gRPC call of
//! `trunkline.broker.v1.Broker/Connect`, from either end.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use bytes::Bytes;
use h2::Reason;
use h2::RecvStream;
use h2::SendStream;
use h2::client;
use h2::server;
use http::HeaderMap;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Response;
use http::StatusCode;
use http::Version;
use http::header::CONTENT_TYPE;
use http::header::TE;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;

use super::codec::Chunks;

/// The method of gRPC that is a trunk.
const PATH: &str = "/trunkline.broker.v1.Broker/Connect";

/// What a gRPC request needs beside its path; nobody looks at the authority.
const URI: &str = "http://trunk/trunkline.broker.v1.Broker/Connect";

/// HTTP/2's own windows, in bytes. The driver takes out what has arrived, in turns, so
/// they only bound what can pile up between them; the trunk's windows are what matters
/// to applications.
const WINDOW: u32 = 1024 * 1024;

/// One HTTP/2 frame holds a whole frame of the trunk, unless small ones go before it.
const MAX_FRAME: u32 = 64 * 1024 + 1024;

/// What HTTP/2 may hold of what is to be sent. Small, because what is handed
/// over can no longer be overtaken by a call of another sub-channel.
const SEND_BUFFER: usize = 64 * 1024;

/// Bookkeeping for small HTTP/2 frames that wait, in bytes. More than a full
/// window of them takes, so that a peer that sends one frame for each call is
/// not mistaken for an attacker.
const SMALL_FRAMES: usize = 8 * 1024 * 1024;

/// A connection of any kind.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Why a connection could not carry a trunk, or stopped carrying it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CarrierError {
    /// The peer does not speak HTTP/2, or broke it.
    #[error("the peer does not speak HTTP/2 as it should")]
    Http2(#[source] h2::Error),
    /// Reading or writing failed.
    #[error("reading from or writing to the connection failed")]
    Io(#[source] std::io::Error),
    /// The peer speaks HTTP/2 but serves no trunk.
    #[error("the peer speaks HTTP/2 but is no Trunkline broker: it answered {0}")]
    NotABroker(StatusCode),
    /// The peer ended the call with a gRPC status.
    #[error("the peer ended the trunk with gRPC status {0}")]
    Status(i32),
}

impl CarrierError {
    /// Whether the peer said something wrong, rather than nothing.
    #[cfg_attr(not(feature = "host"), expect(dead_code, reason = "only hosts tell the two apart"))]
    pub(crate) fn is_peers_fault(&self) -> bool {
        !matches!(self, Self::Io(_))
    }
}

impl From<h2::Error> for CarrierError {
    fn from(error: h2::Error) -> Self {
        if error.is_io() && error.get_io().is_some() {
            // `into_io` gives the error itself, which `get_io` said is there.
            return match error.into_io() {
                Some(io) => Self::Io(io),
                None => Self::Io(ErrorKind::Other.into()),
            };
        }
        Self::Http2(error)
    }
}

/// The trunk's stream of bytes in both directions, over its connection.
pub(crate) struct Carrier {
    connection: Connection,
    /// `None` when this side has finished.
    send: Option<SendStream<Chunks>>,
    /// `None` when the peer has.
    receive: Option<Receive>,
}

enum Connection {
    Client(client::Connection<Box<dyn Io>, Chunks>),
    Server(server::Connection<Box<dyn Io>, Chunks>),
}

enum Receive {
    Head(client::ResponseFuture),
    Body(RecvStream),
}

impl Carrier {
    /// Starts a trunk on a connection: the side that makes the gRPC call.
    pub(crate) async fn dial(io: Box<dyn Io>) -> Result<Self, CarrierError> {
        let (mut sender, connection) = client::Builder::new()
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_frame_size(MAX_FRAME)
            .max_send_buffer_size(SEND_BUFFER)
            .data_frame_budget(SMALL_FRAMES)
            .enable_push(false)
            .handshake(io)
            .await?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(URI)
            .version(Version::HTTP_2)
            .header(CONTENT_TYPE, "application/grpc")
            .header(TE, "trailers")
            .body(());
        let Ok(request) = request else {
            return Err(CarrierError::NotABroker(StatusCode::BAD_REQUEST));
        };
        let (head, send) = sender.send_request(request, false)?;
        let connection = Connection::Client(connection);
        Ok(Self { connection, send: Some(send), receive: Some(Receive::Head(head)) })
    }

    /// Waits for the peer to start a trunk on a connection: the side that serves
    /// the gRPC call. Other calls are answered with "unimplemented".
    pub(crate) async fn accept(io: Box<dyn Io>) -> Result<Self, CarrierError> {
        let mut connection = server::Builder::new()
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_frame_size(MAX_FRAME)
            .max_send_buffer_size(SEND_BUFFER)
            .data_frame_budget(SMALL_FRAMES)
            .max_concurrent_streams(16)
            .handshake(io)
            .await?;
        loop {
            let Some(accepted) = connection.accept().await else {
                return Err(CarrierError::Io(ErrorKind::UnexpectedEof.into()));
            };
            let (request, mut respond) = accepted?;
            if request.uri().path() != PATH {
                respond.send_response(grpc_response(Some(UNIMPLEMENTED)), true)?;
                continue;
            }
            let send = Some(respond.send_response(grpc_response(None), false)?);
            let receive = Some(Receive::Body(request.into_body()));
            return Ok(Self { connection: Connection::Server(connection), send, receive });
        }
    }

    /// Drives the connection: reads what has arrived, writes what is to be sent.
    /// `Ready` when it is over.
    pub(crate) fn poll_io(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CarrierError>> {
        match &mut self.connection {
            Connection::Client(connection) => Pin::new(connection).poll(cx),
            Connection::Server(connection) => {
                // More calls on the same connection are not served.
                while let Poll::Ready(accepted) = connection.poll_accept(cx) {
                    match accepted {
                        Some(Ok((_, mut respond))) => respond.send_reset(Reason::REFUSED_STREAM),
                        Some(Err(error)) => return Poll::Ready(Err(error.into())),
                        None => return Poll::Ready(Ok(())),
                    }
                }
                Poll::Pending
            }
        }
        .map_err(Into::into)
    }

    /// The next chunk that the peer sent; `None` when it has finished.
    pub(crate) fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, CarrierError>>> {
        let chunk = ready!(self.poll_chunk(cx));
        if !matches!(chunk, Some(Ok(_))) {
            self.receive = None;
        }
        Poll::Ready(chunk)
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, CarrierError>>> {
        loop {
            match &mut self.receive {
                None => return Poll::Ready(None),
                Some(Receive::Head(head)) => {
                    let response = match ready!(Pin::new(head).poll(cx)) {
                        Ok(response) => response,
                        Err(error) => return Poll::Ready(Some(Err(error.into()))),
                    };
                    if let Err(error) = check_response(&response) {
                        return Poll::Ready(Some(Err(error)));
                    }
                    self.receive = Some(Receive::Body(response.into_body()));
                }
                Some(Receive::Body(body)) => {
                    let chunk = match ready!(body.poll_data(cx)) {
                        Some(Ok(chunk)) => chunk,
                        Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                        None => return body.poll_trailers(cx).map(end_of),
                    };
                    // Fails only if more is released than came.
                    let _ = body.flow_control().release_capacity(chunk.len());
                    return Poll::Ready(Some(Ok(chunk)));
                }
            }
        }
    }

    /// Whether the peer may still send.
    pub(crate) fn is_receiving(&self) -> bool {
        self.receive.is_some()
    }

    /// How many bytes may be given to [`Carrier::send`]; pending while there is
    /// no room.
    pub(crate) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, CarrierError>> {
        let broken = || Poll::Ready(Err(CarrierError::Io(ErrorKind::BrokenPipe.into())));
        let Some(send) = &mut self.send else {
            return broken();
        };
        loop {
            let room = send.capacity();
            if room > 0 {
                return Poll::Ready(Ok(room));
            }
            send.reserve_capacity(SEND_BUFFER);
            match ready!(send.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(error.into())),
                None => return broken(),
            }
        }
    }

    /// Hands chunks over, to leave as one HTTP/2 frame if the peer takes one as large.
    /// More than the room is taken all the same.
    pub(super) fn send(&mut self, chunks: Chunks) -> Result<(), CarrierError> {
        match &mut self.send {
            Some(send) => Ok(send.send_data(chunks, false)?),
            None => Err(CarrierError::Io(ErrorKind::BrokenPipe.into())),
        }
    }

    /// Ends this side's half of the call. Returns whether it was open.
    pub(crate) fn finish(&mut self) -> bool {
        let Some(mut send) = self.send.take() else {
            return false;
        };
        // Either fails only if the stream is gone, which is what is wanted.
        match &mut self.connection {
            Connection::Client(_) => {
                let _ = send.send_data(Chunks::default(), true);
            }
            Connection::Server(connection) => {
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                let _ = send.send_trailers(trailers);
                connection.graceful_shutdown();
            }
        }
        true
    }
}

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.connection {
            Connection::Client(_) => "dialled",
            Connection::Server(_) => "accepted",
        };
        f.debug_struct("Carrier").field("side", &side).finish_non_exhaustive()
    }
}

/// gRPC's code for a method that is not there.
const UNIMPLEMENTED: &str = "12";

fn grpc_response(status: Option<&'static str>) -> Response<()> {
    let mut response = Response::new(());
    *response.version_mut() = Version::HTTP_2;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    if let Some(status) = status {
        headers.insert("grpc-status", HeaderValue::from_static(status));
    }
    response
}

fn check_response(response: &Response<RecvStream>) -> Result<(), CarrierError> {
    if response.status() != StatusCode::OK {
        return Err(CarrierError::NotABroker(response.status()));
    }
    check_status(response.headers())
}

/// What the end of the peer's half says: nothing, or a status that is not "ok".
fn end_of(trailers: Result<Option<HeaderMap>, h2::Error>) -> Option<Result<Bytes, CarrierError>> {
    match trailers {
        Ok(trailers) => check_status(&trailers?).err().map(Err),
        Err(error) => Some(Err(error.into())),
    }
}

fn check_status(headers: &HeaderMap) -> Result<(), CarrierError> {
    let status = headers.get("grpc-status");
    match status.and_then(|value| value.to_str().ok()).and_then(|value| value.parse().ok()) {
        None | Some(0) => Ok(()),
        Some(status) => Err(CarrierError::Status(status)),
    }
}

/// The error as the reason of a trunk's end.
pub(super) fn shared(error: CarrierError) -> Arc<dyn Error + Send + Sync> {
    Arc::new(error)
}
