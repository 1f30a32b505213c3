//! The handle of a sub-channel: a `tower::Service` that makes calls on it.

use std::future::Future;
use std::mem::take;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::Request;
use http::Response;
use http::StatusCode;
use http_body::Body as HttpBody;
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body as TonicBody;
use tonic::codegen::StdError;
use tower_service::Service;

use super::body::Body;
use super::body::StreamHold;
use super::context::CallContext;
use super::dialect::Line;
use super::metadata;
use super::outgoing::Outgoing;
use super::outgoing::SendError;
use super::protocol::Call;
use super::protocol::ChannelKey;
use super::protocol::Code;
use super::protocol::StreamError;
use super::protocol::StreamKey;
use super::registry::CallScope;
use super::transport::Link;
use super::transport::now;
use super::trunk::Trunk;
use crate::error::Error;

/// A sub-channel of kind *calls*: makes gRPC calls to one service of the peer.
///
/// It is a `tower::Service` of HTTP requests, so that every client that tonic
/// generated works on it, and tower's layers and tonic's interceptors work around
/// it:
///
/// ```
/// # use trunkline::{Broker, Error, SubChannel};
/// # struct GreeterClient(SubChannel);
/// # impl GreeterClient { fn new(channel: SubChannel) -> Self { Self(channel) } }
/// # fn example(broker: &Broker) -> Result<(), Error> {
/// let client = GreeterClient::new(broker.open("demo.v1.Greeter")?);
/// # Ok(()) }
/// ```
///
/// Cheap to clone; all clones are the same sub-channel. It closes when the last
/// clone and the last call on it are gone. It keeps its trunk alive.
///
/// # Errors
///
/// Calls fail with a [`Status`] whose source is an [`Error`]: see [`Error::of`].
/// It is always ready: a sub-channel that the peer refused fails at the call,
/// where tonic keeps the error whole.
///
/// # Cancel safety
///
/// Dropping the future of a call, or the body of its response, cancels the call at
/// the other end; a call whose first frame has not left leaves no trace there.
#[derive(Clone, Debug)]
pub struct SubChannel {
    line: Arc<dyn Line>,
    background: bool,
}

impl SubChannel {
    pub(super) fn new(line: Arc<dyn Line>) -> Self {
        Self { line, background: false }
    }

    /// The same sub-channel, with calls that do not keep this end from counting as
    /// drained: for one that lasts as long as the trunk, such as the plugin's log.
    /// The other end still waits for them, so end them on
    /// [`Broker::drained`](super::Broker::drained).
    #[must_use]
    pub fn background(mut self) -> Self {
        self.background = true;
        self
    }

    /// Why the sub-channel can no longer be used, if it cannot: the peer refused
    /// or revoked it, or the trunk ended. A refusal takes a round trip, so that
    /// right after opening there is none.
    pub fn closed(&self) -> Option<Error> {
        self.line.closed()
    }
}

impl<B> Service<Request<B>> for SubChannel
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError>,
{
    type Response = Response<Body>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<Body>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.line.clone().call(request.map(TonicBody::new), self.background)
    }
}

/// A channel of a trunk, open while this exists.
#[derive(Debug)]
pub(super) struct Channel {
    trunk: Arc<Trunk>,
    key: ChannelKey,
}

impl Channel {
    pub(super) fn new(trunk: Arc<Trunk>, key: ChannelKey) -> Self {
        Self { trunk, key }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.trunk.link.close(self.key, Code::Done);
    }
}

impl Line for Channel {
    fn call(
        self: Arc<Self>,
        request: Request<TonicBody>,
        background: bool,
    ) -> BoxFuture<'static, Result<Response<Body>, Status>> {
        Box::pin(call(self, background, request))
    }

    fn closed(&self) -> Option<Error> {
        self.trunk.link.check_channel(self.key).err().map(Error::from)
    }
}

