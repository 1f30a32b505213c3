//! Serving the calls that the peer makes: one task for each that takes its time.

use std::error::Error;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Response;
use http::Uri;
use http::Version;
use http_body::Body as HttpBody;
use tonic::Status;
use tonic::body::Body as TonicBody;
use tonic::codegen::StdError;
use tower_service::Service;
use tracing::Instrument;

use super::body::RequestBody;
use super::body::StreamHold;
use super::context::CallContext;
use super::context::Origin;
use super::metadata;
use super::outgoing::Outgoing;
use super::outgoing::SendError;
use super::protocol::Code;
use super::protocol::End;
use super::protocol::Part;
use super::protocol::RequestHead;
use super::protocol::ResponseHead;
use super::protocol::StreamError;
use super::protocol::StreamKey;
use super::registry::CallScope;
use super::transport::Link;
use super::transport::now;

/// Any service that can be served on a sub-channel, its type forgotten.
pub(super) trait Handler: Send + Sync {
    /// Runs nothing of the service before the future is polled: it is not called where
    /// what the service does is contained.
    fn handle(self: Arc<Self>, request: Request<TonicBody>) -> BoxFuture<'static, Handled>;
}

/// A tower service as a handler.
struct TowerHandler<S>(S);

impl<S, B> Handler for TowerHandler<S>
where
    S: Service<Request<TonicBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<StdError>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError>,
{
    fn handle(self: Arc<Self>, request: Request<TonicBody>) -> BoxFuture<'static, Handled> {
        Box::pin(async move {
            let mut service = self.0.clone();
            let ready = std::future::poll_fn(|cx| service.poll_ready(cx)).await;
            ready.map_err(|error| Status::from_error(error.into()))?;
            let response = service.call(request).await;
            response
                .map(|response| response.map(TonicBody::new))
                .map_err(|error| Status::from_error(error.into()))
        })
    }
}

/// Whatever serves HTTP requests, and so gRPC: the servers that tonic generates, its
/// `Routes`, and either in tower's layers.
///
/// Implemented for every tower service that qualifies; there is nothing to implement by
/// hand. It is cloned for each call, as in tonic's own server.
pub trait Servable: Clone + Send + Sync + 'static {
    /// Forgets the type.
    #[doc(hidden)]
    fn erase(self) -> Erased;
}

/// A service whose type is forgotten.
#[doc(hidden)]
#[derive(Clone)]
pub struct Erased(pub(super) Arc<dyn Handler>);

impl<S, B> Servable for S
where
    S: Service<Request<TonicBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<StdError>,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError>,
{
    fn erase(self) -> Erased {
        Erased(Arc::new(TowerHandler(self)))
    }
}

impl fmt::Debug for Erased {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Erased").finish_non_exhaustive()
    }
}

/// What a handler comes to.
type Handled = Result<Response<TonicBody>, Status>;

