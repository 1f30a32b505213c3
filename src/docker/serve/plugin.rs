//! What a plugin does: its interfaces, its methods, and which of them a request is for.

use std::collections::HashMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Response;
use http::StatusCode;
use http::header::ALLOW;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::AsyncRead;
use tokio::time::timeout;

use crate::docker::body::Body;
use crate::docker::body::Whole;
use crate::docker::body::drain;
use crate::docker::body::read_whole;
use crate::docker::serve::Failure;
use crate::docker::wire::ACTIVATE;
use crate::docker::wire::MAX_MESSAGE;
use crate::docker::wire::MEDIA_TYPE;
use crate::docker::wire::Manifest;
use crate::docker::wire::Refusal;

/// How long the arguments of a method may take to arrive. They are sent at once; who does
/// not must not hold a connection for ever.
const ARGUMENTS_TIME: Duration = Duration::from_secs(30);

/// How much is read of arguments that are too long before they are answered, in bytes, and for
/// how long: most that are a little too long are then sent to their end.
const MAX_DRAINED: usize = 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// How long methods that run may take to end when a plugin stops.
const GRACE: Duration = Duration::from_secs(10);

/// How many connections there may be at a time. Docker keeps six to a plugin when it has
/// nothing to do, and a process as a rule has 1,024 descriptors.
const MAX_CONNECTIONS: usize = 256;

type Answer = Result<Response<Body>, Failure>;

/// Answers a request whose arguments may have as many bytes.
type Handler = Box<dyn Fn(Request<Body>, usize) -> BoxFuture<'static, Answer> + Send + Sync>;

/// What a plugin implements: interfaces, and the methods of each.
///
/// `Plugin.Activate` is there by itself. A method that fails, or is not there, answers with
/// an `Err`; one that panics fails with status 500, and the plugin lives on.
///
/// A method runs in the task of its connection, and is dropped where it stands if the caller
/// gives up: what must come to its end is for `tokio::spawn`. Calls run at the same time,
/// also of one method.
#[must_use = "a plugin does nothing until it is served"]
pub struct Plugin {
    manifest: Manifest,
    handlers: HashMap<String, Handler>,
    max_request: usize,
    pub(super) max_connections: usize,
    pub(super) grace: Duration,
}

impl Plugin {
    /// A plugin that implements nothing.
    #[expect(clippy::new_without_default, reason = "what implements nothing is no default")]
    pub fn new() -> Self {
        Self {
            manifest: Manifest::default(),
            handlers: HashMap::new(),
            max_request: MAX_MESSAGE,
            max_connections: MAX_CONNECTIONS,
            grace: GRACE,
        }
    }

    /// Says that the plugin implements this interface, such as `VolumeDriver`.
    pub fn implements(mut self, interface: impl Into<String>) -> Self {
        let interface = interface.into();
        if !self.manifest.has(&interface) {
            self.manifest.implements.push(interface);
        }
        self
    }

    /// A method: JSON in, JSON out. [`Empty`](crate::docker::Empty) is for arguments or
    /// results that there are none of. A method that there is already is replaced.
    pub fn method<A, R, F>(
        self,
        name: impl Into<String>,
        handler: impl Fn(A) -> F + Send + Sync + 'static,
    ) -> Self
    where
        A: DeserializeOwned,
        R: Serialize,
        F: Future<Output = Result<R, Failure>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        self.on(name, move |request, limit| {
            let handler = handler.clone();
            async move {
                let body = read(request.into_body(), limit).await?;
                json(&called(&*handler, &body)?.await?)
            }
        })
    }

    /// A method that answers with a stream: JSON in, any bytes out, as fast as the caller
    /// takes them. [`Body::from_reader`] makes one of a file.
    ///
    /// What fails after the stream has begun breaks it off; it is too late for an `Err`.
    pub fn stream<A, F>(
        self,
        name: impl Into<String>,
        handler: impl Fn(A) -> F + Send + Sync + 'static,
    ) -> Self
    where
        A: DeserializeOwned,
        F: Future<Output = Result<Body, Failure>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        self.on(name, move |request, limit| {
            let handler = handler.clone();
            async move {
                let body = read(request.into_body(), limit).await?;
                Ok(typed(called(&*handler, &body)?.await?))
            }
        })
    }

    /// A method that is sent a stream: any bytes in, JSON out. What the method does not read
    /// is not sent; nothing else bounds it.
    pub fn receive<R, F>(
        self,
        name: impl Into<String>,
        handler: impl Fn(Received) -> F + Send + Sync + 'static,
    ) -> Self
    where
        R: Serialize,
        F: Future<Output = Result<R, Failure>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        self.on(name, move |request, _| {
            let handler = handler.clone();
            async move { json(&handler(Received(request)).await?) }
        })
    }

    /// The longest arguments that a method takes, in bytes. Default
    /// [`MAX_MESSAGE`]. Longer ones are answered with status 413.
    pub fn max_request(mut self, bytes: usize) -> Self {
        self.max_request = bytes;
        self
    }

    /// How many connections there may be at a time; others wait until one ends. At least 1,
    /// default 256. One that is not used ends after a minute.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// How long methods that run may take to end when the plugin is stopped. Default 10
    /// seconds. Then they are dropped.
    pub fn grace(mut self, time: Duration) -> Self {
        self.grace = time;
        self
    }

    fn on<F>(
        mut self,
        name: impl Into<String>,
        handler: impl Fn(Request<Body>, usize) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let handler: Handler = Box::new(move |request, limit| handler(request, limit).boxed());
        self.handlers.insert(name.into(), handler);
        self
    }

    /// The answer to a request, whatever it is. Dropping the future drops the method.
    pub(super) async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let name = request.uri().path().trim_start_matches('/').to_owned();
        let answer = AssertUnwindSafe(self.dispatch(&name, request)).catch_unwind().await;
        let failure = match answer {
            Ok(Ok(answer)) => return answer,
            Ok(Err(failure)) => failure,
            Err(_) => {
                tracing::error!(method = name, "a method panicked");
                Failure::new(format!("the method {name} of the plugin panicked"))
            }
        };
        let refusal = Refusal { err: failure.message().to_owned() };
        let mut answer = json(&refusal).unwrap_or_default();
        *answer.status_mut() = failure.status();
        if failure.status() == StatusCode::METHOD_NOT_ALLOWED {
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        }
        answer
    }

    async fn dispatch(&self, name: &str, request: Request<Body>) -> Answer {
        if request.method() != Method::POST {
            let text = format!("methods are called by POST, not {}", request.method());
            return Err(Failure::new(text).with_status(StatusCode::METHOD_NOT_ALLOWED));
        }
        if name == ACTIVATE {
            return json(&self.manifest);
        }
        match self.handlers.get(name) {
            Some(handler) => handler(request, self.max_request).await,
            None => Err(Failure::not_found(format!("the plugin has no method {name:?}"))),
        }
    }
}

