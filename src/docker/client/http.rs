//! The transport of real plugins: HTTP/1.1 on connections that are kept for a while.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::Request;
use http::Response;
use http_body::Body as HttpBody;
use http_body::Frame;
use http_body::SizeHint;
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioTimer;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

use crate::docker::body::Body;
use crate::docker::client::connector::Connector;
use crate::docker::client::transport::Transport;
use crate::docker::client::transport::TransportError;
use crate::docker::wire::MAX_HEAD;

/// How long a connection is kept that nobody uses, and how many of them, as Docker does:
/// enough for what an orchestrator does with one plugin at once, and few enough that a
/// program with many plugins does not run out of descriptors.
const IDLE_TIME: Duration = Duration::from_secs(30);
const MAX_IDLE: usize = 6;

/// HTTP/1.1 to one plugin. Connections are made in the runtime that a request is sent in.
#[derive(Debug)]
pub(super) struct HttpTransport {
    client: legacy::Client<Connector, Body>,
    permits: Arc<Semaphore>,
}

impl HttpTransport {
    /// At most `max_requests` run at a time; others wait for one to end.
    pub(super) fn new(connector: Connector, max_requests: usize) -> Self {
        let client = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .pool_max_idle_per_host(MAX_IDLE)
            .http1_max_buf_size(MAX_HEAD)
            .build(connector);
        let max_requests = max_requests.clamp(1, Semaphore::MAX_PERMITS);
        Self { client, permits: Arc::new(Semaphore::new(max_requests)) }
    }
}

impl Transport for HttpTransport {
    fn send(
        &self,
        request: Request<Body>,
    ) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        Box::pin(async move {
            let permit = self.permits.clone().acquire_owned().await;
            let permit = permit.map_err(TransportError::connecting)?;
            let answer = self.client.request(request).await.map_err(classify)?;
            Ok(answer.map(|body| Body::new(Received { body, permit: Some(permit) })))
        })
    }
}

/// Whether a request that failed may have reached the plugin. What is not known for certain
/// may have.
fn classify(error: legacy::Error) -> TransportError {
    if error.is_connect() {
        return TransportError::connecting(error);
    }
    let mut cause = error.source();
    while let Some(found) = cause {
        // Cancelled is what hyper calls a request that was given back unsent, and closed a
        // connection that did not live to take one.
        if let Some(hyper) = found.downcast_ref::<hyper::Error>()
            && (hyper.is_canceled() || hyper.is_closed())
        {
            return TransportError::unsent(error);
        }
        cause = found.source();
    }
    TransportError::sent(error)
}

/// The body of an answer, which is what a request's place is occupied for.
struct Received {
    body: Incoming,
    permit: Option<OwnedSemaphorePermit>,
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.permit = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
