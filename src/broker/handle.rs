//! The broker: one end of a trunk, as applications and plugins hold it.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::Weak;
use std::time::Duration;

use uuid::Uuid;

use super::body::StreamHold;
use super::bytes::ByteListener;
use super::bytes::ByteStream;
use super::bytes::backlog;
use super::channel::SubChannel;
use super::offers::Client;
use super::protocol;
use super::protocol::Code;
use super::protocol::EndReason;
use super::protocol::Hello;
use super::protocol::Kind;
use super::protocol::StreamError;
use super::protocol::Target;
use super::registry::Registration;
use super::registry::Registry;
use super::registry::ServiceId;
use super::registry::Taker;
use super::serving::Servable;
use super::transport::Link;
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
    pub(super) trunk: Arc<Trunk>,
}

/// What all handles of one end of a trunk share.
#[derive(Debug)]
pub(super) struct Trunk {
    pub(super) link: Link,
    pub(super) registry: Registry,
    /// Known from the hello on, without which there is no broker.
    peer: OnceLock<Peer>,
}

impl Drop for Trunk {
    fn drop(&mut self) {
        self.link.shut();
    }
}

impl Trunk {
    pub(super) fn new(link: Link) -> Self {
        // Bytes of a v7 UUID that are drawn at random.
        let [.., a, b, c] = Uuid::now_v7().into_bytes();
        let registry = Registry::new(u32::from_be_bytes([0, a, b, c]));
        Self { link, registry, peer: OnceLock::new() }
    }

    pub(super) fn unregister(&self, id: ServiceId) {
        for channel in self.registry.remove(id) {
            self.link.close(channel, Code::Closed);
        }
    }
}

/// A handle of a trunk that does not keep it alive, and that exists before the
/// trunk does: see [`Builder::weak`](super::Builder::weak).
#[derive(Clone, Debug, Default)]
pub struct WeakBroker {
    trunk: Arc<OnceLock<Weak<Trunk>>>,
}

impl WeakBroker {
    /// The broker, while there is one: from just before the first call of the peer
    /// until the last other handle is dropped.
    pub fn upgrade(&self) -> Option<Broker> {
        let trunk = self.trunk.get()?.upgrade()?;
        Some(Broker { trunk })
    }

