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
use hyper_util::rt::TokioIo;
use tonic::Status;
use tonic::body::Body as TonicBody;
use tower_service::Service;

use crate::broker::Limits;
use crate::broker::dialects::Code;
use crate::broker::dialects::StreamError;
use crate::error::Error;
use crate::goplugin::tasks::Tasks;
use crate::goplugin::transport::socket::Duplex;

/// How much of a call's data may wait for its reader, in bytes, as in Go's gRPC, if the
/// limits allow it. Enough for a bulk transfer between two processes of one machine.
const STREAM_WINDOW: u32 = 64 * 1024;

/// The calling end of a connection. Clones share it; it closes when all are gone and no
/// call runs.
#[derive(Clone, Debug)]
pub(in crate::goplugin) struct Http {
    sender: SendRequest<TonicBody>,
}

/// Why a call on a connection failed.
#[derive(Debug)]
pub(in crate::goplugin) enum CallError {
    /// The peer reset the stream of this call, with this meaning.
    Reset(Error),
    /// The connection is gone, and every call with it.
    Gone(hyper::Error),
}

/// Begins to speak HTTP/2. The second ends when the connection does, and must be polled
/// until then. What the connection needs to run is among `tasks`, and ends with them.
pub(in crate::goplugin) async fn begin<I: Duplex + 'static>(
    io: I,
    limits: &Limits,
    tasks: Tasks,
) -> Result<(Http, impl Future<Output = Result<(), hyper::Error>> + Send + use<I>), hyper::Error> {
    let mut client = ClientBuilder::new(tasks);
    client
        .initial_stream_window_size(stream_window(limits))
        .initial_connection_window_size(connection_window(limits))
        .max_header_list_size(limits.metadata);
    let (sender, connection) = client.handshake(TokioIo::new(io)).await?;
    Ok((Http { sender }, connection))
}

fn stream_window(limits: &Limits) -> u32 {
    STREAM_WINDOW.min(limits.max_window)
}

/// How much of all calls' data may wait: so much that those which nobody reads stall no
/// other. Twice that, because h2 takes half of it for the most that the books of small
/// messages may come to, and ends the connection beyond. With the default limits, 256 MiB.
fn connection_window(limits: &Limits) -> u32 {
    const MOST: u64 = (1 << 31) - 1;
    let window = 2 * u64::from(limits.streams) * u64::from(stream_window(limits));
    // It is less than 2^31.
    u32::try_from(window.clamp(STREAM_WINDOW.into(), MOST)).unwrap_or(STREAM_WINDOW)
}

impl Http {
    pub(in crate::goplugin) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    pub(in crate::goplugin) async fn call(
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
    pub(in crate::goplugin) fn of(error: hyper::Error) -> Self {
        let mut source = StdError::source(&error);
        while let Some(cause) = source {
            if let Some(http2) = cause.downcast_ref::<h2::Error>()
                && http2.is_reset()
            {
                let stream = match http2.reason() {
                    // Such as by a request whose own stream of messages failed.
                    _ if !http2.is_remote() => StreamError::Local(Code::Cancelled),
                    Some(h2::Reason::CANCEL) => StreamError::Peer(Code::Cancelled),
                    Some(h2::Reason::REFUSED_STREAM) => StreamError::Peer(Code::Limit),
                    _ => StreamError::Peer(Code::Failed),
                };
                return Self::Reset(Error::from(stream).because(error));
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
/// that run are dropped too. They are among `tasks`, and end with them. Fails only on
/// connections that do not speak HTTP/2.
pub(in crate::goplugin) async fn serve<F>(
    io: impl Duplex + 'static,
    limits: &Limits,
    tasks: Tasks,
    handle: impl Fn(Request<TonicBody>) -> F + Send + Sync + 'static,
) -> Result<(), hyper::Error>
where
    F: Future<Output = Response<TonicBody>> + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let response = handle(request.map(|body| TonicBody::new(Received(body))));
        async { Ok::<_, Infallible>(response.await) }
    });
    let mut server = ServerBuilder::new(tasks);
    server
        .max_concurrent_streams(limits.streams)
        .initial_stream_window_size(stream_window(limits))
        .initial_connection_window_size(connection_window(limits))
        .max_header_list_size(limits.metadata);
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
