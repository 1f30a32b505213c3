//! A session with a peer that speaks go-plugin: what is behind its broker.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::Weak;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures::future::BoxFuture;
use hyper::rt::Executor;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tonic::Code as GrpcCode;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tracing::Instrument;
use tracing::Span;

use crate::broker::ByteListener;
use crate::broker::ByteStream;
use crate::broker::EndReason;
use crate::broker::Limits;
use crate::broker::Peer;
use crate::broker::Role;
use crate::broker::ServiceId;
use crate::broker::Stats;
use crate::broker::Totals;
use crate::broker::dialects::Code;
use crate::broker::dialects::Dialect;
use crate::broker::dialects::Erased;
use crate::broker::dialects::Line;
use crate::broker::dialects::Phase;
use crate::broker::dialects::StreamError;
use crate::error::Error;
use crate::goplugin::accepting::Entry;
use crate::goplugin::calling::Brokered;
use crate::goplugin::calling::Main;
use crate::goplugin::connection::Http;
use crate::goplugin::life::Life;
use crate::goplugin::paths::Paths;
use crate::goplugin::tls::Tls;
use crate::goplugin::wire::ConnInfo;

/// The name under which go-plugin's hosts ask for a plugin's health.
pub(super) const HEALTH: &str = "plugin";

/// Where a host of this library has all that the plugin was granted, under their names:
/// a brokered connection that is there from the start, for go-plugin's wire has no
/// services of the host by name. At the other end of the numbers than those that are
/// counted.
pub(super) const HOST_SERVICES: u32 = u32::MAX;

/// How many messages of the broker may wait to be sent. They are small, and who has more
/// waits.
pub(super) const OUTBOUND: usize = 64;

/// How long a call that fails with its connection waits for the reason. The host knows
/// how a process ended some milliseconds after its connections have.
const REASON_PATIENCE: Duration = Duration::from_secs(2);

/// The same for a brokered connection, which may well end alone.
const BROKERED_REASON_PATIENCE: Duration = Duration::from_millis(100);

/// The handle of a session. Dropping it ends the session.
pub(super) struct Session {
    pub(super) core: Arc<Core>,
}

/// What the handle and the tasks of a session share.
pub(super) struct Core {
    pub(super) role: Role,
    pub(super) life: Arc<Life>,
    pub(super) limits: Limits,
    pub(super) tls: Option<Tls>,
    pub(super) paths: Paths,
    /// The connection to the plugin's own server. Only a host has one.
    pub(super) main: OnceLock<Http>,
    /// Whether the peer has its services at [`HOST_SERVICES`].
    pub(super) peer_has_services: bool,
    pub(super) registered: Mutex<Registered>,
    pub(super) outbound: mpsc::Sender<ConnInfo>,
    pub(super) lines: AtomicUsize,
    pub(super) opened: AtomicU64,
    /// Brokered connections of the peer that are served.
    pub(super) serving: AtomicUsize,
    runtime: Handle,
    tracker: TaskTracker,
    /// That of the plugin: whoever uses the session first may be in any other.
    span: Span,
    peer: Peer,
}

/// Where the tasks of a session run, as hyper knows it.
#[derive(Clone)]
pub(super) struct Tasks {
    core: Weak<Core>,
    /// Whether they outlast the session's end, until all is said.
    to_the_last: bool,
}

impl<F> Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        let Some(core) = self.core.upgrade() else { return };
        let task = async move {
            // Connections say how they end in another way.
            task.await;
        };
        if self.to_the_last { core.spawn_to_the_last(task) } else { core.spawn(task) }
    }
}

/// What this side accepts brokered connections for.
#[derive(Debug, Default)]
pub(super) struct Registered {
    last: u32,
    pub(super) entries: HashMap<u32, Entry>,
}

/// What a session is made of.
pub(super) struct Parts {
    pub(super) role: Role,
    pub(super) limits: Limits,
    pub(super) tls: Option<Tls>,
    pub(super) paths: Paths,
    pub(super) peer_has_services: bool,
    pub(super) outbound: mpsc::Sender<ConnInfo>,
}

