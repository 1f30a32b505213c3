//! HTTP/2 on one connection, at both ends, by hyper.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::Request;
use http::Response;
use http::Uri;
use http::uri::Authority;
use http::uri::Scheme;
use http_body::Body as HttpBody;
use http_body::Frame;
use hyper::body::Incoming;
use hyper::client::conn::http2::Builder as ClientBuilder;
use hyper::client::conn::http2::SendRequest;
use hyper::server::conn::http2::Builder as ServerBuilder;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use tonic::Status;
use tonic::body::Body as TonicBody;
use tower_service::Service;

use crate::broker::Limits;
use crate::broker::dialects::Code;
use crate::broker::dialects::StreamError;
use crate::error::Error;
use crate::goplugin::socket::Duplex;

/// How much of a call's data may wait for its reader, in bytes, as in Go's gRPC. Enough
/// for a bulk transfer between two processes of one machine.
const STREAM_WINDOW: u32 = 64 * 1024;

/// The same for all calls of a connection: so much that those which nobody reads stall no
/// other. Half of it is what HTTP/2 may spend on the books of small messages that wait
/// (h2 takes more for an attack, and ends the connection): forty streams that are full of
/// empty messages, or two hundred of messages of 20 bytes.
const CONNECTION_WINDOW: u32 = 256 * 1024 * 1024;

/// The calling end of a connection. Clones share it; it closes when all are gone and no
/// call runs.
#[derive(Clone, Debug)]
pub(super) struct Http {
    sender: SendRequest<TonicBody>,
}

/// Why a call on a connection failed.
#[derive(Debug)]
pub(super) enum CallError {
    /// The peer reset the stream of this call, with this meaning.
    Reset(Error),
    /// The connection is gone, and every call with it.
    Gone(hyper::Error),
}

/// Begins to speak HTTP/2. The second is the connection itself: it works while it is
/// polled, and ends when the connection does.
pub(super) async fn begin(
    io: impl Duplex + 'static,
) -> Result<(Http, impl Future<Output = Result<(), hyper::Error>> + Send), hyper::Error> {
    let mut client = ClientBuilder::new(TokioExecutor::new());
    client.initial_stream_window_size(STREAM_WINDOW);
    client.initial_connection_window_size(CONNECTION_WINDOW);
    let (sender, connection) = client.handshake(TokioIo::new(io)).await?;
    Ok((Http { sender }, connection))
}

impl Http {
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    pub(super) async fn call(
        mut self,
        mut request: Request<TonicBody>,
    ) -> Result<Response<Incoming>, CallError> {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(Scheme::HTTP);
        // Go's servers take any; it is what the certificates are made out to.
        parts.authority = Some(Authority::from_static("localhost"));
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
        self.sender.ready().await.map_err(CallError::of)?;
        self.sender.send_request(request).await.map_err(CallError::of)
    }
}

impl CallError {
    pub(super) fn of(error: hyper::Error) -> Self {
        let mut source = StdError::source(&error);
        while let Some(cause) = source {
            if let Some(http2) = cause.downcast_ref::<h2::Error>()
                && http2.is_reset()
            {
                let code = match http2.reason() {
                    Some(h2::Reason::CANCEL) => Code::Cancelled,
                    Some(h2::Reason::REFUSED_STREAM) => Code::Limit,
                    _ => Code::Failed,
                };
                return Self::Reset(Error::from(StreamError::Peer(code)).because(error));
            }
            source = cause.source();
        }
        Self::Gone(error)
    }
}

/// Generated clients on a connection as it is, for go-plugin's own services.
impl Service<Request<TonicBody>> for Http {
    type Response = Response<TonicBody>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<TonicBody>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<TonicBody>) -> Self::Future {
        let http = self.clone();
        Box::pin(async move {
            match Self::call(http, request).await {
                Ok(response) => Ok(response.map(TonicBody::new)),
                Err(CallError::Reset(error)) => Err(error.to_status()),
                Err(CallError::Gone(error)) => {
                    let mut status = Status::unavailable("the connection is lost");
                    status.set_source(std::sync::Arc::new(error));
                    Err(status)
                }
            }
        })
    }
}

/// Serves HTTP/2 on a connection until it ends, or the future is dropped: then the calls
/// that run are dropped too. Fails only on connections that do not speak HTTP/2.
pub(super) async fn serve<F>(
    io: impl Duplex + 'static,
    limits: &Limits,
    handle: impl Fn(Request<TonicBody>) -> F + Send + Sync + 'static,
) -> Result<(), hyper::Error>
where
    F: Future<Output = Response<TonicBody>> + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let response = handle(request.map(|body| TonicBody::new(Received(body))));
        async { Ok::<_, Infallible>(response.await) }
    });
    let mut server = ServerBuilder::new(TokioExecutor::new());
    server.initial_stream_window_size(STREAM_WINDOW);
    server.initial_connection_window_size(CONNECTION_WINDOW);
    server.max_concurrent_streams(limits.streams).max_header_list_size(limits.metadata);
    server.serve_connection(TokioIo::new(io), service).await
}

/// The body of a request, as it arrives.
struct Received(Incoming);

impl HttpBody for Received {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.0).poll_frame(cx).map_err(|error| match CallError::of(error) {
            CallError::Reset(error) => error.to_status(),
            CallError::Gone(error) => {
                Error::from(StreamError::Peer(Code::Cancelled)).because(error).to_status()
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }
}
