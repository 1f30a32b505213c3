//! Services that are handed to the peer by id, and who serves which sub-channel.

use std::collections::HashMap;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::Weak;

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use super::bytes::ByteBacklog;
use super::dialect::Dialect;
use super::protocol::ChannelKey;
use super::protocol::Code;
use super::serving::Handler;

/// The id of a registered service: handed to the peer inside an application
/// message, as a number, and opened there with
/// [`Broker::dial`](super::Broker::dial).
///
/// It is worth nothing outside the trunk that it was given on: another trunk
/// refuses it as unknown. Those that this library gives out fit in 32 bits, so that
/// they can travel in a `uint32`, where go-plugin's contracts have them: see
/// [`Registration::number`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServiceId(u64);

impl ServiceId {
    /// The number, for a message.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl From<u64> for ServiceId {
    /// An id that came in a message. Any number may be tried: one that was not
    /// given on the trunk is refused.
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl From<u32> for ServiceId {
    fn from(number: u32) -> Self {
        Self(number.into())
    }
}

impl From<ServiceId> for u64 {
    fn from(id: ServiceId) -> Self {
        id.0
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The ownership of a registered service.
///
/// Dropping it frees the id at both ends: sub-channels that were opened with it
/// close, calls that run on them are cancelled and fail at the peer with
/// [`Reason::Closed`](crate::Reason::Closed), and so does every later attempt.
#[derive(Debug)]
#[must_use = "dropping a registration closes the service"]
pub struct Registration {
    end: Weak<dyn Dialect>,
    id: ServiceId,
}

impl Registration {
    pub(super) fn new(end: &Arc<dyn Dialect>, id: ServiceId) -> Self {
        Self { end: Arc::downgrade(end), id }
    }

    /// The id to hand to the peer. Ask for it when the message is made that carries it:
    /// a peer that was built on go-plugin is told of it now, and forgets it if it does
    /// not dial within five seconds.
    pub fn id(&self) -> ServiceId {
        if let Some(end) = self.end.upgrade() {
            end.hand_out(self.id);
        }
        self.id
    }

    /// The [id](Self::id) for a message that has a `uint32` for it.
    pub fn number(&self) -> u32 {
        // What is registered here is given numbers of 32 bits.
        u32::try_from(self.id().get()).unwrap_or_default()
    }

    /// Gives the registration to a call: it lasts until the call is over, however
    /// that comes about. For a request that is about to be sent, or for the
    /// response of a handler (then until its body is sent).
    ///
    /// Returns the id to put into the message.
    ///
    /// ```ignore
    /// let progress = broker.register(ProgressServer::new(Bar));
    /// let mut request = Request::new(Job { progress: progress.id().get() });
    /// progress.for_call(request.extensions_mut()); // gone when the call is over
    /// let reply = worker.run(request).await?;
    /// // The other end: ProgressClient::new(broker.dial(job.progress)?)
    /// ```
    pub fn for_call(self, extensions: &mut http::Extensions) -> ServiceId {
        let id = self.id();
        let mut scope = extensions.remove::<CallScope>().unwrap_or_default();
        scope.0.push(Arc::new(self));
        extensions.insert(scope);
        id
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(end) = self.end.upgrade() {
            end.unregister(self.id);
        }
    }
}

/// What lasts as long as a call.
#[derive(Clone, Debug, Default)]
pub(super) struct CallScope(Vec<Arc<Registration>>);

/// Who takes what is opened with an id or a name.
#[derive(Clone)]
pub(super) enum Taker {
    Calls(Arc<dyn Handler>),
    Bytes(ByteBacklog),
}

/// The ids and sub-channels of one trunk.
///
/// Ids are counted in 32 bits, from a number that is drawn for each trunk, so that an
/// id of another trunk is told apart from one that is closed, and is hardly ever one
/// that is in use. When they are used up, after 2^32 registrations, those that have
/// become free are given out again.
pub(super) struct Registry {
    first: u32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The trunk has: nothing is kept any more.
    ended: bool,
    issued: u64,
    entries: HashMap<u32, Entry, RandomState>,
    /// Handlers by the sub-channel of the peer that they serve.
    serving: HashMap<ChannelKey, Serving, RandomState>,
}

struct Entry {
    taker: Taker,
    channels: HashSet<ChannelKey, RandomState>,
}

struct Serving {
    handler: Arc<dyn Handler>,
    id: Option<u32>,
}

impl Registry {
    pub(super) fn new(first: u32) -> Self {
        Self { first, state: Mutex::default() }
    }

    pub(super) fn add(&self, taker: Taker) -> ServiceId {
        let mut state = self.state.lock();
        let id = loop {
            // The low 32 bits: it goes round.
            let id = self.first.wrapping_add(state.issued as u32);
            state.issued += 1;
            // Zero is what a message says that has no id.
            if id != 0 && !state.entries.contains_key(&id) {
                break id;
            }
        };
        if state.ended {
            drop(state); // Before the taker: see `remove`.
        } else {
            state.entries.insert(id, Entry { taker, channels: HashSet::default() });
        }
        ServiceId(id.into())
    }

    /// Takes an id out. Returns the sub-channels that must be closed.
    pub(super) fn remove(&self, id: ServiceId) -> Vec<ChannelKey> {
        let (entry, serving) = {
            let mut state = self.state.lock();
            let entry = u32::try_from(id.0).ok().and_then(|id| state.entries.remove(&id));
            let Some(entry) = entry else { return Vec::new() };
            let serving = entry.channels.iter().map(|channel| state.serving.remove(channel));
            let serving: Vec<Option<Serving>> = serving.collect();
            state.shrink();
            (entry, serving)
        };
        // Dropped outside the lock: services may hold registrations themselves.
        drop(serving);
        entry.channels.into_iter().collect()
    }

    /// Whom an id stands for.
    pub(super) fn find(&self, id: u64) -> Result<(Taker, u32), Code> {
        let id = u32::try_from(id).map_err(|_| Code::Unknown)?;
        let state = self.state.lock();
        match state.entries.get(&id) {
            Some(entry) => Ok((entry.taker.clone(), id)),
            None => {
                let was_issued = u64::from(id.wrapping_sub(self.first)) < state.issued;
                Err(if was_issued { Code::Closed } else { Code::Unknown })
            }
        }
    }

    /// A sub-channel is served from now on.
    pub(super) fn serve(
        &self,
        channel: ChannelKey,
        handler: Arc<dyn Handler>,
        id: Option<u32>,
    ) -> Result<(), Code> {
        let mut state = self.state.lock();
        if let Some(id) = id {
            // Dropped since it was found: closed.
            let entry = state.entries.get_mut(&id).ok_or(Code::Closed)?;
            entry.channels.insert(channel);
        }
        state.serving.insert(channel, Serving { handler, id });
        Ok(())
    }

    pub(super) fn handler(&self, channel: ChannelKey) -> Option<Arc<dyn Handler>> {
        self.state.lock().serving.get(&channel).map(|serving| serving.handler.clone())
    }

    /// A sub-channel was closed by the peer.
    pub(super) fn forget(&self, channel: ChannelKey) {
        let _dropped_outside_the_lock = {
            let mut state = self.state.lock();
            let Some(serving) = state.serving.remove(&channel) else { return };
            if let Some(entry) = serving.id.and_then(|id| state.entries.get_mut(&id)) {
                entry.channels.remove(&channel);
            }
            state.shrink();
            serving
        };
    }

    /// The trunk has ended: lets go of every service.
    pub(super) fn clear(&self) {
        let ended = State { ended: true, ..State::default() };
        let state = std::mem::replace(&mut *self.state.lock(), ended);
        // Dropped outside the lock: services may hold registrations themselves.
        drop(state);
    }

    /// Registrations, and sub-channels that are served.
    pub(super) fn counts(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.entries.len(), state.serving.len())
    }
}

impl State {
    /// Gives back the memory of what was many and is none.
    fn shrink(&mut self) {
        if self.serving.is_empty() && self.serving.capacity() > 256 {
            self.serving = HashMap::default();
        }
        if self.entries.is_empty() && self.entries.capacity() > 256 {
            self.entries = HashMap::default();
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (registrations, serving) = self.counts();
        let mut debug = f.debug_struct("Registry");
        debug.field("registrations", &registrations).field("serving", &serving);
        debug.finish_non_exhaustive()
    }
}
