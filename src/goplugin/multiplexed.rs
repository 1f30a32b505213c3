//! Brokered connections as go-plugin has them since 1.6, if the host asks: streams of one
//! yamux session, each asked for with a knock.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::OnceLock;

use tokio::sync::mpsc;

use crate::broker::Role;
use crate::broker::dialects::Code;
use crate::broker::dialects::StreamError;
use crate::error::Error;
use crate::goplugin::mux;
use crate::goplugin::mux::Session;
use crate::goplugin::session::Core;
use crate::goplugin::socket::Io;
use crate::goplugin::wire::ConnInfo;

/// One side of the broker.
pub(super) struct Multiplexed {
    role: Role,
    session: OnceLock<Session>,
    /// Takes the streams that nobody has knocked for: the host's own connections.
    main: OnceLock<Box<dyn Fn(Io) + Send + Sync>>,
}

impl Multiplexed {
    pub(super) fn new(role: Role, _outbound: mpsc::Sender<ConnInfo>) -> Self {
        Self { role, session: OnceLock::new(), main: OnceLock::new() }
    }

    /// Streams that nobody has knocked for go here.
    pub(super) fn on_main(&self, take: impl Fn(Io) + Send + Sync + 'static) {
        let _ = self.main.set(Box::new(take));
    }

    /// Begins the session on its connection.
    pub(super) fn start(&self, core: &Arc<Core>, io: Io) {
        let role = match self.role {
            Role::Host => mux::Role::Client,
            _ => mux::Role::Server,
        };
        let core = Arc::downgrade(core);
        let session = Session::start(io, role, move |stream| {
            if let Some(core) = core.upgrade()
                && let super::paths::Paths::Multiplexed(this) = &core.paths
                && let Some(main) = this.main.get()
            {
                main(Box::new(stream));
            }
        });
        let _ = self.session.set(session);
    }

    /// A stream without a knock: the host's own connection.
    pub(super) async fn open(&self) -> io::Result<Io> {
        match self.session.get() {
            Some(session) => Ok(Box::new(session.open().await?)),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    pub(super) async fn closed(&self) {
        if let Some(session) = self.session.get() {
            session.closed().await;
        }
    }

    pub(super) fn close(&self) {
        if let Some(session) = self.session.get() {
            session.close();
        }
    }

    pub(super) fn accept(&self, _id: u32) {}

    pub(super) fn unregister(&self, _id: u32) {}

    pub(super) async fn dial(&self, _id: u32) -> Result<Io, Error> {
        Err(StreamError::Peer(Code::Unknown).into())
    }

    pub(super) async fn heard(&self, _core: &Core, _info: ConnInfo) {}

    pub(super) async fn speak(&self) {
        std::future::pending().await
    }
}

impl fmt::Debug for Multiplexed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multiplexed").field("role", &self.role).finish_non_exhaustive()
    }
}
