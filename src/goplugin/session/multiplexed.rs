//! Brokered connections as go-plugin has them since 1.6, if the host asks: streams of one
//! yamux session, each asked for with a knock.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::OnceLock;

use parking_lot::Mutex;
use tokio::sync::SetOnce;
use tokio::sync::mpsc;

use crate::broker::Role;
use crate::broker::dialects::Code;
use crate::broker::dialects::StreamError;
use crate::broker::dialects::now;
use crate::error::Error;
use crate::goplugin::session::Core;
use crate::goplugin::session::accepting;
use crate::goplugin::session::knock::Accepting;
use crate::goplugin::session::knock::DialError;
use crate::goplugin::session::knock::Inbound;
use crate::goplugin::session::knock::Place;
use crate::goplugin::session::mux_dialer::MuxDialer;
use crate::goplugin::session::paths::Paths;
use crate::goplugin::transport::mux;
use crate::goplugin::transport::mux::Session;
use crate::goplugin::transport::socket::Io;
use crate::goplugin::wire::ConnInfo;
use crate::goplugin::wire::conn_info::Knock;

/// One side of the broker.
pub(in crate::goplugin) struct Multiplexed {
    role: Role,
    accepting: Mutex<Accepting>,
    outbound: mpsc::Sender<ConnInfo>,
    /// There from when the connection is.
    started: SetOnce<Started>,
    /// Takes the streams that nobody has knocked for: the host's own connections.
    main: OnceLock<Box<dyn Fn(Io) + Send + Sync>>,
}

struct Started {
    session: Session,
    dialer: MuxDialer,
}

impl Multiplexed {
    /// Knocks and answers go to `outbound`.
    pub(in crate::goplugin) fn new(role: Role, outbound: mpsc::Sender<ConnInfo>) -> Self {
        let place = if role == Role::Plugin { Place::Plugin } else { Place::Host };
        Self {
            role,
            accepting: Mutex::new(Accepting::new(place)),
            outbound,
            started: SetOnce::new(),
            main: OnceLock::new(),
        }
    }

    /// Streams that nobody has knocked for go here, in the plugin's role.
    pub(in crate::goplugin) fn on_main(&self, take: impl Fn(Io) + Send + Sync + 'static) {
        // Once in a session's life.
        let _ = self.main.set(Box::new(take));
    }

    /// Begins the session on its connection.
    pub(in crate::goplugin) fn start(&self, core: &Arc<Core>, io: Io) {
        let role = if self.role == Role::Plugin { mux::Role::Server } else { mux::Role::Client };
        let weak = Arc::downgrade(core);
        let session = Session::start(io, role, move |stream| {
            if let Some(core) = weak.upgrade()
                && let Paths::Multiplexed(this) = &core.paths
            {
                this.came(&core, stream);
            }
        });
        let dialer = MuxDialer::start(session.clone(), self.outbound.clone());
        // Once in a session's life.
        let _ = self.started.set(Started { session, dialer });
    }

    /// A stream has come. Its order among the others is its identity, so this must not
    /// wait.
    fn came(&self, core: &Arc<Core>, stream: mux::Stream) {
        let inbound = self.accepting.lock().on_stream(now());
        match inbound {
            Inbound::Id(id) => accepting::connected(core, id, Box::new(stream)),
            Inbound::Main => {
                if let Some(main) = self.main.get() {
                    main(Box::new(stream));
                }
            }
            Inbound::Nobody(id) => {
                tracing::debug!(id, "reset a connection of the peer that nobody waits for");
            }
        }
    }

    /// A connection to the plugin's own server. Only one, before any other: go-plugin may
    /// take a later one for what was knocked for.
    pub(in crate::goplugin) async fn open(&self) -> io::Result<Io> {
        match self.started.get() {
            Some(started) => Ok(Box::new(started.session.open().await?)),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    pub(in crate::goplugin) async fn closed(&self) {
        if let Some(started) = self.started.get() {
            let end = started.session.closed().await;
            tracing::debug!(%end, "the connection of the session has ended");
        }
    }

    pub(in crate::goplugin) fn close(&self) {
        if let Some(started) = self.started.get() {
            started.dialer.on_session_end();
            started.session.close();
        }
    }

    pub(in crate::goplugin) fn accept(&self, id: u32) {
        if let Err(error) = self.accepting.lock().register(id) {
            tracing::error!(id, ?error, "the peer cannot dial a service: there are too many");
        }
    }

    pub(in crate::goplugin) fn unregister(&self, id: u32) {
        self.accepting.lock().unregister(id);
    }

    pub(in crate::goplugin) async fn dial(&self, id: u32) -> Result<Io, Error> {
        // A plugin may dial before its host has connected, and the first call of a host may
        // be there before the thread that has accepted its connection goes on.
        let started = self.started.wait().await;
        match started.dialer.dial(id).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => {
                let code = match &error {
                    DialError::Refused { .. } | DialError::NoAnswer { .. } => {
                        StreamError::Peer(Code::Unknown)
                    }
                    DialError::TooMany | DialError::NoTurn { .. } => {
                        StreamError::Local(Code::Limit)
                    }
                    DialError::NotTaken { .. } | DialError::SessionEnded => {
                        StreamError::Peer(Code::Closed)
                    }
                };
                Err(Error::from(code).because(error))
            }
        }
    }

    pub(in crate::goplugin) async fn heard(&self, info: ConnInfo) {
        let id = info.service_id;
        match info.knock {
            Some(Knock { ack: true, error, .. }) => {
                if let Some(started) = self.started.get() {
                    started.dialer.on_ack(id, &error);
                }
            }
            Some(Knock { knock: true, .. }) => self.knocked(id).await,
            _ => tracing::warn!(id, "the peer announces an address, though it multiplexes"),
        }
    }

    /// Answers at once. Waits for room to do so: a peer that knocks without reading the
    /// answers is not listened to any more.
    async fn knocked(&self, id: u32) {
        let answer = self.accepting.lock().on_knock(id, now());
        if let Some(dropped) = answer.dropped {
            tracing::debug!(id = dropped, "the peer has knocked and not connected");
        }
        let knock = Knock { knock: true, ack: true, error: answer.error };
        let info = ConnInfo { service_id: id, knock: Some(knock), ..ConnInfo::default() };
        // Fails when the session has ended.
        let _ = self.outbound.send(info).await;
    }
}

impl fmt::Debug for Multiplexed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multiplexed").field("role", &self.role).finish_non_exhaustive()
    }
}
