//! Brokered connections as go-plugin has had them from the start: a socket for each
//! number, whose address is announced.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::watch;

use crate::broker::dialects::Code;
use crate::broker::dialects::StreamError;
use crate::broker::dialects::now;
use crate::error::Error;
use crate::goplugin::handshake::address::Address;
use crate::goplugin::session::Core;
use crate::goplugin::session::accepting;
use crate::goplugin::session::announced::Announced;
use crate::goplugin::transport::socket;
use crate::goplugin::transport::socket::Io;
use crate::goplugin::transport::socket::Listener;
use crate::goplugin::wire::ConnInfo;

/// How long a number may take to be announced by the peer after it is dialled, as in
/// go-plugin: it need not come before the message that carries the number.
const ANNOUNCEMENT_TIMEOUT: Duration = Duration::from_secs(5);

/// After how long a number is announced again that the peer has not dialled. go-plugin
/// has forgotten it five seconds after it came. Not sooner: a second announcement beside
/// one that is being dialled can make it panic.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(6);

/// From when on a number that is handed out again may be forgotten before it is dialled.
const FORGOTTEN_SOON: Duration = Duration::from_secs(4);

/// How long an accept that failed waits, as for a free descriptor, before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// One side of the broker.
#[derive(Debug)]
pub(in crate::goplugin) struct Classic {
    /// Where the sockets of this side are.
    folder: PathBuf,
    /// Whose group they belong to, if not to nobody but this user.
    group: Option<String>,
    announced: Announced,
    /// What is to be announced, and has not left yet.
    waiting: Mutex<BTreeMap<u32, Address>>,
    wake: Notify,
}

/// The peer has not said where it accepts connections.
#[derive(Debug, thiserror::Error)]
#[error("the peer has announced no connection of id {id} within {ANNOUNCEMENT_TIMEOUT:?}")]
struct NotAnnounced {
    id: u32,
}

/// What the peer has announced does not lead to it.
#[derive(Debug, thiserror::Error)]
#[error("nobody accepts connections of id {id} at {address}")]
struct NotThere {
    id: u32,
    address: Address,
    #[source]
    source: io::Error,
}

impl Classic {
    pub(in crate::goplugin) fn new(folder: PathBuf, group: Option<String>) -> Self {
        Self {
            folder,
            group,
            announced: Announced::new(),
            waiting: Mutex::default(),
            wake: Notify::new(),
        }
    }

    pub(in crate::goplugin) fn accept(
        &self,
        core: &Arc<Core>,
        id: u32,
        mut stop: watch::Receiver<()>,
    ) {
        // A registration may be made on a thread that is none of the runtime's.
        let _entered = core.tasks().runtime().enter();
        let listener = match Listener::bind(&self.folder, self.group.as_deref()) {
            Ok(listener) => listener,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(id, error, "the peer cannot dial a service: no socket for it");
                return;
            }
        };
        if let Some(entry) = core.registered.lock().entries.get_mut(&id) {
            entry.address = Some(listener.address().clone());
        }
        let core = core.clone();
        core.clone().spawn(async move {
            tokio::select! {
                biased;
                // An error: the sender is gone.
                _ = stop.changed() => {}
                () = accept_all(&core, id, &listener) => {}
            }
        });
    }

    pub(in crate::goplugin) fn unregister(&self, id: u32) {
        self.waiting.lock().remove(&id);
    }

    pub(in crate::goplugin) fn hand_out(&self, core: &Arc<Core>, id: u32) {
        let mut registered = core.registered.lock();
        let Some(entry) = registered.entries.get_mut(&id) else { return };
        let Some(address) = &entry.address else { return };
        // go-plugin uses an announcement up when it dials.
        if !entry.was_dialled
            && let Some(at) = entry.announced
        {
            let age = now().saturating_duration_since(at);
            if age < FORGOTTEN_AFTER {
                if age >= FORGOTTEN_SOON {
                    self.announce_later(core, id, FORGOTTEN_AFTER - age);
                }
                return;
            }
        }
        self.waiting.lock().insert(id, address.clone());
        entry.announced = Some(now());
        entry.was_dialled = false;
        self.wake.notify_one();
    }

    /// Announces a number when the peer has certainly forgotten it.
    fn announce_later(&self, core: &Arc<Core>, id: u32, delay: Duration) {
        let weak = Arc::downgrade(core);
        core.spawn(async move {
            tokio::time::sleep(delay).await;
            if let Some(core) = weak.upgrade() {
                core.paths.hand_out(&core, id);
            }
        });
    }

    /// Announces what is handed out.
    pub(in crate::goplugin) async fn speak(&self, core: &Core) {
        loop {
            while let Some((id, address)) = next(&self.waiting) {
                let info = ConnInfo {
                    service_id: id,
                    network: address.network().to_owned(),
                    address: address.to_string(),
                    knock: None,
                };
                if core.outbound.send(info).await.is_err() {
                    return;
                }
            }
            self.wake.notified().await;
        }
    }

    pub(in crate::goplugin) fn heard(&self, info: ConnInfo) {
        let id = info.service_id;
        if info.knock.is_some() {
            tracing::warn!(id, "the peer knocks, though connections are not multiplexed");
            return;
        }
        match Address::parse(&info.network, &info.address) {
            Ok(address) => self.announced.insert(id, address),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(id, error, "the peer announces an address that is none");
            }
        }
    }

    /// What either side has announced was between this one and another.
    pub(in crate::goplugin) fn forget(&self, core: &Core) {
        self.announced.clear();
        for entry in core.registered.lock().entries.values_mut() {
            entry.announced = None;
        }
    }

    pub(in crate::goplugin) async fn dial(&self, id: u32) -> Result<Io, Error> {
        let address = tokio::time::timeout(ANNOUNCEMENT_TIMEOUT, self.announced.of(id)).await;
        let address = address.map_err(|_| {
            Error::from(StreamError::Peer(Code::Unknown)).because(NotAnnounced { id })
        })?;
        match socket::connect(&address).await {
            Ok(io) => Ok(io),
            Err(source) => {
                let error = match source.kind() {
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                        self.announced.forget(id, &address);
                        StreamError::Peer(Code::Closed)
                    }
                    // Such as a path that is too long.
                    io::ErrorKind::InvalidInput => StreamError::Peer(Code::Protocol),
                    _ => StreamError::Local(Code::Limit),
                };
                Err(Error::from(error).because(NotThere { id, address, source }))
            }
        }
    }
}

fn next(waiting: &Mutex<BTreeMap<u32, Address>>) -> Option<(u32, Address)> {
    waiting.lock().pop_first()
}

async fn accept_all(core: &Arc<Core>, id: u32, listener: &Listener) {
    loop {
        match listener.accept().await {
            Ok(io) => accepting::connected(core, id, io),
            Err(error) => {
                tracing::warn!(id, %error, "a brokered connection cannot be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