/// A handler of what is shared between calls and methods: a method of it, as a rule.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use trunkline::docker::serve::{Failure, Plugin, with_state};
///
/// #[derive(Default)]
/// struct Counter(AtomicU64);
///
/// impl Counter {
///     async fn add(self: Arc<Self>, count: u64) -> Result<u64, Failure> {
///         Ok(self.0.fetch_add(count, Ordering::Relaxed) + count)
///     }
/// }
///
/// let counter = Arc::<Counter>::default();
/// let plugin = Plugin::new().method("Counter.Add", with_state(&counter, Counter::add));
/// ```
pub fn with_state<S, A, F, H>(state: &Arc<S>, handler: H) -> impl Fn(A) -> F + use<S, A, F, H>
where
    H: Fn(Arc<S>, A) -> F,
{
    let state = state.clone();
    move |args| handler(state.clone(), args)
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("implements", &self.manifest.implements)
            .field("methods", &self.handlers.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// What a method is sent that takes a stream.
#[derive(Debug)]
pub struct Received(Request<Body>);

impl Received {
    /// What stands after the question mark behind the method's name, as it was sent: a graph
    /// driver gets its arguments there.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.0.uri().query()
    }

    /// The bytes, as they arrive.
    #[must_use]
    pub fn into_body(self) -> Body {
        self.0.into_body()
    }

    /// The same, as a reader.
    pub fn into_reader(self) -> impl AsyncRead + Send + Unpin {
        self.into_body().into_reader()
    }
}

/// The arguments of a method, as they were sent.
async fn read(mut body: Body, limit: usize) -> Result<Bytes, Failure> {
    let (text, status) = match timeout(ARGUMENTS_TIME, read_whole(&mut body, limit)).await {
        Ok(Whole::Read(bytes)) => return Ok(bytes),
        Ok(Whole::TooLong) => {
            // Who is still sending may not look for the answer, and a connection that is closed
            // with something unread may take the answer with it.
            let _ = timeout(DRAIN_TIME, drain(&mut body, MAX_DRAINED)).await;
            (format!("the arguments have more than {limit} bytes"), StatusCode::PAYLOAD_TOO_LARGE)
        }
        Ok(Whole::Broken(_)) => ("the arguments broke off".to_owned(), StatusCode::BAD_REQUEST),
        Err(_) => {
            let text = format!("the arguments did not arrive in {ARGUMENTS_TIME:?}");
            (text, StatusCode::REQUEST_TIMEOUT)
        }
    };
    Err(Failure::new(text).with_status(status))
}

/// Calls a handler with arguments. None at all are `null`.
fn called<A: DeserializeOwned, F>(handler: impl Fn(A) -> F, body: &[u8]) -> Result<F, Failure> {
    let args = if body.is_empty() { b"null" } else { body };
    match serde_json::from_slice(args) {
        Ok(args) => Ok(handler(args)),
        Err(error) => {
            let text = format!("the arguments are not the JSON that the method takes: {error}");
            Err(Failure::new(text).with_status(StatusCode::BAD_REQUEST))
        }
    }
}

fn json(result: &impl Serialize) -> Answer {
    let mut line = serde_json::to_vec(result)?;
    line.push(b'\n');
    Ok(typed(Body::from(Bytes::from(line))))
}

fn typed(body: Body) -> Response<Body> {
    let mut answer = Response::new(body);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    answer
}