    pub(super) fn set(&self, trunk: &Arc<Trunk>) {
        self.trunk.get_or_init(|| Arc::downgrade(trunk));
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
    /// The services that it offers to this side, by name.
    pub services: Vec<String>,
}

impl Peer {
    fn of(hello: Hello) -> Self {
        Self {
            name: hello.name,
            version: hello.version,
            run: hello.run.map(Uuid::from_bytes),
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
    /// Opens a sub-channel to a service that the peer offers by name. Opening is
    /// free: nothing is sent before the first call but with it, and nothing is
    /// waited for. A refusal shows as the failure of calls.
    ///
    /// # Errors
    ///
    /// [`Reason::Limit`](crate::Reason::Limit) if the peer allows no more
    /// sub-channels, [`Reason::MetadataTooLong`](crate::Reason::MetadataTooLong) if the
    /// name is longer than the peer takes, [`Reason::TrunkEnded`](crate::Reason::TrunkEnded).
    pub fn open(&self, service: impl Into<String>) -> Result<SubChannel, Error> {
        self.open_target(Target::Service(service.into()))
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
        self.open_target(Target::Registered(id.into().get()))
    }

    /// Opens a byte stream that the peer offers by name. What is written before a
    /// refusal arrives is lost; reading and writing then fail.
    ///
    /// # Errors
    ///
    /// As of [`Broker::open`], and [`Reason::GoingAway`](crate::Reason::GoingAway).
    pub fn open_bytes(&self, name: impl Into<String>) -> Result<ByteStream, Error> {
        self.open_byte_stream(Target::Service(name.into()))
    }

    /// Opens a byte stream to a listener that the peer registered.
    ///
    /// # Errors
    ///
    /// As of [`Broker::open_bytes`].
    pub fn dial_bytes(&self, id: impl Into<ServiceId>) -> Result<ByteStream, Error> {
        self.open_byte_stream(Target::Registered(id.into().get()))
    }

    /// Registers a service, for the peer to open by its id: a callback that
    /// belongs to an object or to one call (then see [`Registration::for_call`]).
    /// It can be opened from now on, any number of times, until the registration
    /// is dropped.
    pub fn register<S: Servable>(&self, service: S) -> Registration {
        let id = self.trunk.registry.add(Taker::Calls(service.erase().0));
        Registration::new(&self.trunk, id)
    }

    /// Registers a listener for byte streams that the peer opens by its id. It
    /// holds back up to 128 that nobody has taken; one more is refused.
    pub fn register_bytes(&self) -> ByteListener {
        let (backlog, mut listener) = backlog(None);
        let id = self.trunk.registry.add(Taker::Bytes(backlog));
        listener.set_registration(Registration::new(&self.trunk, id));
        listener
    }

    /// What the peer said of itself.
    pub fn peer(&self) -> &Peer {
        let hello = || self.trunk.link.peer().map(Peer::of).unwrap_or_default();
        self.trunk.peer.get_or_init(hello)
    }

    /// Asks the peer for a sign of life and returns how long it took.
    ///
    /// # Errors
    ///
    /// [`Reason::TrunkEnded`](crate::Reason::TrunkEnded) if the trunk ends first;
    /// [`Reason::Limit`](crate::Reason::Limit) if 64 others wait already. It waits
    /// as long as the peer takes: put a timeout around it.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn ping(&self) -> Result<Duration, Error> {
        let start = now();
        let answer = self.trunk.link.ping()?;
        let answer = answer.ok_or(StreamError::Local(Code::Limit))?;
        match answer.await {
            Ok(()) => Ok(now().saturating_duration_since(start)),
            Err(_) => Err(StreamError::Trunk(self.trunk.link.end_reason()).into()),
        }
    }

    /// Begins no new calls and accepts none, except those made on behalf of calls
    /// that run. Idempotent; returns at once.
    pub fn go_away(&self) {
        self.trunk.link.go_away("going away");
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
        WeakBroker { trunk: Arc::new(OnceLock::from(Arc::downgrade(&self.trunk))) }
    }

    /// Waits until the connection under a trunk that has ended is closed: at most a
    /// second.
    pub(crate) async fn gone(&self) {
        self.wait_for(|phase| matches!(phase, Phase::Closed)).await;
    }

    /// Ends the trunk because its owner knows that the peer is gone.
    #[cfg_attr(not(feature = "host"), expect(dead_code, reason = "only hosts know more"))]
    pub(crate) fn lost(&self, cause: Arc<dyn std::error::Error + Send + Sync>) {
        self.trunk.link.lost(EndReason::Lost(Some(cause)));
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
        self.trunk.link.shut();
    }

    /// Waits until the trunk has ended, and says why.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn closed(&self) -> EndReason {
        self.wait_for(|phase| matches!(phase, Phase::Ended | Phase::Closed)).await;
        self.trunk.link.end_reason()
    }

    /// Why the trunk ended, if it has.
    pub fn end_reason(&self) -> Option<EndReason> {
        self.trunk.link.ended()
    }

    /// What this end holds. All zero when nothing is open.
    pub fn stats(&self) -> Stats {
        let (counts, buffered) = self.trunk.link.counts();
        let (registrations, serving) = self.trunk.registry.counts();
        Stats {
            channels: counts.channels,
            streams: counts.streams,
            registrations,
            serving,
            buffered,
            window_growth: counts.window_growth,
        }
    }

    /// What has happened on the trunk so far.
    pub fn totals(&self) -> Totals {
        let protocol::Totals { channels, calls } = self.trunk.link.totals();
        Totals { channels, calls }
    }

    fn open_target(&self, target: Target) -> Result<SubChannel, Error> {
        let (channel, _) = self.trunk.link.open(target, Kind::Calls)?;
        Ok(SubChannel::new(self.trunk.clone(), channel))
    }

    fn open_byte_stream(&self, target: Target) -> Result<ByteStream, Error> {
        let (_, stream) = self.trunk.link.open(target, Kind::Bytes)?;
        let key = stream.ok_or(StreamError::Local(Code::Closed))?;
        let hold =
            StreamHold { link: self.trunk.link.clone(), key, on_drop: Some(Code::Cancelled) };
        Ok(ByteStream::new(self.trunk.clone(), hold))
    }

    async fn wait_for(&self, reached: impl Fn(&Phase) -> bool) {
        let mut phase = self.trunk.link.phase();
        // The sender lives in the link, which this holds.
        let _ = phase.wait_for(|phase| reached(phase)).await;
    }
}
