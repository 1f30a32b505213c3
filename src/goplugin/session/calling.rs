//! Calls to the peer: on the plugin's own connection, and on brokered ones.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Instant;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::Request;
use http::Response;
use http_body::Body as HttpBody;
use http_body::Frame;
use hyper::body::Incoming;
use tokio::sync::Mutex;
use tonic::Status;
use tonic::body::Body as TonicBody;

use crate::broker::Body;
use crate::broker::EndReason;
use crate::broker::dialects;
use crate::broker::dialects::Code;
use crate::broker::dialects::Line;
use crate::broker::dialects::StreamError;
use crate::broker::dialects::now;
use crate::error::Error;
use crate::goplugin::life::Running;
use crate::goplugin::life::Standing;
use crate::goplugin::session::Core;
use crate::goplugin::session::Session;
use crate::goplugin::transport::connection;
use crate::goplugin::transport::connection::CallError;
use crate::goplugin::transport::connection::Http;

/// A line counts as an open sub-channel for as long as it exists, and keeps its session.
struct Hold(Arc<Session>);

impl Hold {
    fn new(session: Arc<Session>) -> Self {
        session.core.lines.fetch_add(1, Relaxed);
        session.core.opened.fetch_add(1, Relaxed);
        Self(session)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.core.lines.fetch_sub(1, Relaxed);
    }
}

/// The plugin's own connection, as its host has it. It is there for as long as the
/// session is.
pub(in crate::goplugin) struct Main {
    hold: Hold,
}

impl Main {
    pub(in crate::goplugin) fn new(session: Arc<Session>) -> Self {
        Self { hold: Hold::new(session) }
    }
}

/// A brokered connection: made when the first call needs it, and anew if it is lost.
pub(in crate::goplugin) struct Brokered {
    hold: Hold,
    id: u32,
    connection: Mutex<Connection>,
}

#[derive(Default)]
struct Connection {
    http: Option<Http>,
    /// Why there was none, when it was last tried.
    failed: Option<(Instant, Error)>,
}

impl Brokered {
    pub(in crate::goplugin) fn new(session: Arc<Session>, id: u32) -> Self {
        Self { hold: Hold::new(session), id, connection: Mutex::default() }
    }

    async fn http(&self) -> Result<Http, Error> {
        let begun = now();
        // Held while connecting: the calls that come meanwhile share what comes of it.
        let mut connection = self.connection.lock().await;
        if let Some(http) = &connection.http
            && !http.is_closed()
        {
            return Ok(http.clone());
        }
        if let Some((at, error)) = &connection.failed
            && *at >= begun
        {
            return Err(error.clone());
        }
        let connected = self.connect().await;
        match &connected {
            Ok(http) => connection.http = Some(http.clone()),
            Err(error) => connection.failed = Some((now(), error.clone())),
        }
        connected
    }

    async fn connect(&self) -> Result<Http, Error> {
        let core = &self.hold.0.core;
        let io = tokio::select! {
            biased;
            () = core.life.ended() => return Err(ended(core)),
            io = core.paths.dial(core, self.id) => io?,
        };
        let begun = connection::begin(io, &core.limits, core.tasks().clone()).await;
        let (http, driver) =
            begun.map_err(|error| Error::from(StreamError::Peer(Code::Protocol)).because(error))?;
        let id = self.id;
        core.spawn(async move {
            if let Err(error) = driver.await {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(id, error, "a brokered connection has ended");
            }
        });
        Ok(http)
    }
}

fn ended(core: &Core) -> Error {
    StreamError::Trunk(core.life.reason().unwrap_or(EndReason::Closed)).into()
}

fn standing(core: &Core, background: bool) -> Standing {
    match background {
        true => Standing::Background,
        false if dialects::is_nested(core.life.id()) => Standing::Nested,
        false => Standing::New,
    }
}