impl Core {
    /// Must be called in a tokio runtime, where its tasks then run.
    pub(super) fn new(parts: Parts) -> Arc<Self> {
        let Parts { role, limits, tls, paths, peer_has_services, outbound } = parts;
        Arc::new(Self {
            role,
            life: Arc::new(Life::new(limits.streams)),
            limits,
            tls,
            paths,
            main: OnceLock::new(),
            peer_has_services,
            registered: Mutex::default(),
            outbound,
            lines: AtomicUsize::new(0),
            opened: AtomicU64::new(0),
            serving: AtomicUsize::new(0),
            runtime: Handle::current(),
            tracker: TaskTracker::new(),
            span: Span::current(),
            peer: Peer::default(),
        })
    }

    /// Runs a task until the session has ended.
    pub(super) fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let life = self.life.clone();
        let task = async move {
            tokio::select! {
                biased;
                () = life.ended() => {}
                () = task => {}
            }
        };
        self.tracker.spawn_on(task.instrument(self.span.clone()), &self.runtime);
    }

    /// Runs a task until the session's own connection is closed.
    fn spawn_to_the_last(&self, task: impl Future<Output = ()> + Send + 'static) {
        let life = self.life.clone();
        let task = async move {
            tokio::select! {
                biased;
                () = life.cut() => {}
                () = task => {}
            }
        };
        self.tracker.spawn_on(task.instrument(self.span.clone()), &self.runtime);
    }

    /// For the connections of a session, which end with it.
    pub(super) fn tasks(self: &Arc<Self>) -> Tasks {
        Tasks { core: Arc::downgrade(self), to_the_last: false }
    }

    /// For the connection that says goodbye.
    pub(super) fn last_tasks(self: &Arc<Self>) -> Tasks {
        Tasks { core: Arc::downgrade(self), to_the_last: true }
    }

    /// Waits until nothing of a session is left that has ended: no task, and so no socket.
    pub(super) async fn gone(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// The runtime that the session was made in: a registration may be made elsewhere.
    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// The error of a call whose connection has ended, when the reason is known.
    pub(super) async fn explain(&self, gone: hyper::Error, main: bool) -> Error {
        let patience = if main { REASON_PATIENCE } else { BROKERED_REASON_PATIENCE };
        // If it passes, the reason is not known.
        let _ = tokio::time::timeout(patience, self.life.ended()).await;
        match self.life.reason() {
            Some(reason) => StreamError::Trunk(reason).into(),
            None => Error::from(StreamError::Peer(Code::Closed)).because(gone),
        }
    }

    /// What the application has registered.
    fn registrations(&self) -> usize {
        let registered = self.registered.lock();
        registered.entries.keys().filter(|id| **id != HOST_SERVICES).count()
    }

    /// A number for what is registered.
    fn number(registered: &mut Registered) -> u32 {
        loop {
            registered.last = registered.last.wrapping_add(1);
            let id = registered.last;
            if id != 0 && id != HOST_SERVICES && !registered.entries.contains_key(&id) {
                return id;
            }
        }
    }

    /// Accepts brokered connections for a service.
    pub(super) fn register(self: &Arc<Self>, service: Erased, id: Option<u32>) -> u32 {
        let mut registered = self.registered.lock();
        let id = id.unwrap_or_else(|| Self::number(&mut registered));
        let (entry, stop) = Entry::new(service);
        registered.entries.insert(id, entry);
        drop(registered);
        if self.life.reason().is_some() {
            // It has let go of all that was registered.
            self.unregister(id);
        } else {
            self.paths.accept(self, id, stop);
        }
        id
    }

    pub(super) fn unregister(&self, id: u32) {
        let entry = self.registered.lock().entries.remove(&id);
        self.paths.unregister(id);
        // Outside the lock: services may hold registrations themselves.
        drop(entry);
    }

    /// Lets go of every service.
    pub(super) fn clear(&self) {
        let entries = std::mem::take(&mut self.registered.lock().entries);
        for id in entries.keys() {
            self.paths.unregister(*id);
        }
        drop(entries);
    }
}

