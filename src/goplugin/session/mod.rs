//! A session with a peer that speaks go-plugin: what is behind its broker.

pub(super) mod accepting;
mod announced;
mod calling;
pub(super) mod classic;
pub(super) mod control;
mod knock;
pub(super) mod multiplexed;
mod mux_dialer;
pub(super) mod paths;

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tonic::Code as GrpcCode;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

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
use crate::goplugin::life::Life;
use crate::goplugin::session::accepting::Entry;
use crate::goplugin::session::calling::Brokered;
use crate::goplugin::session::calling::Main;
use crate::goplugin::session::paths::Paths;
use crate::goplugin::tasks::Tasks;
use crate::goplugin::transport::connection::Http;
use crate::goplugin::transport::tls::Tls;
use crate::goplugin::wire::ConnInfo;

/// The name under which go-plugin's hosts ask for a plugin's health.
pub(in crate::goplugin) const HEALTH: &str = "plugin";

/// Where a host of this library has all that the plugin was granted, under their names:
/// a brokered connection that is there from the start, for go-plugin's wire has no
/// services of the host by name. At the other end of the numbers than those that are
/// counted.
pub(in crate::goplugin) const HOST_SERVICES: u32 = u32::MAX;

/// How many messages of the broker may wait to be sent. They are small, and who has more
/// waits.
pub(in crate::goplugin) const OUTBOUND: usize = 64;

/// How long a call that fails with its connection waits for the reason. The host knows
/// how a process ended some milliseconds after its connections have.
const REASON_PATIENCE: Duration = Duration::from_secs(2);

/// The same for a brokered connection, which may well end alone.
const BROKERED_REASON_PATIENCE: Duration = Duration::from_millis(100);

/// The handle of a session. Dropping it ends the session.
pub(in crate::goplugin) struct Session {
    pub(in crate::goplugin) core: Arc<Core>,
}

/// What the handle and the tasks of a session share.
pub(in crate::goplugin) struct Core {
    pub(in crate::goplugin) role: Role,
    pub(in crate::goplugin) life: Arc<Life>,
    pub(in crate::goplugin) limits: Limits,
    pub(in crate::goplugin) tls: Option<Tls>,
    pub(in crate::goplugin) paths: Paths,
    /// The connection to the plugin's own server. Only a host has one.
    pub(in crate::goplugin) main: OnceLock<Http>,
    /// Whether the peer has its services at [`HOST_SERVICES`].
    pub(in crate::goplugin) peer_has_services: bool,
    pub(in crate::goplugin) registered: Mutex<Registered>,
    pub(in crate::goplugin) outbound: mpsc::Sender<ConnInfo>,
    pub(in crate::goplugin) lines: AtomicUsize,
    pub(in crate::goplugin) opened: AtomicU64,
    /// Brokered connections of the peer that are served.
    pub(in crate::goplugin) serving: AtomicUsize,
    tasks: Tasks,
    peer: Peer,
}

/// What this side accepts brokered connections for.
#[derive(Debug, Default)]
pub(in crate::goplugin) struct Registered {
    last: u32,
    pub(in crate::goplugin) entries: HashMap<u32, Entry>,
}

/// What a session is made of.
pub(in crate::goplugin) struct Parts {
    pub(in crate::goplugin) role: Role,
    pub(in crate::goplugin) limits: Limits,
    pub(in crate::goplugin) tls: Option<Tls>,
    pub(in crate::goplugin) paths: Paths,
    pub(in crate::goplugin) peer_has_services: bool,
    pub(in crate::goplugin) outbound: mpsc::Sender<ConnInfo>,
}

impl Core {
    /// Must be called in a tokio runtime, where its tasks then run.
    pub(in crate::goplugin) fn new(parts: Parts) -> Arc<Self> {
        let Parts { role, limits, tls, paths, peer_has_services, outbound } = parts;
        let life = Arc::new(Life::new(limits.streams));
        let tasks = Tasks::of(life.clone());
        Arc::new(Self {
            role,
            life,
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
            tasks,
            peer: Peer::default(),
        })
    }

    /// Runs a task until the session has ended.
    pub(in crate::goplugin) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    pub(in crate::goplugin) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// The error of a call whose connection has ended, when the reason is known.
    pub(in crate::goplugin) async fn explain(&self, gone: hyper::Error, main: bool) -> Error {
        let patience = if main { REASON_PATIENCE } else { BROKERED_REASON_PATIENCE };
        // If it passes, the reason is not known.
        let _ = tokio::time::timeout(patience, self.life.ended()).await;
        match self.life.reason() {
            Some(reason) => StreamError::Trunk(reason).into(),
            None => Error::from(StreamError::Peer(Code::Closed)).because(gone),
        }
    }

    /// Fails if the session has ended.
    fn check_alive(&self) -> Result<(), Error> {
        match self.life.reason() {
            Some(reason) => Err(StreamError::Trunk(reason).into()),
            None => Ok(()),
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
    pub(in crate::goplugin) fn register(self: &Arc<Self>, service: Erased, id: Option<u32>) -> u32 {
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

    pub(in crate::goplugin) fn unregister(&self, id: u32) {
        let entry = self.registered.lock().entries.remove(&id);
        self.paths.unregister(id);
        // Outside the lock: services may hold registrations themselves.
        drop(entry);
    }

    /// Lets go of every service.
    pub(in crate::goplugin) fn clear(&self) {
        let entries = std::mem::take(&mut self.registered.lock().entries);
        for id in entries.keys() {
            self.paths.unregister(*id);
        }
        drop(entries);
    }
}

impl Dialect for Session {
    fn open(self: Arc<Self>, service: String) -> Result<Arc<dyn Line>, Error> {
        self.core.check_alive()?;
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
        self.core.check_alive()?;
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
pub(in crate::goplugin) async fn check_health(http: Http) -> Result<(), Error> {
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
