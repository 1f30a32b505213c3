//! The one task of a trunk: connection in, machine, connection out.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::Sleep;

use super::alarm::Alarm;
use super::carrier::Carrier;
use super::carrier::CarrierError;
use super::carrier::shared;
use super::clock;
use super::codec::Decoder;
use super::codec::Encoder;
use super::link::Findings;
use super::link::Link;
use super::link::Phase;
use crate::broker::protocol::ChannelKey;
use crate::broker::protocol::Code;
use crate::broker::protocol::EndReason;
use crate::broker::protocol::Event;
use crate::broker::protocol::Frame;
use crate::broker::protocol::Kind;
use crate::broker::protocol::Limits;
use crate::broker::protocol::RequestHead;
use crate::broker::protocol::StreamKey;
use crate::broker::protocol::Target;
use crate::broker::protocol::Violation;

/// Who is asked about what the peer opens and calls. Called by the driver, so it
/// must not wait.
pub(crate) trait Acceptor: Send {
    /// Both hellos are there: before anything else is told.
    fn connected(&mut self, cx: &mut Context<'_>);

    /// The peer opened a sub-channel; an error refuses it.
    fn opened(
        &mut self,
        channel: ChannelKey,
        target: Target,
        kind: Kind,
        stream: Option<StreamKey>,
    ) -> Result<(), Code>;

    /// The peer made a call. A handler may be polled in place, in the driver's task.
    fn called(
        &mut self,
        cx: &mut Context<'_>,
        stream: StreamKey,
        channel: ChannelKey,
        head: RequestHead,
    );

    /// A sub-channel that the peer opened is closed.
    fn closed(&mut self, channel: ChannelKey);

    /// The trunk has ended.
    fn ended(&mut self);
}

/// Asked when the connection is lost: what the owner of the peer knows about it,
/// such as the exit status of its process. What waits for the end of the trunk
/// waits for this too, so it must not take long.
pub(crate) type LastWords = BoxFuture<'static, Option<Arc<dyn Error + Send + Sync>>>;

/// How many tasks are woken, and calls begun, before what was taken in so far is
/// answered and they have their turn. Few, so that both processes work at the same time
/// instead of each waiting for the whole of the other's work: with 64 callers, 8 make
/// twice as many calls a second as 64, and 4 or 16 about as many as 8.
const TASKS_PER_TURN: usize = 8;

/// Frames decoded before they are handed to the machine, together.
const FRAMES_AT_ONCE: usize = 8;

/// How many times that, in one turn, if they wake nobody. Many, so that a peer that
/// floods and does not read gets few and large HTTP/2 frames of answers.
const ROUNDS_PER_TURN: usize = 64;

/// A piece of the stream is handed to HTTP/2 once it is this long, in bytes: small frames
/// leave together, and a large payload in an HTTP/2 frame of its own. Received that way
/// it is not copied to be put together; longer pieces make the receiver's buffers too
/// large for its allocator to use again.
const PIECE: usize = 16 * 1024;

/// Turns that the driver takes before others have theirs, though something rings all the
/// time: a connection may ring to be polled again later.
const TURNS_PER_POLL: usize = 16;

/// How long the farewell and what was sent before it may take to leave.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Drives a trunk to its end.
pub(crate) async fn drive(
    link: Link,
    carrier: Carrier,
    limits: Limits,
    mut acceptor: impl Acceptor,
    last_words: Option<LastWords>,
) {
    let mut driver = Driver {
        decoder: Decoder::new(&limits),
        encoder: Encoder::default(),
        timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
        timer_is_set: false,
        frames: Vec::with_capacity(FRAMES_AT_ONCE),
        findings: Findings::default(),
        alarm: Arc::default(),
        _closed: Closed(link.clone()),
        link,
        carrier,
        lost: None,
    };
    let lost = std::future::poll_fn(|cx| driver.poll(cx, &mut acceptor)).await;
    if let Some(mut reason) = lost {
        // A lost connection alone says little; who owns the peer may know more.
        if let (EndReason::Lost(_), Some(last_words)) = (&reason, last_words)
            && let Some(cause) = last_words.await
        {
            reason = EndReason::Lost(Some(cause));
        }
        driver.link.drive(&mut driver.findings, |connection| connection.handle_lost(reason));
        let waker = Waker::from(driver.alarm.clone());
        driver.dispatch(&mut Context::from_waker(&waker), &mut acceptor);
    }
    // Whatever could not be told in time is lost with the connection.
    let farewell = std::future::poll_fn(|cx| driver.poll_close(cx));
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, farewell).await;
}

