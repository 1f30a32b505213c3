//! Calls in other dialects than the trunk's, as requests of HTTP/2: what a call means to
//! an application (its deadline, its context, what is registered for its span) is the
//! same there.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use bytes::Bytes;
use http::Request;
use http::Response;
use http_body::Body as HttpBody;
use http_body::Frame;
use http_body::SizeHint;
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body as TonicBody;

use super::body::Body;
use super::channel::timer;
use super::context::CallContext;
use super::metadata;
use super::offers::Offers;
use super::protocol::Code;
use super::protocol::StreamError;
use super::registry::CallScope;
use super::registry::Taker;
use super::serving::Erased;
use super::transport::now;
use crate::error::Error;

/// Makes a call: `send` takes the request to the peer and returns its response.
pub(crate) async fn call<F>(
    request: Request<TonicBody>,
    send: impl FnOnce(Request<TonicBody>) -> F,
) -> Result<Response<Body>, Status>
where
    F: Future<Output = Result<Response<TonicBody>, Status>>,
{
    let (mut parts, body) = request.into_parts();
    if parts.method != http::Method::POST {
        return Err(Status::invalid_argument("a sub-channel carries gRPC: requests must be POST"));
    }
    let scope = parts.extensions.remove::<CallScope>();
    let own = metadata::timeout(&parts.headers).and_then(|timeout| now().checked_add(timeout));
    let deadline = CallContext::current().map_or(own, |outer| outer.bounds(own));
    let late = || Error::from(StreamError::Local(Code::Deadline)).to_status();
    let mut deadline = match deadline {
        Some(at) if at <= now() => return Err(late()),
        Some(at) => {
            metadata::set_timeout(&mut parts.headers, at.saturating_duration_since(now()));
            Some(timer(at))
        }
        None => None,
    };
    let mut sending = std::pin::pin!(send(Request::from_parts(parts, body)));
    let response = std::future::poll_fn(|cx| {
        if let Poll::Ready(response) = sending.as_mut().poll(cx) {
            return Poll::Ready(response);
        }
        match &mut deadline {
            Some(deadline) => deadline.as_mut().poll(cx).map(|()| Err(late())),
            None => Poll::Pending,
        }
    });
    let response = response.await?;
    Ok(response.map(|body| Body::foreign(Reply { body: Some(body), deadline, scope })))
}

/// Whether the current task serves a call, on whose behalf it would make the next.
pub(crate) fn is_nested() -> bool {
    CallContext::current().is_some()
}

/// The body of a response. Its deadline is the call's.
pub(super) struct Reply {
    /// `None` when it has ended.
    body: Option<TonicBody>,
    deadline: Option<Pin<Box<Sleep>>>,
    /// What is registered for the span of the call ends with it.
    scope: Option<CallScope>,
}

impl Reply {
    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let mut frame = Pin::new(body).poll_frame(cx);
        if frame.is_pending()
            && let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            let late = Error::from(StreamError::Local(Code::Deadline)).to_status();
            frame = Poll::Ready(Some(Err(late)));
        }
        let frame = ready!(frame);
        if !matches!(&frame, Some(Ok(frame)) if frame.is_data()) {
            // Lets go of the stream, however long the body is held.
            self.body = None;
            self.scope = None;
        }
        Poll::Ready(frame)
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.body.is_none()
    }
}

/// Serves a call to the service that the path of the request names.
pub(crate) async fn serve_offered(
    offers: &Offers,
    request: Request<TonicBody>,
) -> Response<TonicBody> {
    let path = request.uri().path();
    let name = path.strip_prefix('/').and_then(|path| path.split('/').next()).unwrap_or_default();
    match offers.find(name) {
        Some(Taker::Calls(handler)) => serve(Erased(handler.clone()), request).await,
        _ if offers.withholds(name) => {
            Error::from(StreamError::Local(Code::Denied)).to_status().into_http()
        }
        // As go-plugin's servers say it.
        _ => Status::unimplemented(format!("unknown service {name}")).into_http(),
    }
}

/// Serves a call. Dropping the future, or the body of the response, is how a call ends
/// that the peer has cancelled.
pub(crate) async fn serve(service: Erased, request: Request<TonicBody>) -> Response<TonicBody> {
    let timeout = metadata::timeout(request.headers());
    let deadline = timeout.and_then(|timeout| now().checked_add(timeout));
    let context = CallContext { deadline, depth: 0, stream: None };
    let mut timer = deadline.map(timer);
    let late = || Status::deadline_exceeded("the deadline passed while the call was served");
    let mut handling = Box::pin(context.clone().scope(service.0.handle(request)));
    let handled = std::future::poll_fn(|cx| {
        // A handler that panics has failed: dropped, it would look like one that the
        // caller has cancelled.
        let Ok(polled) = catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(cx))) else {
            return Poll::Ready(Err(Error::from(StreamError::Local(Code::Failed)).to_status()));
        };
        if let Poll::Ready(handled) = polled {
            return Poll::Ready(handled);
        }
        match &mut timer {
            Some(timer) => timer.as_mut().poll(cx).map(|()| Err(late())),
            None => Poll::Pending,
        }
    });
    match handled.await {
        Ok(mut response) => {
            let scope = response.extensions_mut().remove::<CallScope>();
            let serve = |body| Served { body, timer, context, _scope: scope };
            response.map(serve).map(TonicBody::new)
        }
        Err(status) => status.into_http(),
    }
}

/// The body of a response as a handler makes it: read as a part of the call.
struct Served {
    body: TonicBody,
    timer: Option<Pin<Box<Sleep>>>,
    context: CallContext,
    _scope: Option<CallScope>,
}

impl HttpBody for Served {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Self { body, timer, context, .. } = &mut *self;
        if let Poll::Ready(frame) = context.clone().enter(|| Pin::new(body).poll_frame(cx)) {
            return Poll::Ready(frame);
        }
        match timer {
            Some(timer) => timer.as_mut().poll(cx).map(|()| {
                let late = "the deadline passed while the response was sent";
                Some(Err(Status::deadline_exceeded(late)))
            }),
            None => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