async fn call(
    channel: Arc<Channel>,
    background: bool,
    request: Request<TonicBody>,
) -> Result<Response<Body>, Status> {
    let link = &channel.trunk.link;
    let (mut parts, body) = request.into_parts();
    let scope = parts.extensions.remove::<CallScope>();
    let (mut call, deadline) = call_of(&parts, link)?;
    call.background = background;
    if deadline.is_some_and(|deadline| deadline <= now()) {
        return Err(Error::from(StreamError::Local(Code::Deadline)).to_status());
    }
    let mut body = Outgoing::new(body);
    let begun =
        std::future::poll_fn(|cx| Poll::Ready(begin(cx, &channel, take(&mut call), &mut body)));
    let (key, all_sent) = begun.await?;
    let mut hold = StreamHold { link: link.clone(), key, on_drop: Some(Code::Cancelled) };
    if !all_sent {
        tokio::spawn(send_rest(link.clone(), key, body));
    }
    let mut deadline = deadline.map(timer);
    let response = std::future::poll_fn(|cx| {
        if let Poll::Ready(response) = link.poll_response(cx, key) {
            return Poll::Ready(response);
        }
        match &mut deadline {
            Some(deadline) => deadline.as_mut().poll(cx).map(|()| {
                link.reset(key, Code::Deadline);
                Err(StreamError::Local(Code::Deadline))
            }),
            None => Poll::Pending,
        }
    });
    let received = response.await.map_err(|error| Error::from(error).to_status())?;
    if received.rest.is_some() {
        hold.on_drop = None;
    }
    let broken = || Error::from(StreamError::Peer(Code::Protocol)).to_status();
    let status = StatusCode::from_u16(received.head.status.unwrap_or(200)).map_err(|_| broken())?;
    let headers = metadata::to_response(received.head.metadata).map_err(|_| broken())?;
    let body = match received.rest {
        Some(whole) => Body::whole(whole),
        None => Body::live(hold, deadline, channel.clone(), scope),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// Sends the beginning of a call. Returns whether that was all of it.
fn begin(
    cx: &mut Context<'_>,
    channel: &Channel,
    call: Call,
    body: &mut Outgoing,
) -> Result<(StreamKey, bool), Status> {
    let part = body.first(cx)?;
    let all = part.end.is_some();
    let stream = channel.trunk.link.call(cx, channel.key, call, part);
    Ok((stream.map_err(|error| Error::from(error).to_status())?, all))
}

/// What the call starts with, and when it must be over: its own deadline or that
/// of the call on whose behalf it is made, whichever is sooner.
fn call_of(parts: &http::request::Parts, link: &Link) -> Result<(Call, Option<Instant>), Status> {
    if parts.method != http::Method::POST {
        return Err(Status::invalid_argument("a sub-channel carries gRPC: requests must be POST"));
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let (metadata, timeout) = metadata::of_request(&parts.headers);
    let own = timeout.and_then(|timeout| now().checked_add(timeout));
    let mut call = Call { path, metadata, ..Call::default() };
    let mut deadline = own;
    if let Some(outer) = CallContext::current() {
        call.depth = outer.depth.saturating_add(1);
        call.parent = outer.stream_on(link);
        deadline = outer.bounds(own);
    }
    call.timeout = deadline.map(|deadline| deadline.saturating_duration_since(now()));
    Ok((call, deadline))
}

pub(super) fn timer(deadline: Instant) -> Pin<Box<Sleep>> {
    Box::pin(tokio::time::sleep_until(deadline.into()))
}

/// Sends the request's body beside the response, and ends when either does.
async fn send_rest(link: Link, key: StreamKey, mut body: Outgoing) {
    match body.send(&link, key).await {
        // Whoever reads the response learns of a failed stream there.
        Ok(()) | Err(SendError::Stream) => {}
        // The caller's own stream of messages failed: the call cannot go on.
        Err(SendError::Body(_)) => link.reset(key, Code::Cancelled),
    }
}