struct Driver {
    link: Link,
    carrier: Carrier,
    decoder: Decoder,
    encoder: Encoder,
    /// Set to the machine's timeout or earlier, if it is set.
    timer: Pin<Box<Sleep>>,
    timer_is_set: bool,
    /// Frames on their way to the machine.
    frames: Vec<Frame>,
    findings: Findings,
    alarm: Arc<Alarm>,
    /// Why the connection can carry no more. What has arrived before that is
    /// still to be taken in.
    lost: Option<EndReason>,
    /// The last to be dropped, after the connection.
    _closed: Closed,
}

/// What a turn leaves to be done.
enum Turn {
    /// Nothing: the trunk has ended; see [`Driver::poll`].
    Over(Option<EndReason>),
    /// More may have arrived than one turn takes in.
    More,
    /// Nothing, until something rings. `blocked` if the connection takes no more of what
    /// is to be sent.
    Rest { blocked: bool },
}

/// Says that the connection is closed when it is dropped.
struct Closed(Link);

impl Drop for Closed {
    fn drop(&mut self) {
        self.0.set_phase(Phase::Closed);
    }
}

impl Driver {
    /// Ready when the trunk has ended: with the reason if the machine does not
    /// know it yet, because it lies in the connection.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        acceptor: &mut impl Acceptor,
    ) -> Poll<Option<EndReason>> {
        self.alarm.start(cx.waker());
        let waker = Waker::from(self.alarm.clone());
        let over = self.take_turns(&mut Context::from_waker(&waker), acceptor);
        self.alarm.stop();
        over
    }

    fn take_turns(
        &mut self,
        cx: &mut Context<'_>,
        acceptor: &mut impl Acceptor,
    ) -> Poll<Option<EndReason>> {
        for _ in 0..TURNS_PER_POLL {
            self.alarm.take();
            match self.turn(cx, acceptor) {
                Turn::Over(reason) => return Poll::Ready(reason),
                Turn::More => break,
                Turn::Rest { blocked } => {
                    let again = self.alarm.take() || !self.link.rest(cx.waker(), blocked);
                    if !again {
                        return Poll::Pending;
                    }
                }
            }
        }
        // Rung at the end of a poll: the tasks that were woken come first.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// One turn: what has arrived, what is due, what is to be sent.
    fn turn(&mut self, cx: &mut Context<'_>, acceptor: &mut impl Acceptor) -> Turn {
        self.poll_io(cx);
        let received = self.receive(cx);
        self.handle_timer(cx);
        self.dispatch(cx, acceptor);
        if self.findings.ended {
            return Turn::Over(None);
        }
        let more = match received {
            Ok(more) => more,
            Err(reason) => return Turn::Over(Some(reason)),
        };
        if self.lost.is_some() {
            return if more { Turn::More } else { Turn::Over(self.lost.take()) };
        }
        let blocked = self.transmit(cx).unwrap_or_else(|error| {
            self.lost = Some(EndReason::Lost(Some(shared(error))));
            false
        });
        self.dispatch(cx, acceptor);
        if self.findings.ended {
            return Turn::Over(None);
        }
        if more || self.lost.is_some() {
            // What was sent leaves before others have their turn.
            self.poll_io(cx);
            return Turn::More;
        }
        Turn::Rest { blocked }
    }

    /// Reads and writes what the connection can, and remembers if it is over.
    fn poll_io(&mut self, cx: &mut Context<'_>) {
        if self.lost.is_none()
            && let Poll::Ready(end) = self.carrier.poll_io(cx)
        {
            self.lost = Some(EndReason::Lost(end.err().map(shared)));
        }
    }

    /// Takes in what has arrived. Returns whether there may be more.
    fn receive(&mut self, cx: &mut Context<'_>) -> Result<bool, EndReason> {
        let mut tasks = 0;
        for _ in 0..ROUNDS_PER_TURN {
            let (end, violation) = self.decode(cx);
            let more = self.frames.len() == FRAMES_AT_ONCE;
            let (frames, now) = (&mut self.frames, clock::now());
            self.link.drive(&mut self.findings, |connection| {
                frames.drain(..).for_each(|frame| connection.handle_frame(frame, now));
                if let Some(violation) = violation {
                    connection.handle_violation(violation);
                }
            });
            if let Some(reason) = end {
                return Err(reason);
            }
            if !more {
                return Ok(false);
            }
            tasks += self.findings.tasks;
            if tasks >= TASKS_PER_TURN {
                break;
            }
        }
        Ok(true)
    }

    /// Decodes a few frames. Says if the connection ends behind them, or breaks the
    /// encoding.
    fn decode(&mut self, cx: &mut Context<'_>) -> (Option<EndReason>, Option<Violation>) {
        while self.frames.len() < FRAMES_AT_ONCE {
            match self.decoder.pop() {
                Ok(Some(frame)) => {
                    self.frames.push(frame);
                    continue;
                }
                Ok(None) => {}
                Err(violation) => return (None, Some(violation)),
            }
            match self.carrier.poll_receive(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(chunk))) => self.decoder.push(chunk),
                Poll::Ready(end) => {
                    let error = end.and_then(Result::err);
                    return (Some(EndReason::Lost(error.map(shared))), None);
                }
            }
        }
        (None, None)
    }

    /// Does what is due. The timer may ring early, because what arrives puts the
    /// machine's off all the time; it is set again only then.
    fn handle_timer(&mut self, cx: &mut Context<'_>) {
        while let Some(timeout) = self.findings.timeout {
            let timeout = tokio::time::Instant::from_std(timeout);
            if !self.timer_is_set || timeout < self.timer.deadline() {
                self.timer.as_mut().reset(timeout);
                self.timer_is_set = true;
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return;
            }
            self.timer_is_set = false;
            self.link.drive(&mut self.findings, |it| it.handle_timeout(clock::now()));
        }
    }

    /// Sends what the connection has room for. Returns whether there is more than
    /// that.
    fn transmit(&mut self, cx: &mut Context<'_>) -> Result<bool, CarrierError> {
        while self.findings.wants_transmit {
            let Poll::Ready(room) = self.carrier.poll_room(cx) else {
                return Ok(true);
            };
            let room = room?;
            let Self { link, findings, encoder, .. } = self;
            link.drive(findings, |connection| {
                while encoder.len() < room.min(PIECE)
                    && let Some(frame) = connection.poll_transmit()
                {
                    encoder.push(frame);
                }
            });
            if self.encoder.len() > 0 {
                self.carrier.send(self.encoder.take())?;
            }
        }
        Ok(false)
    }

    /// Passes on what the peer opened and called.
    fn dispatch(&mut self, cx: &mut Context<'_>, acceptor: &mut impl Acceptor) {
        while !self.findings.events.is_empty() {
            for event in std::mem::take(&mut self.findings.events) {
                self.dispatch_one(cx, event, acceptor);
            }
        }
    }

    fn dispatch_one(&mut self, cx: &mut Context<'_>, event: Event, acceptor: &mut impl Acceptor) {
        match event {
            Event::Connected => {
                acceptor.connected(cx);
                self.link.set_phase(Phase::Open);
            }
            Event::GoingAway => self.link.set_phase(Phase::GoingAway),
            Event::Drained => self.link.set_phase(Phase::Drained),
            Event::Ended => {
                acceptor.ended();
                self.link.set_phase(Phase::Ended);
            }
            Event::Opened { channel, target, kind, stream } => {
                if let Err(code) = acceptor.opened(channel, target, kind, stream) {
                    self.link.drive(&mut self.findings, |connection| {
                        connection.refuse(channel, code);
                        if let Some(stream) = stream {
                            connection.release(stream, code);
                        }
                    });
                }
            }
            Event::Closed { channel } => acceptor.closed(channel),
            Event::Called { stream, channel, head } => {
                acceptor.called(cx, stream, channel, head);
                // It may have been answered in place.
                self.findings.wants_transmit = true;
            }
            // These are the link's own.
            Event::Changed(_) | Event::Pong(_) => {}
        }
    }

    /// Sends the farewell, reads what the peer still says, so that its end of the
    /// connection can close, and closes this one.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.carrier.poll_io(cx).is_ready() {
                return Poll::Ready(());
            }
            self.link.drive(&mut self.findings, |_| ());
            let mut progress = self.findings.wants_transmit;
            let _ = self.transmit(cx);
            progress &= !self.findings.wants_transmit;
            if !self.findings.wants_transmit {
                progress |= self.carrier.finish();
            }
            if self.carrier.is_receiving() {
                progress |= self.carrier.poll_receive(cx).is_ready();
            }
            if !progress {
                return Poll::Pending;
            }
        }
    }
}

/// A driver that is dropped, because its runtime is, ends the trunk.
impl Drop for Driver {
    fn drop(&mut self) {
        self.link.drive(&mut self.findings, |connection| connection.handle_lost(EndReason::Closed));
        self.link.set_phase(Phase::Ended);
    }
}
