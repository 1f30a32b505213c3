//! The handle of a trunk's machine that everything above shares: commands go in
//! through it, and tasks that wait are woken through it.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::sync::watch;

use super::clock;
use crate::broker::protocol::Call;
use crate::broker::protocol::ChannelKey;
use crate::broker::protocol::Code;
use crate::broker::protocol::Config;
use crate::broker::protocol::Connection;
use crate::broker::protocol::Counts;
use crate::broker::protocol::End;
use crate::broker::protocol::EndReason;
use crate::broker::protocol::Event;
use crate::broker::protocol::Hello;
use crate::broker::protocol::Kind;
use crate::broker::protocol::Read;
use crate::broker::protocol::ResponseHead;
use crate::broker::protocol::StreamError;
use crate::broker::protocol::StreamKey;
use crate::broker::protocol::Target;
use crate::broker::protocol::Totals;

/// How far a trunk has come in its life.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    Connecting,
    Open,
    /// No new calls; some may run.
    GoingAway,
    /// No new calls, and none runs.
    Drained,
    /// Nothing goes on any more; the connection may still be closing.
    Ended,
    /// The connection is closed, and its task is gone.
    Closed,
}

/// A trunk, seen from the tasks that use it. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    phase: watch::Sender<Phase>,
}

#[derive(Debug)]
struct State {
    connection: Connection,
    /// By the slot of the stream. A stale waker wakes its task once too often.
    wakers: Vec<Wakers>,
    driver: Option<Waker>,
    pings: HashMap<u64, oneshot::Sender<()>>,
    next_ping: u64,
}

#[derive(Debug, Default)]
struct Wakers {
    read: Option<Waker>,
    write: Option<Waker>,
}

/// Pings that may wait for their answer at once.
const MAX_PINGS: usize = 64;

impl Link {
    pub(crate) fn new(config: Config) -> Self {
        let state = State {
            connection: Connection::new(config, clock::now()),
            wakers: Vec::new(),
            driver: None,
            pings: HashMap::new(),
            next_ping: 1,
        };
        let phase = watch::Sender::new(Phase::Connecting);
        Self { shared: Arc::new(Shared { state: Mutex::new(state), phase }) }
    }

    /// Follows the life of the trunk.
    pub(crate) fn phase(&self) -> watch::Receiver<Phase> {
        self.shared.phase.subscribe()
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        self.shared.phase.send_replace(phase);
    }

    /// Runs a command on the machine, and wakes the driver if it has something
    /// to do afterwards.
    fn command<T>(&self, command: impl FnOnce(&mut Connection) -> T) -> T {
        let (result, driver) = {
            let mut state = self.shared.state.lock();
            let result = command(&mut state.connection);
            (result, state.driver_to_wake())
        };
        if let Some(driver) = driver {
            driver.wake();
        }
        result
    }

    /// The driver's access: runs `work` on the machine, then takes out the events
    /// and wakes the tasks that they concern.
    pub(super) fn drive<T>(
        &self,
        events: &mut Vec<Event>,
        work: impl FnOnce(&mut Connection) -> T,
    ) -> T {
        let mut to_wake = Vec::new();
        let result = {
            let mut state = self.shared.state.lock();
            let result = work(&mut state.connection);
            state.take_events(events, &mut to_wake);
            result
        };
        to_wake.into_iter().for_each(Waker::wake);
        result
    }

    /// Whom to wake when a command leaves something to do.
    pub(super) fn set_driver(&self, waker: &Waker) {
        let mut state = self.shared.state.lock();
        match &mut state.driver {
            Some(driver) => driver.clone_from(waker),
            driver => *driver = Some(waker.clone()),
        }
    }

    pub(crate) fn peer(&self) -> Option<Hello> {
        let state = self.shared.state.lock();
        state.connection.agreed().map(|agreed| agreed.peer.clone())
    }

    pub(crate) fn open(
        &self,
        target: Target,
        kind: Kind,
    ) -> Result<(ChannelKey, Option<StreamKey>), StreamError> {
        self.command(|connection| connection.open(target, kind))
    }

    pub(crate) fn check_channel(&self, channel: ChannelKey) -> Result<(), StreamError> {
        self.shared.state.lock().connection.check_channel(channel)
    }

    pub(crate) fn close(&self, channel: ChannelKey, code: Code) {
        self.command(|connection| connection.close(channel, code));
    }

    /// Whether both are handles of one trunk.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Starts a call with what there is of its body: one frame if that is all.
    pub(crate) fn call(
        &self,
        channel: ChannelKey,
        call: Call,
        chunks: Vec<Bytes>,
        ended: bool,
    ) -> Result<StreamKey, StreamError> {
        self.command(|connection| {
            let key = connection.call(channel, call)?;
            write_all(connection, key, chunks, ended.then(End::default))?;
            Ok(key)
        })
    }

    /// Answers a call with what there is of the response: one frame if that is all.
    pub(crate) fn respond(
        &self,
        key: StreamKey,
        head: ResponseHead,
        chunks: Vec<Bytes>,
        end: Option<End>,
    ) -> Result<(), StreamError> {
        self.command(|connection| {
            connection.respond(key, head)?;
            write_all(connection, key, chunks, end)
        })
    }

    /// Sends more of a body.
    pub(crate) fn send(
        &self,
        key: StreamKey,
        chunks: Vec<Bytes>,
        end: Option<End>,
    ) -> Result<(), StreamError> {
        self.command(|connection| write_all(connection, key, chunks, end))
    }

    pub(crate) fn reset(&self, key: StreamKey, code: Code) {
        self.command(|connection| connection.reset(key, code));
    }

