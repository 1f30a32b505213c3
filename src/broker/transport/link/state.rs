//! What is behind the lock of a link: the machine, and whom to wake.

use std::collections::HashMap;
use std::task::Context;
use std::task::Waker;
use std::time::Instant;

use tokio::sync::oneshot;

use crate::broker::protocol::Code;
use crate::broker::protocol::Connection;
use crate::broker::protocol::Event;
use crate::broker::protocol::StreamError;
use crate::broker::protocol::StreamKey;

#[derive(Debug)]
pub(super) struct State {
    pub(super) connection: Connection,
    /// By the slot of the stream. A stale waker wakes its task once too often.
    wakers: Vec<Wakers>,
    pub(super) driver: DriverState,
    pings: HashMap<u64, oneshot::Sender<()>>,
    next_ping: u64,
}

#[derive(Debug, Default)]
pub(super) struct Wakers {
    pub(super) read: Option<Waker>,
    pub(super) write: Option<Waker>,
    /// Bytes that were read since the reader last had to wait.
    pub(super) taken: usize,
}

/// What is known of the driver, so that it is woken once, and only for what it can do.
#[derive(Debug)]
pub(super) enum DriverState {
    /// It runs, or will: it looks at everything before it rests.
    Awake,
    Resting {
        waker: Waker,
        /// Whether it has more to send than the connection takes, so that more of it
        /// is no reason to wake it.
        blocked: bool,
    },
}

/// What the driver finds out while it works on the machine.
#[derive(Debug, Default)]
pub(in crate::broker::transport) struct Findings {
    /// What the layer above must hear of.
    pub(in crate::broker::transport) events: Vec<Event>,
    /// When the machine's next timer is due.
    pub(in crate::broker::transport) timeout: Option<Instant>,
    /// Whether the trunk has ended.
    pub(in crate::broker::transport) ended: bool,
    /// Whether there is something to send.
    pub(in crate::broker::transport) wants_transmit: bool,
    /// Tasks that were woken, and calls that have begun.
    pub(in crate::broker::transport) tasks: usize,
    /// Tasks that are to be woken; empty but for a moment.
    pub(super) to_wake: Vec<Waker>,
}

/// Pings that may wait for their answer at once.
const MAX_PINGS: usize = 64;

impl State {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            connection,
            wakers: Vec::new(),
            driver: DriverState::Awake,
            pings: HashMap::new(),
            next_ping: 1,
        }
    }

    /// Asks for a pong. `None` if too many wait for theirs already.
    pub(super) fn ping(&mut self) -> Result<Option<oneshot::Receiver<()>>, StreamError> {
        self.pings.retain(|_, sender| !sender.is_closed());
        if self.pings.len() >= MAX_PINGS {
            return Ok(None);
        }
        let token = self.next_ping;
        self.connection.ping(token)?;
        self.next_ping += 1;
        let (sender, receiver) = oneshot::channel();
        self.pings.insert(token, sender);
        Ok(Some(receiver))
    }

    /// The driver, if it rests and has something to do now.
    pub(super) fn driver_to_wake(&mut self) -> Option<Waker> {
        match &self.driver {
            DriverState::Resting { blocked, .. } if self.connection.wants_driver(*blocked) => {
                match std::mem::replace(&mut self.driver, DriverState::Awake) {
                    DriverState::Resting { waker, .. } => Some(waker),
                    DriverState::Awake => None,
                }
            }
            _ => None,
        }
    }

    /// Releases a stream. Returns whom to wake: the driver if it must send what
    /// comes of it, and whoever still reads or writes and must see that it is over.
    pub(super) fn let_go(&mut self, key: StreamKey, code: Code) -> [Option<Waker>; 3] {
        self.connection.release(key, code);
        let Wakers { read, write, .. } = self.take_wakers(key);
        [self.driver_to_wake(), read, write]
    }

    pub(super) fn wakers_of(&mut self, key: StreamKey) -> &mut Wakers {
        let slot = key.slot();
        if self.wakers.len() <= slot {
            self.wakers.resize_with(slot + 1, Wakers::default);
        }
        &mut self.wakers[slot]
    }

    fn take_wakers(&mut self, key: StreamKey) -> Wakers {
        let wakers = self.wakers.get_mut(key.slot()).map(std::mem::take).unwrap_or_default();
        if self.wakers.len() > 64 && self.connection.counts().streams == 0 {
            self.wakers = Vec::new();
        }
        wakers
    }

    /// Takes out the events; those that only wake somebody are done with here.
    pub(super) fn take_events(&mut self, findings: &mut Findings) {
        let Findings { events, to_wake, tasks, .. } = findings;
        *tasks = 0;
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Changed(key) => {
                    if let Some(wakers) = self.wakers.get_mut(key.slot()) {
                        to_wake.extend(wakers.read.take());
                        to_wake.extend(wakers.write.take());
                    }
                }
                Event::Pong(token) => {
                    if let Some(sender) = self.pings.remove(&token) {
                        // Fails if nobody waits any more.
                        let _ = sender.send(());
                    }
                }
                Event::Called { .. } => {
                    *tasks += 1;
                    events.push(event);
                }
                Event::Ended => {
                    self.pings = HashMap::new();
                    events.push(event);
                }
                event => events.push(event),
            }
        }
        *tasks += to_wake.len();
    }
}

pub(super) fn register(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        slot => *slot = Some(cx.waker().clone()),
    }
}