/// How far a call has come.
enum Stage {
    Handling(BoxFuture<'static, Handled>),
    /// The response has begun.
    Sending(Rest),
}

/// What is left of a response that has begun, and what lasts until it is sent.
struct Rest {
    body: Outgoing,
    _scope: Option<CallScope>,
}

/// Serves one call until it is answered or cancelled.
///
/// In a task of its own; but `in_place` polls the handler once right here, since most
/// answer at once, and a task and its turn of the scheduler cost more than they do.
pub(super) fn serve(
    cx: &mut Context<'_>,
    link: &Link,
    stream: StreamKey,
    head: RequestHead,
    handler: &Arc<dyn Handler>,
    in_place: bool,
) {
    // Held from here on: if the task is lost the peer hears that it failed.
    let mut hold = StreamHold { link: link.clone(), key: stream, on_drop: Some(Code::Failed) };
    let deadline = head.timeout.and_then(|timeout| now().checked_add(timeout));
    let origin = Origin::Trunk(link.clone(), stream);
    let context = CallContext { deadline, depth: head.depth, origin };
    // The handler of a call that is over already does not begin.
    let Ok(whole) = link.request_body(stream) else { return };
    let body = match whole {
        Some(whole) => RequestBody::Whole(whole),
        None => RequestBody::Live { link: link.clone(), key: stream },
    };
    let Some(request) = request_of(head, body) else {
        link.reset(stream, Code::Protocol);
        return;
    };
    let mut stage = Stage::Handling(handler.clone().handle(request));
    if in_place {
        let first = || context.clone().enter(|| poll_once(cx, &mut hold, stage));
        // A handler that panics is as a task that does: the call has failed.
        let Ok(Some(rest)) = catch_unwind(AssertUnwindSafe(first)) else { return };
        stage = rest;
    }
    let work = context.scope(async move {
        match deadline {
            Some(deadline) => within(deadline, &mut hold, stage).await,
            None => run(&mut hold, stage).await,
        }
    });
    tokio::spawn(work.in_current_span());
}

fn request_of(head: RequestHead, body: RequestBody) -> Option<Request<TonicBody>> {
    let mut request = Request::new(TonicBody::new(body));
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = Uri::try_from(head.path).ok()?;
    *request.headers_mut() = metadata::to_request(head.metadata, head.timeout).ok()?;
    Some(request)
}

/// Runs a call until its deadline, and then says that it has passed.
async fn within(deadline: Instant, hold: &mut StreamHold, stage: Stage) {
    if tokio::time::timeout_at(deadline.into(), run(hold, stage)).await.is_err() {
        let status = Status::deadline_exceeded("the deadline passed while the call was served");
        if answer(hold, status).is_err() {
            // The response has begun: all that is left is to cut it off.
            hold.link.reset(hold.key, Code::Deadline);
        }
    }
}

/// Runs the handler and sends its response. Stops, and drops the handler, when
/// the peer cancels the call or the trunk ends.
async fn run(hold: &mut StreamHold, stage: Stage) {
    let mut rest = match stage {
        Stage::Sending(rest) => rest,
        Stage::Handling(mut handling) => {
            let began = std::future::poll_fn(|cx| {
                // First, so that the handler of a call that is over already does not begin.
                if hold.link.poll_failure(cx, hold.key).is_ready() {
                    return Poll::Ready(None);
                }
                handling.as_mut().poll(cx).map(|handled| begin_response(cx, hold, handled))
            });
            let Some(rest) = began.await else { return };
            rest
        }
    };
    if let Err(SendError::Body(status)) = rest.body.send(&hold.link, hold.key).await {
        tracing::debug!(error = &status as &dyn Error, "the body of a response failed");
        hold.link.reset(hold.key, Code::Failed);
    }
}

/// Polls the handler of a call that has just arrived. `None` if the call is answered
/// then.
fn poll_once(cx: &mut Context<'_>, hold: &mut StreamHold, stage: Stage) -> Option<Stage> {
    let Stage::Handling(mut handling) = stage else { return Some(stage) };
    match handling.as_mut().poll(cx) {
        Poll::Pending => Some(Stage::Handling(handling)),
        Poll::Ready(handled) => begin_response(cx, hold, handled).map(Stage::Sending),
    }
}

/// Answers with what a handler came to, and as much of the body as is there. Returns
/// the rest if there is more of it.
fn begin_response(cx: &mut Context<'_>, hold: &mut StreamHold, handled: Handled) -> Option<Rest> {
    let (mut parts, body) = match handled {
        Ok(response) => response.into_parts(),
        Err(status) => {
            let code = HeaderValue::from(status.code() as i32);
            if let Err(StreamError::MetadataTooLong { size, limit }) = answer(hold, status) {
                too_long(hold, Some(code), size, limit);
            }
            return None;
        }
    };
    let grpc_status = parts.headers.get("grpc-status").cloned();
    let scope = parts.extensions.remove::<CallScope>();
    let status = (parts.status != http::StatusCode::OK).then(|| parts.status.as_u16());
    let head = ResponseHead { status, metadata: metadata::of_response(&parts.headers) };
    let mut body = Outgoing::new(body);
    let Ok(part) = body.first(cx) else {
        hold.link.reset(hold.key, Code::Failed);
        return None;
    };
    match respond(hold, head, part) {
        Ok(true) => None,
        Ok(false) => Some(Rest { body, _scope: scope }),
        Err(StreamError::MetadataTooLong { size, limit }) => {
            too_long(hold, grpc_status, size, limit);
            None
        }
        // The call is over, and nobody waits for an answer.
        Err(_) => None,
    }
}

/// Sends the beginning of a response. Returns whether that was all.
fn respond(hold: &mut StreamHold, head: ResponseHead, part: Part) -> Result<bool, StreamError> {
    let whole = hold.link.respond(hold.key, head, part)?;
    if whole {
        hold.on_drop = None;
    }
    Ok(whole)
}

/// Answers with a status and nothing else.
fn answer(hold: &mut StreamHold, status: Status) -> Result<bool, StreamError> {
    let response = status.into_http::<()>();
    let head = ResponseHead { status: None, metadata: metadata::of_response(response.headers()) };
    respond(hold, head, Part { chunks: Vec::new(), end: Some(End::default()) })
}

/// Answers in place of a response whose metadata the peer does not take, with the
/// handler's own status if that is what was too long.
fn too_long(hold: &mut StreamHold, status: Option<HeaderValue>, size: usize, limit: u32) {
    tracing::warn!(size, limit, "the metadata of a response is larger than the peer takes");
    let code = status.map_or(tonic::Code::ResourceExhausted, |status| {
        tonic::Code::from_bytes(status.as_bytes())
    });
    let message = format!("its metadata is {size} bytes; the peer takes at most {limit}");
    if answer(hold, Status::new(code, message)).is_err() {
        // The response has begun: all that is left is to cut it off.
        hold.link.reset(hold.key, Code::Failed);
    }
}