impl Dialect for Session {
    fn open(self: Arc<Self>, service: String) -> Result<Arc<dyn Line>, Error> {
        match self.core.role {
            Role::Host => Ok(Arc::new(Main::new(self))),
            Role::Plugin if self.core.peer_has_services => {
                Ok(Arc::new(Brokered::new(self, HOST_SERVICES)))
            }
            Role::Plugin => {
                tracing::debug!(service, "a host of go-plugin offers nothing by name");
                Err(StreamError::Peer(Code::Unknown).into())
            }
        }
    }

    fn dial(self: Arc<Self>, id: ServiceId) -> Result<Arc<dyn Line>, Error> {
        let id = u32::try_from(id.get()).map_err(|_| StreamError::Peer(Code::Unknown))?;
        Ok(Arc::new(Brokered::new(self, id)))
    }

    fn open_bytes(self: Arc<Self>, _: String) -> Result<ByteStream, Error> {
        Err(Error::unsupported())
    }

    fn dial_bytes(self: Arc<Self>, _: ServiceId) -> Result<ByteStream, Error> {
        Err(Error::unsupported())
    }

    fn register(&self, service: Erased) -> ServiceId {
        self.core.register(service, None).into()
    }

    fn register_bytes(self: Arc<Self>) -> Result<ByteListener, Error> {
        Err(Error::unsupported())
    }

    fn unregister(&self, id: ServiceId) {
        if let Ok(id) = u32::try_from(id.get()) {
            self.core.unregister(id);
        }
    }

    fn hand_out(&self, id: ServiceId) {
        if let Ok(id) = u32::try_from(id.get()) {
            self.core.paths.hand_out(&self.core, id);
        }
    }

    fn peer(&self) -> &Peer {
        &self.core.peer
    }

    fn ping(&self) -> BoxFuture<'static, Result<(), Error>> {
        let core = self.core.clone();
        Box::pin(async move {
            let Some(http) = core.main.get() else { return Err(Error::unsupported()) };
            let ended = || {
                let end = core.life.reason().unwrap_or(EndReason::Closed);
                Err(StreamError::Trunk(end).into())
            };
            let answer = tokio::select! {
                biased;
                () = core.life.ended() => return ended(),
                answer = check_health(http.clone()) => answer,
            };
            if answer.is_err() && http.is_closed() {
                // If it passes, the reason is not known.
                let known = tokio::time::timeout(REASON_PATIENCE, core.life.ended()).await;
                return known.map_or(answer, |()| ended());
            }
            answer
        })
    }

    fn stats(&self) -> Stats {
        let serving = self.core.serving.load(Relaxed);
        Stats {
            channels: self.core.lines.load(Relaxed) + serving,
            streams: self.core.life.counts().0,
            registrations: self.core.registrations(),
            serving,
            ..Stats::default()
        }
    }

    fn totals(&self) -> Totals {
        Totals { channels: self.core.opened.load(Relaxed), calls: self.core.life.counts().1 }
    }

    fn phase(&self) -> watch::Receiver<Phase> {
        self.core.life.phase()
    }

    fn ended(&self) -> Option<EndReason> {
        self.core.life.reason()
    }

    fn go_away(&self) {
        self.core.life.go_away();
    }

    fn shut(&self) {
        self.core.life.end(EndReason::Closed);
    }

    fn lost(&self, cause: Arc<dyn StdError + Send + Sync>) {
        self.core.life.end(EndReason::Lost(Some(cause)));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.core.life.end(EndReason::Closed);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("role", &self.core.role).finish_non_exhaustive()
    }
}

/// Asks a plugin whether it is well. One without a health service has answered, too.
pub(super) async fn check_health(http: Http) -> Result<(), Error> {
    let request = HealthCheckRequest { service: HEALTH.to_owned() };
    match HealthClient::new(http).check(request).await {
        Ok(answer) if answer.get_ref().status() == ServingStatus::Serving => Ok(()),
        Ok(answer) => {
            let status = answer.into_inner().status();
            let unwell = format!("the plugin says that it is {}", status.as_str_name());
            Err(Error::from(StreamError::Peer(Code::Failed)).because(unwell))
        }
        Err(status) if matches!(status.code(), GrpcCode::Unimplemented | GrpcCode::NotFound) => {
            Ok(())
        }
        Err(status) => Err(Error::from(StreamError::Peer(Code::Failed)).because(status)),
    }
}
