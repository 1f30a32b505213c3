//! The machine of one trunk: what it knows, its clocks, its beginning and end.
//!
//! What the application asks for is in `command`, what the peer sends in
//! `receive`, what is sent to it in `transmit`.

mod command;
#[cfg(test)]
mod inspect;
mod receive;
mod transmit;

use std::collections::VecDeque;
use std::time::Duration;
use std::time::Instant;

use super::channel::Channel;
use super::channel::ChannelKey;
use super::channel::ClosedBy;
use super::error::Code;
use super::error::EndReason;
use super::error::StreamError;
use super::frame::Kind;
use super::frame::RequestHead;
use super::frame::Target;
use super::handshake::Agreed;
use super::handshake::Hello;
use super::id::Id;
use super::id::IdMap;
use super::id::Ids;
use super::limits::Limits;
use super::limits::MAX_QUEUED;
use super::scheduler::Control;
use super::scheduler::Scheduler;
use super::store::Store;
use super::stream::Phase;
use super::stream::Side;
use super::stream::Stream;
use super::stream::StreamKey;
use super::window::Pool;

pub(crate) use command::Call;
pub(crate) use command::Part;
pub(crate) use command::Read;
pub(crate) use command::Whole;

/// What a connection is made with.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) hello: Hello,
    pub(crate) limits: Limits,
    /// How long the peer's hello may take.
    pub(crate) hello_timeout: Duration,
    /// After how long a silence the peer is asked for a sign of life, and how
    /// long it may then take. `None`: never.
    pub(crate) keep_alive: Option<(Duration, Duration)>,
}

/// What the layer above must hear of.
#[derive(Debug)]
pub(crate) enum Event {
    /// The hellos fit: [`Connection::agreed`] holds what was agreed.
    Connected,
    /// The peer opened a sub-channel, which is now open: [`Connection::refuse`]
    /// it if it may not be. A byte stream comes with its stream.
    Opened { channel: ChannelKey, target: Target, kind: Kind, stream: Option<StreamKey> },
    /// The peer closed a sub-channel of either side. Its streams are ended.
    Closed { channel: ChannelKey },
    /// The peer made a call.
    Called { stream: StreamKey, channel: ChannelKey, head: RequestHead },
    /// Something about a stream has changed: look at it.
    Changed(StreamKey),
    /// The peer answered a ping.
    Pong(u64),
    /// The peer goes away, or this side does: no new calls. Comes once.
    GoingAway,
    /// After either side went away: no call runs any more. Comes once.
    Drained,
    /// The trunk ended. Nothing comes after this.
    Ended,
}

/// What a connection holds; all zero again when nothing is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) channels: usize,
    pub(crate) streams: usize,
    /// What windows have grown by, in bytes.
    pub(crate) window_growth: u64,
    /// Control frames that wait to be sent.
    pub(crate) backlog: usize,
}

/// What a connection has seen since it began, of both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Sub-channels that were opened.
    pub(crate) channels: u64,
    /// Calls that were made.
    pub(crate) calls: u64,
}

/// The protocol of one trunk at one end.
///
/// Four families of methods: `handle_*` take in what happens, `poll_*` give out
/// what is to be done, verbs are commands of the application, nouns are getters.
/// After each `handle_*` or command, take events until there is none, then
/// frames as the transport can send, and ask [`Connection::poll_timeout`] again.
#[derive(Debug)]
pub(crate) struct Connection {
    config: Config,
    agreed: Option<Agreed>,
    hello_sent: bool,
    ids: Ids,
    /// The highest number that the peer has used.
    peer_highest: u64,
    channels: Store<Channel>,
    channels_by_id: IdMap<ChannelKey>,
    streams: Store<Stream>,
    streams_by_id: IdMap<StreamKey>,
    /// Open at once, by who opened them.
    our_channels: u32,
    their_channels: u32,
    our_streams: u32,
    their_streams: u32,
    /// Of ours, those that do not count for draining.
    background: u32,
    /// Of ours, those whose first frame has not left.
    unbegun: u32,
    /// What to say when going away, once everything that was begun has left.
    farewell: Option<String>,
    totals: Totals,
    scheduler: Scheduler,
    /// Bytes of data that wait to be sent, of all streams.
    queued: usize,
    /// Whether a writer was told that it is too much.
    full: bool,
    /// Control frames in the scheduler that answer the peer.
    answers: usize,
    pool: Pool,
    events: VecDeque<Event>,
    going_away: Option<GoneBy>,
    drained: bool,
    ended: Option<EndReason>,
    hello_deadline: Option<Instant>,
    last_heard: Instant,
    /// When the peer must have answered the ping that is under way.
    answer_deadline: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GoneBy {
    Us,
    Peer,
}

impl Connection {
    pub(crate) fn new(mut config: Config, now: Instant) -> Self {
        config.hello_timeout = config.hello_timeout.min(FOR_EVER);
        let expressible = |(interval, patience): (Duration, Duration)| {
            (interval.min(FOR_EVER), patience.min(FOR_EVER))
        };
        config.keep_alive = config.keep_alive.map(expressible);
        Self {
            ids: Ids::new(config.hello.role),
            pool: Pool::new(config.limits.shared_window),
            hello_deadline: Some(now + config.hello_timeout),
            config,
            agreed: None,
            hello_sent: false,
            peer_highest: 0,
            channels: Store::new(),
            channels_by_id: IdMap::default(),
            streams: Store::new(),
            streams_by_id: IdMap::default(),
            our_channels: 0,
            their_channels: 0,
            our_streams: 0,
            their_streams: 0,
            background: 0,
            unbegun: 0,
            farewell: None,
            totals: Totals::default(),
            scheduler: Scheduler::default(),
            queued: 0,
            full: false,
            answers: 0,
            events: VecDeque::new(),
            going_away: None,
            drained: false,
            ended: None,
            last_heard: now,
            answer_deadline: None,
        }
    }