    /// Lets go of a stream; see [`Connection::release`].
    pub(crate) fn release(&self, key: StreamKey, code: Code) {
        let (driver, wakers) = {
            let mut state = self.shared.state.lock();
            state.connection.release(key, code);
            let wakers = state.take_wakers(key);
            (state.driver_to_wake(), wakers)
        };
        // Whoever still writes the request must see that it is over.
        [driver, wakers.read, wakers.write].into_iter().flatten().for_each(Waker::wake);
    }

    /// Ready when the stream has failed or is gone, which a handler should know.
    pub(crate) fn poll_failure(&self, cx: &Context<'_>, key: StreamKey) -> Poll<StreamError> {
        let mut state = self.shared.state.lock();
        match state.connection.failure(key) {
            Some(error) => Poll::Ready(error),
            None => {
                register(&mut state.wakers_of(key).write, cx);
                Poll::Pending
            }
        }
    }

    pub(crate) fn poll_room(
        &self,
        cx: &Context<'_>,
        key: StreamKey,
    ) -> Poll<Result<usize, StreamError>> {
        let mut state = self.shared.state.lock();
        match state.connection.room(key) {
            Err(error) => Poll::Ready(Err(error)),
            Ok(room) if room > 0 => Poll::Ready(Ok(room)),
            Ok(_) => {
                register(&mut state.wakers_of(key).write, cx);
                Poll::Pending
            }
        }
    }

    pub(crate) fn poll_flushed(
        &self,
        cx: &Context<'_>,
        key: StreamKey,
    ) -> Poll<Result<(), StreamError>> {
        let mut state = self.shared.state.lock();
        match state.connection.is_flushed(key) {
            Ok(true) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(error)),
            Ok(false) => {
                register(&mut state.wakers_of(key).write, cx);
                Poll::Pending
            }
        }
    }

    /// The response's head.
    pub(crate) fn poll_head(
        &self,
        cx: &Context<'_>,
        key: StreamKey,
    ) -> Poll<Result<ResponseHead, StreamError>> {
        let mut state = self.shared.state.lock();
        match state.connection.read_head(key) {
            Ok(Some(head)) => Poll::Ready(Ok(head)),
            Err(error) => Poll::Ready(Err(error)),
            Ok(None) => {
                register(&mut state.wakers_of(key).read, cx);
                Poll::Pending
            }
        }
    }

    /// The next data or the end; `None` after the end.
    pub(crate) fn poll_read(
        &self,
        cx: &Context<'_>,
        key: StreamKey,
    ) -> Poll<Result<Read, StreamError>> {
        let (read, driver) = {
            let mut state = self.shared.state.lock();
            let read = state.connection.read(key);
            if let Ok(Read::Pending) = &read {
                register(&mut state.wakers_of(key).read, cx);
                return Poll::Pending;
            }
            (read, state.driver_to_wake())
        };
        if let Some(driver) = driver {
            driver.wake();
        }
        Poll::Ready(read)
    }

    /// Asks the peer for a sign of life. `None` if too many wait already.
    pub(crate) fn ping(&self) -> Result<Option<oneshot::Receiver<()>>, StreamError> {
        let (receiver, driver) = {
            let mut state = self.shared.state.lock();
            state.pings.retain(|_, sender| !sender.is_closed());
            if state.pings.len() >= MAX_PINGS {
                return Ok(None);
            }
            let token = state.next_ping;
            state.connection.ping(token)?;
            state.next_ping += 1;
            let (sender, receiver) = oneshot::channel();
            state.pings.insert(token, sender);
            (receiver, state.driver_to_wake())
        };
        if let Some(driver) = driver {
            driver.wake();
        }
        Ok(Some(receiver))
    }

    pub(crate) fn go_away(&self, message: &str) {
        self.command(|connection| connection.go_away(message.to_owned()));
    }

    pub(crate) fn lost(&self, reason: EndReason) {
        self.command(|connection| connection.handle_lost(reason));
    }

    pub(crate) fn shut(&self) {
        self.command(Connection::shut);
    }

    pub(crate) fn ended(&self) -> Option<EndReason> {
        self.shared.state.lock().connection.ended().cloned()
    }

    /// Why the trunk ended; for where it is known that it did.
    pub(crate) fn end_reason(&self) -> EndReason {
        self.ended().unwrap_or(EndReason::Closed)
    }

    pub(crate) fn totals(&self) -> Totals {
        self.shared.state.lock().connection.totals()
    }

    pub(crate) fn counts(&self) -> (Counts, u64) {
        let connection = &self.shared.state.lock().connection;
        (connection.counts(), connection.buffered())
    }
}

impl State {
    fn driver_to_wake(&mut self) -> Option<Waker> {
        if self.connection.wants_driver() { self.driver.take() } else { None }
    }

    fn wakers_of(&mut self, key: StreamKey) -> &mut Wakers {
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
    fn take_events(&mut self, events: &mut Vec<Event>, to_wake: &mut Vec<Waker>) {
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
                Event::Ended => {
                    self.pings = HashMap::new();
                    events.push(event);
                }
                event => events.push(event),
            }
        }
    }
}

fn write_all(
    connection: &mut Connection,
    key: StreamKey,
    chunks: Vec<Bytes>,
    end: Option<End>,
) -> Result<(), StreamError> {
    for chunk in chunks {
        connection.write(key, chunk)?;
    }
    match end {
        Some(end) => connection.finish(key, end),
        None => Ok(()),
    }
}

fn register(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        slot => *slot = Some(cx.waker().clone()),
    }
}
