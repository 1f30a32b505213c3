//! What the application asks of a trunk.

use std::time::Duration;

use bytes::Bytes;

use super::Connection;
use super::Event;
use super::GoneBy;
use crate::broker::protocol::channel::Channel;
use crate::broker::protocol::channel::ChannelKey;
use crate::broker::protocol::channel::ClosedBy;
use crate::broker::protocol::error::Code;
use crate::broker::protocol::error::EndReason;
use crate::broker::protocol::error::StreamError;
use crate::broker::protocol::frame::End;
use crate::broker::protocol::frame::Head;
use crate::broker::protocol::frame::Kind;
use crate::broker::protocol::frame::Metadata;
use crate::broker::protocol::frame::RequestHead;
use crate::broker::protocol::frame::ResponseHead;
use crate::broker::protocol::frame::Target;
use crate::broker::protocol::id::Id;
use crate::broker::protocol::limits::MAX_CONTROL_BACKLOG;
use crate::broker::protocol::limits::MAX_QUEUED;
use crate::broker::protocol::scheduler::Control;
use crate::broker::protocol::stream::Phase;
use crate::broker::protocol::stream::Side;
use crate::broker::protocol::stream::Stream;
use crate::broker::protocol::stream::StreamKey;

/// What a call starts with.
#[derive(Debug, Default)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) metadata: Metadata,
    pub(crate) timeout: Option<Duration>,
    /// The call of the peer on whose behalf this one is made.
    pub(crate) parent: Option<StreamKey>,
    /// How many calls are above it, on this trunk and on others.
    pub(crate) depth: u32,
    /// Whether this end may count as drained while the call runs.
    pub(crate) background: bool,
}

/// A part of what is sent on a stream. A unary message and its end are one part.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) chunks: Vec<Bytes>,
    pub(crate) end: Option<End>,
}

/// A body that has arrived to its end, in one piece.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Whole {
    pub(crate) data: Bytes,
    pub(crate) end: End,
}

/// What reading a stream gives.
#[derive(Debug, PartialEq)]
pub(crate) enum Read {
    Data(Bytes),
    /// The peer has finished. `None` if that was read before.
    End(Option<End>),
    /// Nothing yet; [`Event::Changed`] comes when there is.
    Pending,
}

impl Connection {
    /// Opens a sub-channel. Nothing is waited for: a refusal comes later, as
    /// [`Event::Closed`] and as the failure of its streams.
    pub(crate) fn open(
        &mut self,
        target: Target,
        kind: Kind,
    ) -> Result<(ChannelKey, Option<StreamKey>), StreamError> {
        self.check_alive()?;
        let peer = self.agreed.as_ref().ok_or(StreamError::Local(Code::Closed))?.peer.limits;
        if let Target::Service(name) = &target {
            check_metadata(name.len(), peer.metadata)?;
        }
        if self.our_channels >= peer.channels {
            return Err(StreamError::Local(Code::Limit));
        }
        if kind == Kind::Bytes {
            self.check_may_begin(None)?;
            if self.our_streams >= peer.streams.min(self.config.limits.streams) {
                return Err(StreamError::Local(Code::Limit));
            }
        }
        let id = self.ids.take();
        let channel = ChannelKey(self.channels.insert(Channel::ours(id, target, kind)));
        self.channels_by_id.insert(id, channel);
        self.our_channels += 1;
        self.totals.channels += 1;
        self.scheduler.push_control(Control::Open(channel));
        let stream = (kind == Kind::Bytes).then(|| {
            let stream = self.add_stream(channel, Side::Opener, kind);
            self.set_id(stream, id);
            stream
        });
        Ok((channel, stream))
    }

    /// Why a sub-channel can no longer be used.
    pub(crate) fn check_channel(&self, channel: ChannelKey) -> Result<(), StreamError> {
        self.check_alive()?;
        let channel = self.channels.get(channel.0).ok_or(StreamError::Local(Code::Closed))?;
        match channel.closed {
            None => Ok(()),
            Some((ClosedBy::Us, code)) => Err(StreamError::Local(code)),
            Some((ClosedBy::Peer, code)) => Err(StreamError::Peer(code)),
        }
    }

    /// Closes a sub-channel of either side, and what still runs on it.
    pub(crate) fn close(&mut self, key: ChannelKey, code: Code) {
        self.close_channel(key, ClosedBy::Us, code);
        self.forget_channel(key);
    }

