//! One end of a trunk: the machine's link and what is registered on it.

use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::OnceLock;

use futures::future::BoxFuture;
use tokio::sync::watch;
use uuid::Uuid;

use super::body::StreamHold;
use super::bytes::ByteListener;
use super::bytes::ByteStream;
use super::bytes::backlog;
use super::channel::Channel;
use super::dialect::Dialect;
use super::dialect::Line;
use super::handle::Peer;
use super::handle::Stats;
use super::handle::Totals;
use super::protocol;
use super::protocol::Code;
use super::protocol::EndReason;
use super::protocol::Kind;
use super::protocol::StreamError;
use super::protocol::Target;
use super::registry::Registration;
use super::registry::Registry;
use super::registry::ServiceId;
use super::registry::Taker;
use super::serving::Erased;
use super::transport::Link;
use super::transport::Phase;
use crate::error::Error;

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
        let [.., a, b, c, d] = Uuid::now_v7().into_bytes();
        let registry = Registry::new(u32::from_be_bytes([a, b, c, d]));
        Self { link, registry, peer: OnceLock::new() }
    }

    fn open_target(self: Arc<Self>, target: Target) -> Result<Arc<dyn Line>, Error> {
        let (channel, _) = self.link.open(target, Kind::Calls)?;
        Ok(Arc::new(Channel::new(self, channel)))
    }

    fn open_byte_stream(self: Arc<Self>, target: Target) -> Result<ByteStream, Error> {
        let (_, stream) = self.link.open(target, Kind::Bytes)?;
        let key = stream.ok_or(StreamError::Local(Code::Closed))?;
        let hold = StreamHold { link: self.link.clone(), key, on_drop: Some(Code::Cancelled) };
        Ok(ByteStream::new(self, hold))
    }
}

impl Dialect for Trunk {
    fn open(self: Arc<Self>, service: String) -> Result<Arc<dyn Line>, Error> {
        self.open_target(Target::Service(service))
    }

    fn dial(self: Arc<Self>, id: ServiceId) -> Result<Arc<dyn Line>, Error> {
        self.open_target(Target::Registered(id.get()))
    }

    fn open_bytes(self: Arc<Self>, name: String) -> Result<ByteStream, Error> {
        self.open_byte_stream(Target::Service(name))
    }

    fn dial_bytes(self: Arc<Self>, id: ServiceId) -> Result<ByteStream, Error> {
        self.open_byte_stream(Target::Registered(id.get()))
    }

    fn register(&self, service: Erased) -> ServiceId {
        self.registry.add(Taker::Calls(service.0))
    }

    fn register_bytes(self: Arc<Self>) -> Result<ByteListener, Error> {
        let (backlog, mut listener) = backlog(None);
        let id = self.registry.add(Taker::Bytes(backlog));
        let end: Arc<dyn Dialect> = self;
        listener.set_registration(Registration::new(&end, id));
        Ok(listener)
    }

    fn unregister(&self, id: ServiceId) {
        for channel in self.registry.remove(id) {
            self.link.close(channel, Code::Closed);
        }
    }

    /// The peer opens it whenever it likes: there is nothing to tell it beforehand.
    fn hand_out(&self, _: ServiceId) {}

    fn peer(&self) -> &Peer {
        let hello = || self.link.peer().map(Peer::of).unwrap_or_default();
        self.peer.get_or_init(hello)
    }

    fn ping(&self) -> BoxFuture<'static, Result<(), Error>> {
        let link = self.link.clone();
        Box::pin(async move {
            let answer = link.ping()?.ok_or(StreamError::Local(Code::Limit))?;
            answer.await.map_err(|_| StreamError::Trunk(link.end_reason()).into())
        })
    }

    fn stats(&self) -> Stats {
        let (counts, buffered) = self.link.counts();
        let (registrations, serving) = self.registry.counts();
        Stats {
            channels: counts.channels,
            streams: counts.streams,
            registrations,
            serving,
            buffered,
            window_growth: counts.window_growth,
        }
    }

    fn totals(&self) -> Totals {
        let protocol::Totals { channels, calls } = self.link.totals();
        Totals { channels, calls }
    }

    fn phase(&self) -> watch::Receiver<Phase> {
        self.link.phase()
    }

    fn ended(&self) -> Option<EndReason> {
        self.link.ended()
    }

    fn go_away(&self) {
        self.link.go_away("going away");
    }

    fn shut(&self) {
        self.link.shut();
    }

    fn lost(&self, cause: Arc<dyn StdError + Send + Sync>) {
        self.link.lost(EndReason::Lost(Some(cause)));
    }
}