    /// What the hellos agreed on, once both are there.
    pub(crate) fn agreed(&self) -> Option<&Agreed> {
        self.agreed.as_ref()
    }

    /// Why the trunk ended, if it did.
    pub(crate) fn ended(&self) -> Option<&EndReason> {
        self.ended.as_ref()
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            channels: self.channels.len(),
            streams: self.streams.len(),
            window_growth: self.pool.used(),
            backlog: self.scheduler.backlog(),
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    /// Bytes that were received and wait for the application.
    pub(crate) fn buffered(&self) -> u64 {
        let stream = |key| self.streams.get(key).map_or(0, |stream| stream.recv.buffered());
        self.streams.keys().into_iter().map(stream).sum()
    }

    /// The next thing that the layer above must hear of.
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        if self.events.is_empty() && self.events.capacity() > 1024 {
            self.events = VecDeque::new();
        }
        if let Event::Changed(key) = &event
            && let Some(stream) = self.streams.get_mut(key.0)
        {
            stream.notified = false;
        }
        Some(event)
    }

    /// When [`Connection::handle_timeout`] must be called at the latest.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        if self.ended.is_some() {
            return None;
        }
        if let Some(deadline) = self.hello_deadline {
            return Some(deadline);
        }
        let (interval, _) = self.config.keep_alive?;
        Some(self.answer_deadline.unwrap_or(self.last_heard + interval))
    }

    /// Does what is due at `now`; harmless when nothing is.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.ended.is_some() {
            return;
        }
        if let Some(deadline) = self.hello_deadline {
            if now >= deadline {
                self.end(EndReason::HelloTimeout);
            }
            return;
        }
        let Some((interval, patience)) = self.config.keep_alive else {
            return;
        };
        match self.answer_deadline {
            Some(deadline) if now >= deadline => self.end(EndReason::Silent),
            Some(_) => {}
            None if now >= self.last_heard + interval => {
                self.answer_deadline = Some(now + patience);
                self.scheduler.push_control(Control::Ping(KEEP_ALIVE_TOKEN));
            }
            None => {}
        }
    }

    /// The connection under the trunk is gone.
    pub(crate) fn handle_lost(&mut self, reason: EndReason) {
        self.end(reason);
    }

    /// Ends the trunk: every stream that is open fails with `reason`, at once.
    fn end(&mut self, reason: EndReason) {
        if self.ended.is_some() {
            return;
        }
        self.scheduler.clear();
        self.farewell = None;
        self.answers = 0;
        if let Some(code) = reason.code() {
            let message = reason.to_string();
            self.scheduler.push_control(Control::GoAway { code, message });
        }
        self.ended = Some(reason.clone());
        for key in self.streams.keys() {
            self.fail(StreamKey(key), StreamError::Trunk(reason.clone()));
        }
        for key in self.channels.keys() {
            self.channels.remove(key);
        }
        self.channels_by_id = IdMap::default();
        self.our_channels = 0;
        self.their_channels = 0;
        self.events.push_back(Event::Ended);
    }

    /// Ends a stream that has not ended, tells its holder, frees what it may.
    fn fail(&mut self, key: StreamKey, error: StreamError) {
        let Some(stream) = self.streams.get_mut(key.0) else {
            return;
        };
        if !stream.live {
            return;
        }
        stream.failed = Some(error);
        self.queued -= stream.send.discard();
        if stream.recv.phase != Phase::Done {
            stream.recv.discard();
        }
        self.notify(key);
        self.settle(key);
    }

    /// Tells the holder of a stream that something has changed.
    fn notify(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key.0) else {
            return;
        };
        if stream.held && !stream.notified {
            stream.notified = true;
            self.events.push_back(Event::Changed(key));
        }
    }

    /// Takes a stream off the tables as soon as it is over on the wire, and
    /// forgets it as soon as the application has let go of it.
    fn settle(&mut self, key: StreamKey) {
        let Some(stream) = self.streams.get_mut(key.0) else {
            return;
        };
        if stream.live && (stream.failed.is_some() || stream.is_over()) {
            stream.live = false;
            self.queued -= stream.send.discard();
            let (channel, id, was_ready) = (stream.channel, stream.id, stream.ready);
            stream.ready = false;
            // The callee has answered; whoever still reads the request must know.
            let unheard = stream.failed.is_none() && stream.recv.phase != Phase::Done;
            if let Some(id) = id {
                self.streams_by_id.remove(&id);
            }
            if stream.side == Side::Opener {
                self.our_streams = self.our_streams.saturating_sub(1);
                self.background -= u32::from(stream.background);
                self.unbegun -= u32::from(stream.id.is_none());
            }
            self.leave_channel(channel, key, was_ready);
            if unheard {
                self.notify(key);
            }
        }
        let Some(stream) = self.streams.get_mut(key.0) else {
            return;
        };
        if !stream.live && !stream.held {
            stream.recv.window.release(&mut self.pool);
            if stream.side == Side::Acceptor {
                self.their_streams = self.their_streams.saturating_sub(1);
            }
            self.streams.remove(key.0);
            if self.streams.len() == 0 && self.streams_by_id.capacity() > 256 {
                self.streams_by_id = IdMap::default();
            }
        }
        self.make_room();
        self.check_drained();
    }

    fn leave_channel(&mut self, key: ChannelKey, stream: StreamKey, was_ready: bool) {
        let Some(channel) = self.channels.get_mut(key.0) else {
            return;
        };
        channel.streams = channel.streams.saturating_sub(1);
        if was_ready {
            // Rare: only a stream that is cut off while it has something to send.
            channel.ready.retain(|ready| *ready != stream);
        }
        if channel.kind == Kind::Bytes {
            self.forget_channel(key);
        }
    }

    /// Takes a channel off the tables. One that has not been announced keeps its
    /// place until its turn comes, so that opening and closing in a loop meets
    /// the limit.
    fn forget_channel(&mut self, key: ChannelKey) {
        let Some(channel) = self.channels.get_mut(key.0) else {
            return;
        };
        if channel.target.is_some() {
            channel.closed.get_or_insert((ClosedBy::Us, Code::Done));
            return;
        }
        let Some(channel) = self.channels.remove(key.0) else {
            return;
        };
        if channel.closed.is_none() {
            self.channel_is_over(channel.id, channel.ours);
        }
        self.scheduler.forget(&channel, key);
    }

    /// A channel no longer counts as open.
    fn channel_is_over(&mut self, id: Id, ours: bool) {
        self.channels_by_id.remove(&id);
        let count = if ours { &mut self.our_channels } else { &mut self.their_channels };
        *count = count.saturating_sub(1);
        if self.channels_by_id.is_empty() && self.channels_by_id.capacity() > 256 {
            self.channels_by_id = IdMap::default();
        }
    }

    fn check_drained(&mut self) {
        let idle = self.our_streams == self.background && self.their_streams == 0;
        if self.going_away.is_some() && !self.drained && idle && self.ended.is_none() {
            self.drained = true;
            self.events.push_back(Event::Drained);
        }
    }

    /// Tells writers that there is room again for what all streams queue. Not before
    /// half of it is gone, so that this look at all streams is rare.
    fn make_room(&mut self) {
        if !self.full || self.queued >= MAX_QUEUED / 2 {
            return;
        }
        self.full = false;
        for key in self.streams.keys() {
            let waits = |stream: &Stream| stream.send.wants_room && stream.send.room() > 0;
            if self.streams.get(key).is_some_and(waits) {
                self.notify(StreamKey(key));
            }
        }
    }

    /// Puts a stream in line if it has something that may be sent.
    fn schedule(&mut self, key: StreamKey) {
        let Some(agreed) = &self.agreed else { return };
        let longest = agreed.peer.limits.frame_data;
        let Some(stream) = self.streams.get_mut(key.0) else {
            return;
        };
        if stream.live && !stream.ready && stream.send.is_ready(longest) {
            stream.ready = true;
            let channel = stream.channel;
            self.scheduler.push(&mut self.channels, channel, key);
        }
    }

    /// Queues an answer to the peer; a peer that wants more answers than it
    /// reads is cut off.
    fn answer(&mut self, control: Control) {
        if self.ended.is_none() {
            // Only what is taken off the count again when it leaves.
            if control.answers_peer_of(self.config.hello.role) {
                self.answers += 1;
            }
            self.scheduler.push_control(control);
        }
    }

    /// Why what the peer begins now is refused: either side is going away. A peer
    /// that goes away says so after all that it has begun.
    fn code_of_refusal(&self) -> Option<Code> {
        self.going_away.map(|_| Code::GoingAway)
    }
}

/// The token of pings that the machine sends on its own account; the
/// application's start above it.
const KEEP_ALIVE_TOKEN: u64 = 0;

/// A century: the longest that a timer is set to, because a clock cannot express all
/// durations.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