    /// Refuses a sub-channel that the peer has just opened.
    pub(crate) fn refuse(&mut self, channel: ChannelKey, code: Code) {
        self.close(channel, code);
    }

    /// Ends all streams of a channel and takes it off the wire.
    pub(super) fn close_channel(&mut self, key: ChannelKey, by: ClosedBy, code: Code) {
        let Some(channel) = self.channels.get_mut(key.0) else {
            return;
        };
        if channel.closed.is_some() {
            return;
        }
        channel.closed = Some((by, code));
        let (id, ours, announced) = (channel.id, channel.ours, channel.target.is_none());
        if channel.streams > 0 {
            self.fail_streams_of(key, by, code);
        }
        if announced {
            self.channel_is_over(id, ours);
        }
        if by == ClosedBy::Us && announced {
            let control = Control::Close { channel: id, code };
            if ours { self.scheduler.push_control(control) } else { self.answer(control) }
        }
    }

    fn fail_streams_of(&mut self, channel: ChannelKey, by: ClosedBy, code: Code) {
        for key in self.streams.keys() {
            let Some(stream) = self.streams.get(key) else {
                continue;
            };
            if stream.channel == channel {
                let error = match by {
                    ClosedBy::Us => StreamError::Local(code),
                    ClosedBy::Peer => StreamError::Peer(code),
                };
                self.fail(StreamKey(key), error);
            }
        }
    }

    /// Starts a call on a sub-channel that this side opened. Its frame leaves
    /// when its turn comes, with what has been written by then.
    pub(crate) fn call(
        &mut self,
        channel: ChannelKey,
        call: Call,
    ) -> Result<StreamKey, StreamError> {
        self.check_channel(channel)?;
        let peer = self.agreed.as_ref().ok_or(StreamError::Local(Code::Closed))?.peer.limits;
        let parent = call.parent.and_then(|key| self.streams.get(key.0));
        let parent = parent.filter(|stream| stream.live).and_then(|stream| stream.id);
        self.check_may_begin(parent)?;
        if call.depth > peer.depth
            || self.our_streams >= peer.streams.min(self.config.limits.streams)
        {
            return Err(StreamError::Local(Code::Limit));
        }
        let size = call.path.len() + call.metadata.size();
        check_metadata(size, peer.metadata)?;
        let id = self.channels.get(channel.0).ok_or(StreamError::Local(Code::Closed))?.id;
        let key = self.add_stream(channel, Side::Opener, Kind::Calls);
        let Call { path, metadata, timeout, depth, background, .. } = call;
        let head = RequestHead { channel: id, path, metadata, timeout, parent, depth };
        if let Some(stream) = self.streams.get_mut(key.0) {
            stream.background = background;
            self.background += u32::from(background);
            self.unbegun += 1;
            stream.send.give_head(Head::Request(head));
        }
        self.totals.calls += 1;
        self.schedule(key);
        Ok(key)
    }

    /// The first thing that the callee says.
    pub(crate) fn respond(
        &mut self,
        key: StreamKey,
        head: ResponseHead,
    ) -> Result<(), StreamError> {
        check_metadata(head.metadata.size(), self.peer_metadata())?;
        let stream = self.sending(key)?;
        if stream.send.given != Phase::Head {
            return Err(StreamError::Local(Code::Protocol));
        }
        stream.send.give_head(Head::Response(head));
        self.schedule(key);
        Ok(())
    }

    /// How many more bytes a stream has room for; if none, [`Event::Changed`] comes
    /// when it has some.
    pub(crate) fn room(&mut self, key: StreamKey) -> Result<usize, StreamError> {
        let full = self.queued >= MAX_QUEUED;
        self.full |= full;
        let stream = self.sending(key)?;
        let room = if full { 0 } else { stream.send.room() };
        stream.send.wants_room = room == 0;
        Ok(room)
    }

    /// Whether everything that was written has left, and the end if it was given.
    pub(crate) fn is_flushed(&mut self, key: StreamKey) -> Result<bool, StreamError> {
        let stream = self.streams.get_mut(key.0).ok_or(StreamError::Local(Code::Closed))?;
        let flushed = stream.send.is_flushed();
        match &stream.failed {
            Some(error) if stream.send.phase != Phase::Done => Err(error.clone()),
            _ => {
                stream.send.wants_flush = !flushed;
                Ok(flushed)
            }
        }
    }