impl Line for Main {
    fn call(
        self: Arc<Self>,
        request: Request<TonicBody>,
        background: bool,
    ) -> BoxFuture<'static, Result<Response<Body>, Status>> {
        Box::pin(async move {
            let core = self.hold.0.core.clone();
            let running =
                core.life.begin(standing(&core, background)).map_err(|it| it.to_status())?;
            let send = |request| async move {
                let http = core.main.get().ok_or_else(|| ended(&core).to_status())?.clone();
                send(http, request, Call { _line: self, core, _running: running, main: true }).await
            };
            dialects::call(request, send).await
        })
    }

    fn closed(&self) -> Option<Error> {
        let core = &self.hold.0.core;
        core.life.reason().map(|_| ended(core))
    }
}

impl Line for Brokered {
    fn call(
        self: Arc<Self>,
        request: Request<TonicBody>,
        background: bool,
    ) -> BoxFuture<'static, Result<Response<Body>, Status>> {
        Box::pin(async move {
            let core = self.hold.0.core.clone();
            let running =
                core.life.begin(standing(&core, background)).map_err(|it| it.to_status())?;
            let send = |request| async move {
                let http = self.http().await.map_err(|error| error.to_status())?;
                send(http, request, Call { _line: self, core, _running: running, main: false })
                    .await
            };
            dialects::call(request, send).await
        })
    }

    fn closed(&self) -> Option<Error> {
        let core = &self.hold.0.core;
        core.life.reason().map(|_| ended(core))
    }
}

/// What a call holds until it is over, and what explains its failure.
struct Call {
    /// Keeps the connection.
    _line: Arc<dyn Line>,
    core: Arc<Core>,
    _running: Running,
    main: bool,
}

async fn send(
    http: Http,
    request: Request<TonicBody>,
    call: Call,
) -> Result<Response<TonicBody>, Status> {
    // Owned, for the response keeps it.
    let life = call.core.life.clone();
    let mut over = Box::pin(async move { life.ended().await });
    let answered = tokio::select! {
        answered = http.call(request) => answered,
        () = &mut over => return Err(ended(&call.core).to_status()),
    };
    match answered {
        Ok(response) => {
            let reply = |body| {
                TonicBody::new(Reply { body, state: State::Reading(over), call: Some(call) })
            };
            Ok(response.map(reply))
        }
        Err(CallError::Reset(error)) => Err(error.to_status()),
        Err(CallError::Gone(error)) => Err(call.core.explain(error, call.main).await.to_status()),
    }
}

/// The body of a response as it arrives. A connection that is lost in the middle is an
/// error, and the error has the reason.
struct Reply {
    body: Incoming,
    state: State,
    /// `None` when it is over.
    call: Option<Call>,
}

enum State {
    /// Until the session ends.
    Reading(Pin<Box<dyn Future<Output = ()> + Send>>),
    Explaining(BoxFuture<'static, Error>),
}

impl HttpBody for Reply {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        loop {
            match &mut this.state {
                State::Reading(over) => {
                    let Some(call) = &this.call else { return Poll::Ready(None) };
                    let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
                        ready!(over.as_mut().poll(cx));
                        let error = ended(&call.core).to_status();
                        this.call = None;
                        return Poll::Ready(Some(Err(error)));
                    };
                    match frame {
                        Some(Ok(frame)) if frame.is_data() => {
                            return Poll::Ready(Some(Ok(frame)));
                        }
                        Some(Err(error)) => match CallError::of(error) {
                            CallError::Gone(error) => {
                                let (core, main) = (call.core.clone(), call.main);
                                let explained = async move { core.explain(error, main).await };
                                this.state = State::Explaining(Box::pin(explained));
                            }
                            CallError::Reset(error) => {
                                this.call = None;
                                return Poll::Ready(Some(Err(error.to_status())));
                            }
                        },
                        last => {
                            this.call = None;
                            return Poll::Ready(last.and_then(Result::ok).map(Ok));
                        }
                    }
                }
                State::Explaining(explaining) => {
                    if this.call.is_none() {
                        return Poll::Ready(None);
                    }
                    let error = ready!(explaining.as_mut().poll(cx));
                    this.call = None;
                    return Poll::Ready(Some(Err(error.to_status())));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.call.is_none() || self.body.is_end_stream()
    }
}

impl fmt::Debug for Main {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Main").finish_non_exhaustive()
    }
}

impl fmt::Debug for Brokered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Brokered").field("id", &self.id).finish_non_exhaustive()
    }
}
