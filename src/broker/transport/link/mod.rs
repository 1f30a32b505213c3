//! The handle of a trunk's machine that everything above shares: commands go in
//! through it, and tasks that wait are woken through it.

mod state;

use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::sync::watch;

use self::state::DriverState;
pub(super) use self::state::Findings;
use self::state::State;
use self::state::register;
use super::clock;
use crate::broker::protocol::Call;
use crate::broker::protocol::ChannelKey;
use crate::broker::protocol::Code;
use crate::broker::protocol::Config;
use crate::broker::protocol::Connection;
use crate::broker::protocol::Counts;
use crate::broker::protocol::EndReason;
use crate::broker::protocol::Hello;
use crate::broker::protocol::Kind;
use crate::broker::protocol::Part;
use crate::broker::protocol::Read;
use crate::broker::protocol::ResponseHead;
use crate::broker::protocol::StreamError;
use crate::broker::protocol::StreamKey;
use crate::broker::protocol::Target;
use crate::broker::protocol::Totals;
use crate::broker::protocol::Whole;

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

/// What has come of a response when its head is taken.
pub(crate) struct Response {
    pub(crate) head: ResponseHead,
    /// The rest of it, if that is here too. Then the stream is let go of already.
    pub(crate) rest: Option<Whole>,
}

/// What a reader may take before it lets others have their turn, in bytes, even if there
/// is more: what a bulk transfer's consumer does with it is what a small call on the
/// same thread waits for.
const BYTES_PER_TURN: usize = 64 * 1024;

impl Link {
    pub(crate) fn new(config: Config) -> Self {
        let state = State::new(Connection::new(config, clock::now()));
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
        wake([driver]);
        result
    }

    /// The driver's access: runs `work` on the machine, then takes out the events
    /// and wakes the tasks that they concern.
    pub(super) fn drive<T>(
        &self,
        findings: &mut Findings,
        work: impl FnOnce(&mut Connection) -> T,
    ) -> T {
        let result = {
            let mut state = self.shared.state.lock();
            state.driver = DriverState::Awake;
            let result = work(&mut state.connection);
            state.take_events(findings);
            findings.timeout = state.connection.poll_timeout();
            findings.ended = state.connection.ended().is_some();
            findings.wants_transmit = state.connection.wants_transmit();
            result
        };
        findings.to_wake.drain(..).for_each(Waker::wake);
        result
    }

    /// The driver has nothing to do: the next command that gives it something wakes
    /// it. `blocked` says that the connection takes nothing more. Returns false if
    /// there is something already.
    pub(super) fn rest(&self, waker: &Waker, blocked: bool) -> bool {
        let mut state = self.shared.state.lock();
        let rests = !state.connection.wants_driver(blocked);
        if rests {
            state.driver = DriverState::Resting { waker: waker.clone(), blocked };
        }
        rests
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
    /// The task is woken when there is a response.
    pub(crate) fn call(
        &self,
        cx: &Context<'_>,
        channel: ChannelKey,
        call: Call,
        part: Part,
    ) -> Result<StreamKey, StreamError> {
        let (key, driver) = {
            let mut state = self.shared.state.lock();
            let key = state.connection.call(channel, call)?;
            let written = write_all(&mut state.connection, key, part);
            match written {
                Ok(()) => register(&mut state.wakers_of(key).read, cx),
                Err(_) => state.connection.release(key, Code::Cancelled),
            }
            (written.map(|()| key), state.driver_to_wake())
        };
        wake([driver]);
        key
    }

    /// Answers a call with what there is of the response: one frame if that is all,
    /// and then the stream is let go of. Returns whether it was.
    pub(crate) fn respond(
        &self,
        key: StreamKey,
        head: ResponseHead,
        part: Part,
    ) -> Result<bool, StreamError> {
        let whole = part.end.is_some();
        let wakers = {
            let mut state = self.shared.state.lock();
            state.connection.respond(key, head)?;
            write_all(&mut state.connection, key, part)?;
            if whole {
                state.let_go(key, Code::Failed)
            } else {
                [state.driver_to_wake(), None, None]
            }
        };
        wake(wakers);
        Ok(whole)
    }

    /// Sends more of a body.
    pub(crate) fn send(&self, key: StreamKey, part: Part) -> Result<(), StreamError> {
        self.command(|connection| write_all(connection, key, part))
    }

    pub(crate) fn reset(&self, key: StreamKey, code: Code) {
        self.command(|connection| connection.reset(key, code));
    }

    /// Lets go of a stream; see [`Connection::release`].
    pub(crate) fn release(&self, key: StreamKey, code: Code) {
        let wakers = self.shared.state.lock().let_go(key, code);
        wake(wakers);
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

    /// The response's head, and all of the response if it is here.
    pub(crate) fn poll_response(
        &self,
        cx: &Context<'_>,
        key: StreamKey,
    ) -> Poll<Result<Response, StreamError>> {
        let (response, wakers) = {
            let mut state = self.shared.state.lock();
            let head = match state.connection.read_head(key) {
                Ok(Some(head)) => head,
                Err(error) => return Poll::Ready(Err(error)),
                Ok(None) => {
                    register(&mut state.wakers_of(key).read, cx);
                    return Poll::Pending;
                }
            };
            let rest = state.connection.read_whole(key);
            let wakers = match rest {
                Some(_) => state.let_go(key, Code::Cancelled),
                None => [None, None, None],
            };
            (Response { head, rest }, wakers)
        };
        wake(wakers);
        Poll::Ready(Ok(response))
    }

    /// All of a request's body, if it is here. An error if the call is over already, so
    /// that its handler need not begin.
    pub(crate) fn request_body(&self, key: StreamKey) -> Result<Option<Whole>, StreamError> {
        let mut state = self.shared.state.lock();
        match state.connection.failure(key) {
            Some(error) => Err(error),
            None => Ok(state.connection.read_whole(key)),
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
            if state.wakers_of(key).taken >= BYTES_PER_TURN {
                state.wakers_of(key).taken = 0;
                drop(state);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let read = state.connection.read(key);
            match &read {
                Ok(Read::Pending) => {
                    let wakers = state.wakers_of(key);
                    wakers.taken = 0;
                    register(&mut wakers.read, cx);
                    return Poll::Pending;
                }
                Ok(Read::Data(data)) => state.wakers_of(key).taken += data.len(),
                _ => {}
            }
            (read, state.driver_to_wake())
        };
        wake([driver]);
        Poll::Ready(read)
    }

    /// Asks the peer for a sign of life. `None` if too many wait already.
    pub(crate) fn ping(&self) -> Result<Option<oneshot::Receiver<()>>, StreamError> {
        let (receiver, driver) = {
            let mut state = self.shared.state.lock();
            (state.ping()?, state.driver_to_wake())
        };
        wake([driver]);
        Ok(receiver)
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

fn write_all(connection: &mut Connection, key: StreamKey, part: Part) -> Result<(), StreamError> {
    for chunk in part.chunks {
        connection.write(key, chunk)?;
    }
    match part.end {
        Some(end) => connection.finish(key, end),
        None => Ok(()),
    }
}

fn wake(wakers: impl IntoIterator<Item = Option<Waker>>) {
    wakers.into_iter().flatten().for_each(Waker::wake);
}
