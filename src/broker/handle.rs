//! The broker: one end of a trunk, as applications and plugins hold it.

use std::sync::Arc;
use std::sync::Weak;
use std::time::Duration;

use parking_lot::Mutex;
use uuid::Uuid;

use super::bytes::ByteListener;
use super::bytes::ByteStream;
use super::channel::SubChannel;
use super::dialect::Dialect;
use super::offers::Client;
use super::protocol::EndReason;
use super::protocol::Hello;
use super::registry::Registration;
use super::registry::ServiceId;
use super::serving::Servable;
use super::transport::Phase;
use super::transport::now;
use crate::error::Error;

/// One end of a trunk: opens sub-channels to the peer and hands services to it.
///
/// Cheap to clone, `Send` and `Sync`. The trunk ends, abruptly, when the last
/// handle of it is dropped: brokers, sub-channels, byte streams; use
/// [`Broker::shutdown`] to end it gracefully. A service that is registered on a
/// trunk and holds that trunk's broker keeps it alive until it is unregistered.
#[derive(Clone, Debug)]
pub struct Broker {
    pub(super) end: Arc<dyn Dialect>,
}

/// A handle of a trunk that does not keep it alive, and that exists before the
/// trunk does: see [`Builder::weak`](super::Builder::weak).
#[derive(Clone, Debug, Default)]
pub struct WeakBroker {
    /// `None` before there is one.
    end: Arc<Mutex<Option<Weak<dyn Dialect>>>>,
}

impl WeakBroker {
    /// The broker, while there is one: from just before the first call of the peer
    /// until the last other handle is dropped.
    pub fn upgrade(&self) -> Option<Broker> {
        let end = self.end.lock().as_ref()?.upgrade()?;
        Some(Broker { end })
    }

    pub(crate) fn set(&self, end: &Arc<dyn Dialect>) {
        *self.end.lock() = Some(Arc::downgrade(end));
    }
}

/// What the peer said of itself in its hello.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// The name of the application or plugin.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The identity of the plugin run, if it is known: the same at both ends.
    pub run: Option<Uuid>,
    /// The version of the application's protocol that it has chosen, if it was offered
    /// any.
    pub application_version: Option<u32>,
    /// The services that it offers to this side, by name.
    pub services: Vec<String>,
}

impl Peer {
    pub(super) fn of(hello: Hello) -> Self {
        Self {
            name: hello.name,
            version: hello.version,
            run: hello.run.map(Uuid::from_bytes),
            application_version: hello.application_version,
            services: hello.services,
        }
    }
}

/// What one end of a trunk holds at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Sub-channels that are open, of both sides.
    pub channels: usize,
    /// Calls and byte streams that are open or held, of both sides.
    pub streams: usize,
    /// Services registered by id.
    pub registrations: usize,
    /// Sub-channels of the peer that are served here.
    pub serving: usize,
    /// Bytes that have arrived and wait for the application.
    pub buffered: u64,
    /// Bytes by which windows have grown beyond their initial size.
    pub window_growth: u64,
}

/// What has happened on a trunk so far, by either side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Sub-channels that were opened.
    pub channels: u64,
    /// Calls that were made.
    pub calls: u64,
}

impl Broker {
    /// The broker of a dialect.
    #[cfg(feature = "goplugin")]
    pub(crate) fn of(end: Arc<dyn Dialect>) -> Self {
        Self { end }
    }

    /// Opens a sub-channel to a service that the peer offers by name. Opening is
    /// free: nothing is sent before the first call but with it, and nothing is
    /// waited for. A refusal shows as the failure of calls.
    ///
    /// To a plugin that speaks go-plugin's dialect all services are on one connection,
    /// and the path of a call decides which is meant.
    ///
    /// # Errors
    ///
    /// [`Reason::Limit`](crate::Reason::Limit) if the peer allows no more
    /// sub-channels, [`Reason::MetadataTooLong`](crate::Reason::MetadataTooLong) if the
    /// name is longer than the peer takes, [`Reason::TrunkEnded`](crate::Reason::TrunkEnded).
    pub fn open(&self, service: impl Into<String>) -> Result<SubChannel, Error> {
        self.end.clone().open(service.into()).map(SubChannel::new)
    }

    /// Opens a sub-channel to the service of a generated client, which
    /// [`client!`](crate::client) has declared, and makes the client.
    ///
    /// # Errors
    ///
    /// As of [`Broker::open`].
    pub fn client<C: Client>(&self) -> Result<C, Error> {
        self.open(C::SERVICE).map(C::from_channel)
    }

    /// Opens a sub-channel to a service that the peer registered, whose id it
    /// handed over in a message. There is nothing to wait for: the service was
    /// registered before its id could be known.
    ///
    /// # Errors
    ///
    /// As of [`Broker::open`]. An id that was never given on this trunk fails the
    /// calls with [`Reason::Unknown`](crate::Reason::Unknown), one whose
    /// registration is gone with [`Reason::Closed`](crate::Reason::Closed).
    pub fn dial(&self, id: impl Into<ServiceId>) -> Result<SubChannel, Error> {
        self.end.clone().dial(id.into()).map(SubChannel::new)
    }

