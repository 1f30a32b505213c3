//! The one task of a trunk: connection in, machine, connection out.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::Sleep;

use super::carrier::Carrier;
use super::carrier::CarrierError;
use super::carrier::shared;
use super::clock;
use super::codec::Decoder;
use super::codec::Encoder;
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
    /// The peer opened a sub-channel; an error refuses it.
    fn opened(
        &mut self,
        channel: ChannelKey,
        target: Target,
        kind: Kind,
        stream: Option<StreamKey>,
    ) -> Result<(), Code>;

    /// The peer made a call.
    fn called(&mut self, stream: StreamKey, channel: ChannelKey, head: RequestHead);

    /// A sub-channel that the peer opened is closed.
    fn closed(&mut self, channel: ChannelKey);

    /// The trunk has ended.
    fn ended(&mut self);
}

/// Asked when the connection is lost: what the owner of the peer knows about it,
/// such as the exit status of its process. What waits for the end of the trunk
/// waits for this too, so it must not take long.
pub(crate) type LastWords = BoxFuture<'static, Option<Arc<dyn Error + Send + Sync>>>;

/// Chunks taken from the connection before what they cause is sent: half a
/// megabyte at most, so that answers do not wait for a peer that never pauses.
const CHUNKS_PER_TURN: usize = 8;

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
        events: Vec::new(),
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
        driver.link.drive(&mut driver.events, |connection| connection.handle_lost(reason));
        driver.dispatch(&mut acceptor);
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
    timer: Pin<Box<Sleep>>,
    events: Vec<Event>,
    /// Why the connection can carry no more. What has arrived before that is
    /// still to be taken in.
    lost: Option<EndReason>,
    /// The last to be dropped, after the connection.
    _closed: Closed,
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
        self.link.set_driver(cx.waker());
        loop {
            if self.lost.is_none()
                && let Poll::Ready(end) = self.carrier.poll_io(cx)
            {
                self.lost = Some(EndReason::Lost(end.err().map(shared)));
            }
            let received = self.receive(cx, acceptor);
            self.handle_timer(cx);
            self.dispatch(acceptor);
            if self.link.ended().is_some() {
                return Poll::Ready(None);
            }
            let more = match received {
                Ok(more) => more,
                Err(reason) => return Poll::Ready(Some(reason)),
            };
            if !more && self.lost.is_some() {
                return Poll::Ready(self.lost.take());
            }
            let sent = self.lost.is_none() && self.transmit_or_lose(cx);
            self.dispatch(acceptor);
            if !more && !sent {
                return Poll::Pending;
            }
        }
    }

    /// Sends, and remembers if that cannot be done any more. Returns whether
    /// there is a reason to go on.
    fn transmit_or_lose(&mut self, cx: &mut Context<'_>) -> bool {
        self.transmit(cx).unwrap_or_else(|error| {
            self.lost = Some(EndReason::Lost(Some(shared(error))));
            true
        })
    }

    /// Takes in what has arrived. Returns whether there may be more.
    fn receive(
        &mut self,
        cx: &mut Context<'_>,
        acceptor: &mut impl Acceptor,
    ) -> Result<bool, EndReason> {
        for _ in 0..CHUNKS_PER_TURN {
            match self.carrier.poll_receive(cx) {
                Poll::Pending => return Ok(false),
                Poll::Ready(None) => return Err(EndReason::Lost(None)),
                Poll::Ready(Some(Err(error))) => return Err(EndReason::Lost(Some(shared(error)))),
                Poll::Ready(Some(Ok(chunk))) => self.decoder.push(chunk),
            }
            let (frames, violation) = self.decode();
            let now = clock::now();
            self.link.drive(&mut self.events, |connection| {
                frames.into_iter().for_each(|frame| connection.handle_frame(frame, now));
                if let Some(violation) = violation {
                    connection.handle_violation(violation);
                }
            });
            self.dispatch(acceptor);
            if self.link.ended().is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn decode(&mut self) -> (Vec<Frame>, Option<Violation>) {
        let mut frames = Vec::new();
        loop {
            match self.decoder.pop() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => return (frames, None),
                Err(violation) => return (frames, Some(violation)),
            }
        }
    }

    fn handle_timer(&mut self, cx: &mut Context<'_>) {
        loop {
            let deadline = self.link.drive(&mut self.events, |connection| {
                connection.handle_timeout(clock::now());
                connection.poll_timeout()
            });
            let Some(deadline) = deadline else { return };
            let deadline = tokio::time::Instant::from_std(deadline);
            if self.timer.deadline() != deadline {
                self.timer.as_mut().reset(deadline);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return;
            }
        }
    }

    /// Sends what the connection has room for. Returns whether it sent anything.
    fn transmit(&mut self, cx: &mut Context<'_>) -> Result<bool, CarrierError> {
        let mut sent = false;
        while self.link.drive(&mut self.events, |connection| connection.wants_transmit()) {
            let Poll::Ready(room) = self.carrier.poll_room(cx) else {
                break;
            };
            let room = room?;
            let Self { link, events, encoder, .. } = self;
            link.drive(events, |connection| {
                while encoder.len() < room {
                    let Some(frame) = connection.poll_transmit() else {
                        break;
                    };
                    encoder.push(frame);
                }
            });
            while let Some(chunk) = self.encoder.pop() {
                self.carrier.send(chunk)?;
                sent = true;
            }
        }
        Ok(sent)
    }

    /// Passes on what the peer opened and called.
    fn dispatch(&mut self, acceptor: &mut impl Acceptor) {
        while !self.events.is_empty() {
            for event in std::mem::take(&mut self.events) {
                self.dispatch_one(event, acceptor);
            }
        }
    }

    fn dispatch_one(&mut self, event: Event, acceptor: &mut impl Acceptor) {
        match event {
            Event::Connected => self.link.set_phase(Phase::Open),
            Event::GoingAway => self.link.set_phase(Phase::GoingAway),
            Event::Drained => self.link.set_phase(Phase::Drained),
            Event::Ended => {
                acceptor.ended();
                self.link.set_phase(Phase::Ended);
            }
            Event::Opened { channel, target, kind, stream } => {
                if let Err(code) = acceptor.opened(channel, target, kind, stream) {
                    self.link.drive(&mut self.events, |connection| {
                        connection.refuse(channel, code);
                        if let Some(stream) = stream {
                            connection.release(stream, code);
                        }
                    });
                }
            }
            Event::Closed { channel } => acceptor.closed(channel),
            Event::Called { stream, channel, head } => acceptor.called(stream, channel, head),
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
            let mut progress = self.transmit(cx).unwrap_or(false);
            if !self.link.drive(&mut self.events, |connection| connection.wants_transmit()) {
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
        self.link.drive(&mut self.events, |connection| connection.handle_lost(EndReason::Closed));
        self.link.set_phase(Phase::Ended);
    }
}