    /// Queues data. What is given is always taken, so ask
    /// [`Connection::room`] first.
    pub(crate) fn write(&mut self, key: StreamKey, data: Bytes) -> Result<(), StreamError> {
        let len = data.len();
        self.sending(key)?.send.give_data(data);
        self.queued += len;
        self.schedule(key);
        Ok(())
    }

    /// Finishes this side's half.
    pub(crate) fn finish(&mut self, key: StreamKey, end: End) -> Result<(), StreamError> {
        check_metadata(end.trailers.size(), self.peer_metadata())?;
        self.sending(key)?.send.give_end(end);
        self.schedule(key);
        Ok(())
    }

    /// The stream, if its half of this side is open for more.
    fn sending(&mut self, key: StreamKey) -> Result<&mut Stream, StreamError> {
        let stream = self.streams.get_mut(key.0).ok_or(StreamError::Local(Code::Closed))?;
        if let Some(error) = &stream.failed {
            return Err(error.clone());
        }
        if !stream.live || stream.send.given == Phase::Done {
            return Err(StreamError::Local(Code::Done));
        }
        Ok(stream)
    }

    /// The response's head, once.
    pub(crate) fn read_head(
        &mut self,
        key: StreamKey,
    ) -> Result<Option<ResponseHead>, StreamError> {
        let stream = self.receiving(key)?;
        match stream.recv.head.take() {
            Some(Head::Response(head)) => Ok(Some(head)),
            Some(Head::Request(_)) | None => Ok(None),
        }
    }

    /// The next data. What is taken counts as consumed: its credit goes back.
    pub(crate) fn read(&mut self, key: StreamKey) -> Result<Read, StreamError> {
        let stream = self.receiving(key)?;
        let Some((data, cost)) = stream.recv.take_data() else {
            return match stream.recv.phase {
                Phase::Done => Ok(Read::End(stream.recv.take_end())),
                // The callee has answered: the rest of the request is not heard.
                _ if !stream.live => Err(StreamError::Local(Code::Done)),
                _ => Ok(Read::Pending),
            };
        };
        self.consumed(key, cost);
        Ok(Read::Data(data))
    }

    /// All that the peer has sent and will send, if it is here in one piece and
    /// nothing of it has been read. Otherwise there is nothing but [`Connection::read`].
    pub(crate) fn read_whole(&mut self, key: StreamKey) -> Option<Whole> {
        let stream = self.receiving(key).ok()?;
        let (data, end) = stream.recv.take_whole()?;
        Some(Whole { data, end })
    }

    /// Gives back the credit of data that nobody will ask for again.
    fn consumed(&mut self, key: StreamKey, cost: u64) {
        let Some(stream) = self.streams.get_mut(key.0) else {
            return;
        };
        let worth_it = stream.recv.window.consume(cost);
        let more_may_come = stream.live && stream.recv.phase != Phase::Done;
        if worth_it && more_may_come && !stream.recv.credit_due {
            stream.recv.credit_due = true;
            self.answer(Control::Credit(key));
        }
    }

    /// Drops what arrives on a stream that was let go of while what was written
    /// on it is on its way. It counts as consumed, for a peer that writes before
    /// it reads.
    pub(super) fn skip(&mut self, key: StreamKey) {
        while let Some(stream) = self.streams.get_mut(key.0)
            && let Some((_, cost)) = stream.recv.take_data()
        {
            self.consumed(key, cost);
        }
    }

    fn receiving(&mut self, key: StreamKey) -> Result<&mut Stream, StreamError> {
        let stream = self.streams.get_mut(key.0).ok_or(StreamError::Local(Code::Closed))?;
        match &stream.failed {
            _ if !stream.held => Err(StreamError::Local(Code::Closed)),
            // What has arrived whole can be read, whatever became of the rest.
            Some(error) if stream.recv.phase != Phase::Done => Err(error.clone()),
            _ => Ok(stream),
        }
    }

    /// Why a stream failed, or that it is over: for whoever serves it and
    /// should stop.
    pub(crate) fn failure(&self, key: StreamKey) -> Option<StreamError> {
        match self.streams.get(key.0) {
            Some(stream) if stream.live => None,
            Some(Stream { failed: Some(error), .. }) => Some(error.clone()),
            Some(_) => Some(StreamError::Local(Code::Done)),
            None => Some(StreamError::Local(Code::Closed)),
        }
    }