    /// Opens a byte stream that the peer offers by name. What is written before a
    /// refusal arrives is lost; reading and writing then fail.
    ///
    /// # Errors
    ///
    /// As of [`Broker::open`], and [`Reason::GoingAway`](crate::Reason::GoingAway).
    pub fn open_bytes(&self, name: impl Into<String>) -> Result<ByteStream, Error> {
        self.end.clone().open_bytes(name.into())
    }

    /// Opens a byte stream to a listener that the peer registered.
    ///
    /// # Errors
    ///
    /// As of [`Broker::open_bytes`].
    pub fn dial_bytes(&self, id: impl Into<ServiceId>) -> Result<ByteStream, Error> {
        self.end.clone().dial_bytes(id.into())
    }

    /// Registers a service, for the peer to open by its id: a callback that
    /// belongs to an object or to one call (then see [`Registration::for_call`]).
    /// It can be opened from now on, any number of times, until the registration
    /// is dropped.
    pub fn register<S: Servable>(&self, service: S) -> Registration {
        let id = self.end.register(service.erase());
        Registration::new(&self.end, id)
    }

    /// Registers a listener for byte streams that the peer opens by its id. It
    /// holds back up to 128 that nobody has taken; one more is refused.
    ///
    /// # Errors
    ///
    /// [`Reason::Unsupported`](crate::Reason::Unsupported) if the dialect that the peer
    /// speaks has no byte streams, as go-plugin's has none.
    pub fn register_bytes(&self) -> Result<ByteListener, Error> {
        self.end.clone().register_bytes()
    }

    /// What the peer said of itself.
    pub fn peer(&self) -> &Peer {
        self.end.peer()
    }

    /// Asks the peer for a sign of life and returns how long it took.
    ///
    /// # Errors
    ///
    /// [`Reason::TrunkEnded`](crate::Reason::TrunkEnded) if the trunk ends first;
    /// [`Reason::Limit`](crate::Reason::Limit) if 64 others wait already. It waits
    /// as long as the peer takes: put a timeout around it. In go-plugin's dialect a host
    /// asks for the plugin's health ([`Reason::Failed`](crate::Reason::Failed) if it is
    /// not well), and a plugin cannot ask
    /// ([`Reason::Unsupported`](crate::Reason::Unsupported)).
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn ping(&self) -> Result<Duration, Error> {
        let start = now();
        self.end.ping().await?;
        Ok(now().saturating_duration_since(start))
    }

    /// Begins no new calls and accepts none, except those made on behalf of calls
    /// that run. Idempotent; returns at once.
    pub fn go_away(&self) {
        self.end.go_away();
    }

    /// Waits until either side has said that it is going away, or the trunk ended.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn going_away(&self) {
        self.wait_for(|phase| !matches!(phase, Phase::Connecting | Phase::Open)).await;
    }

    /// Waits until no call runs any more after either side has said that it is going
    /// away (but for calls of this side in the [background](SubChannel::background)),
    /// or the trunk ended.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn drained(&self) {
        self.wait_for(|phase| matches!(phase, Phase::Drained | Phase::Ended | Phase::Closed)).await;
    }

    /// A handle that does not keep the trunk alive: for a service that calls back
    /// on the trunk that it is served on.
    pub fn downgrade(&self) -> WeakBroker {
        WeakBroker { end: Arc::new(Mutex::new(Some(Arc::downgrade(&self.end)))) }
    }

    /// Waits until the connection under a trunk that has ended is closed: at most a
    /// second.
    pub(crate) async fn gone(&self) {
        self.wait_for(|phase| matches!(phase, Phase::Closed)).await;
    }

    /// Ends the trunk because its owner knows that the peer is gone.
    #[cfg_attr(not(feature = "host"), expect(dead_code, reason = "only hosts know more"))]
    pub(crate) fn lost(&self, cause: Arc<dyn std::error::Error + Send + Sync>) {
        self.end.lost(cause);
    }

    /// Ends the trunk gracefully: begins nothing new, gives running calls `drain`
    /// to finish, says farewell, and closes the connection, which takes at most a second.
    /// Returns whether all calls did finish.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is done, it leaves the trunk going away but open.
    pub async fn shutdown(&self, drain: Duration) -> bool {
        self.go_away();
        let drained = self.drained();
        let in_time = tokio::time::timeout(drain, drained).await.is_ok();
        let in_time = in_time && self.end_reason().is_none();
        self.close();
        self.gone().await;
        in_time
    }

    /// Ends the trunk at once: calls that run fail, at both ends, immediately.
    pub fn close(&self) {
        self.end.shut();
    }

    /// Waits until the trunk has ended, and says why.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn closed(&self) -> EndReason {
        self.wait_for(|phase| matches!(phase, Phase::Ended | Phase::Closed)).await;
        self.end_reason().unwrap_or(EndReason::Closed)
    }

    /// Why the trunk ended, if it has.
    pub fn end_reason(&self) -> Option<EndReason> {
        self.end.ended()
    }

    /// What this end holds. All zero when nothing is open.
    pub fn stats(&self) -> Stats {
        self.end.stats()
    }

    /// What has happened on the trunk so far.
    pub fn totals(&self) -> Totals {
        self.end.totals()
    }

    async fn wait_for(&self, reached: impl Fn(&Phase) -> bool) {
        let mut phase = self.end.phase();
        // The sender lives in what is behind this, which it holds.
        let _ = phase.wait_for(|phase| reached(phase)).await;
    }
}
