//! What carries a request to a plugin: a seam, so that tests need no socket.

use std::error::Error;
use std::fmt;

use futures::future::BoxFuture;
use http::Request;
use http::Response;

use crate::docker::body::Body;
use crate::docker::body::BoxError;

/// Carries requests to one plugin. A [`Client`](super::Client) has one of its own, by
/// HTTP/1.1 over whatever the plugin's address says; a test gives it another.
///
/// ```
/// use bytes::Bytes;
/// use futures::future::BoxFuture;
/// use http::{Request, Response};
/// use trunkline::docker::{Body, Client, Empty, Transport, TransportError};
///
/// /// Knows one answer.
/// struct Canned(&'static str);
///
/// impl Transport for Canned {
///     fn send(&self, _: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
///         let answer = Response::new(Body::from(Bytes::from_static(self.0.as_bytes())));
///         Box::pin(async { Ok(answer) })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::over(Canned(r#"{"Capabilities": {"Scope": "local"}}"#));
/// let answer: serde_json::Value = client.call("VolumeDriver.Capabilities", &Empty {}).await?;
/// assert_eq!(answer["Capabilities"]["Scope"], "local");
/// # Ok(())
/// # }
/// ```
pub trait Transport: Send + Sync {
    /// Sends a request, and gives the head of the answer with its body as it arrives.
    /// Dropping the future, or the body, gives the request up.
    ///
    /// # Errors
    ///
    /// There is no answer. The error says whether the plugin may have got the request.
    fn send(&self, request: Request<Body>)
    -> BoxFuture<'_, Result<Response<Body>, TransportError>>;
}

/// Why a request has no answer.
#[derive(Debug)]
pub struct TransportError {
    stage: Stage,
    source: BoxError,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connecting,
    Unsent,
    Sent,
}

impl TransportError {
    /// There was no connection: the plugin cannot have got the request.
    pub fn connecting(source: impl Into<BoxError>) -> Self {
        Self { stage: Stage::Connecting, source: source.into() }
    }

    /// There was a connection, and nothing of the request was sent on it.
    pub fn unsent(source: impl Into<BoxError>) -> Self {
        Self { stage: Stage::Unsent, source: source.into() }
    }

    /// The connection failed when some of the request was sent: the plugin may have done
    /// what was asked.
    pub fn sent(source: impl Into<BoxError>) -> Self {
        Self { stage: Stage::Sent, source: source.into() }
    }

    /// Whether the plugin may have got the request.
    #[must_use]
    pub fn may_have_arrived(&self) -> bool {
        self.stage == Stage::Sent
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.stage {
            Stage::Connecting => "there is no connection",
            Stage::Unsent => "the connection ended before the request was sent",
            Stage::Sent => "the connection failed before there was an answer",
        })
    }
}

impl Error for TransportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}