    /// Ends a stream at once, in both directions. One whose first frame has not
    /// left leaves no trace.
    pub(crate) fn reset(&mut self, key: StreamKey, code: Code) {
        let Some(stream) = self.streams.get(key.0) else {
            return;
        };
        if !stream.live {
            return;
        }
        let announced = self.channels.get(stream.channel.0).is_some_and(|it| it.target.is_none());
        if let Some(id) = stream.id.filter(|_| announced) {
            let control = Control::Reset { stream: id, code };
            match stream.side {
                Side::Opener => self.scheduler.push_control(control),
                Side::Acceptor => self.answer(control),
            }
        }
        self.fail(key, StreamError::Local(code));
    }

    /// The application lets go of a stream. One that is not over is reset, but
    /// for what has been given whole and is on its way.
    pub(crate) fn release(&mut self, key: StreamKey, code: Code) {
        let Some(stream) = self.streams.get(key.0) else {
            return;
        };
        let callee = stream.kind == Kind::Calls && stream.side == Side::Acceptor;
        let leaving = match stream.send.given {
            Phase::Done if callee => true,
            Phase::Done if stream.kind == Kind::Bytes => stream.send.phase != Phase::Done,
            _ => false,
        };
        // Before the reset, which would tell the application of its own doing.
        if let Some(stream) = self.streams.get_mut(key.0) {
            stream.held = false;
        }
        if !leaving {
            self.reset(key, code);
        }
        self.skip(key);
        if let Some(stream) = self.streams.get_mut(key.0) {
            stream.recv.discard();
        }
        self.settle(key);
    }

    /// Asks the peer for a sign of life, which comes as [`Event::Pong`]. Refused
    /// while too much waits for a transport that takes nothing.
    pub(crate) fn ping(&mut self, token: u64) -> Result<(), StreamError> {
        self.check_alive()?;
        if self.scheduler.backlog() >= MAX_CONTROL_BACKLOG {
            return Err(StreamError::Local(Code::Limit));
        }
        self.scheduler.push_control(Control::Ping(token));
        Ok(())
    }

    /// Begins no new calls and accepts none, except on behalf of calls that run.
    pub(crate) fn go_away(&mut self, message: String) {
        if self.ended.is_some() || self.going_away == Some(GoneBy::Us) {
            return;
        }
        // Behind what has begun: the peer must not refuse that.
        self.farewell = Some(message);
        if self.going_away.replace(GoneBy::Us).is_none() {
            self.events.push_back(Event::GoingAway);
        }
        self.check_drained();
    }

    /// Ends the trunk.
    pub(crate) fn shut(&mut self) {
        self.end(EndReason::Closed);
    }

    fn check_alive(&self) -> Result<(), StreamError> {
        match &self.ended {
            Some(reason) => Err(StreamError::Trunk(reason.clone())),
            None => Ok(()),
        }
    }

    /// While either side goes away, only calls on behalf of running ones begin.
    fn check_may_begin(&self, parent: Option<Id>) -> Result<(), StreamError> {
        match self.going_away {
            Some(_) if parent.is_some() => Ok(()),
            Some(GoneBy::Us) => Err(StreamError::Local(Code::GoingAway)),
            Some(GoneBy::Peer) => Err(StreamError::Peer(Code::GoingAway)),
            None => Ok(()),
        }
    }

    fn peer_metadata(&self) -> u32 {
        self.agreed.as_ref().map_or(u32::MAX, |agreed| agreed.peer.limits.metadata)
    }

    pub(super) fn add_stream(&mut self, channel: ChannelKey, side: Side, kind: Kind) -> StreamKey {
        let ours = self.config.limits.initial_window;
        let theirs = self.agreed.as_ref().map_or(0, |agreed| agreed.peer.limits.initial_window);
        let stream = Stream::new(channel, (side, kind), theirs, ours);
        let key = StreamKey(self.streams.insert(stream));
        match side {
            Side::Opener => self.our_streams += 1,
            Side::Acceptor => self.their_streams += 1,
        }
        if let Some(channel) = self.channels.get_mut(channel.0) {
            channel.streams += 1;
        }
        key
    }

    pub(super) fn set_id(&mut self, key: StreamKey, id: Id) {
        if let Some(stream) = self.streams.get_mut(key.0) {
            stream.id = Some(id);
            self.streams_by_id.insert(id, key);
        }
    }
}

fn check_metadata(size: usize, limit: u32) -> Result<(), StreamError> {
    if size > limit as usize {
        return Err(StreamError::MetadataTooLong { size, limit });
    }
    Ok(())
}
