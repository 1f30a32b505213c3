//! What the peer sends on a trunk.

use std::time::Instant;

use super::Connection;
use super::Event;
use super::GoneBy;
use crate::broker::protocol::channel::Channel;
use crate::broker::protocol::channel::ChannelKey;
use crate::broker::protocol::channel::ClosedBy;
use crate::broker::protocol::error::Code;
use crate::broker::protocol::error::EndReason;
use crate::broker::protocol::error::StreamError;
use crate::broker::protocol::error::Violation;
use crate::broker::protocol::frame::Frame;
use crate::broker::protocol::frame::Head;
use crate::broker::protocol::frame::Kind;
use crate::broker::protocol::frame::RequestHead;
use crate::broker::protocol::frame::ResponseHead;
use crate::broker::protocol::frame::StreamFrame;
use crate::broker::protocol::frame::Target;
use crate::broker::protocol::handshake::Hello;
use crate::broker::protocol::handshake::negotiate;
use crate::broker::protocol::id::Id;
use crate::broker::protocol::limits::MAX_CONTROL_BACKLOG;
use crate::broker::protocol::scheduler::Control;
use crate::broker::protocol::stream::Phase;
use crate::broker::protocol::stream::Side;
use crate::broker::protocol::stream::StreamKey;

impl Connection {
    /// Takes in a frame. A violation ends the trunk, or the stream if it
    /// concerns no more than that.
    pub(crate) fn handle_frame(&mut self, frame: Frame, now: Instant) {
        if self.ended.is_some() {
            return;
        }
        self.last_heard = now;
        self.answer_deadline = None;
        let result = match (self.agreed.is_some(), frame) {
            (false, Frame::Hello(hello)) => self.receive_hello(hello),
            (false, Frame::GoAway { code, message }) if code != Code::GoingAway => {
                self.receive_go_away(code, message)
            }
            (false, _) => Err(Violation::FrameBeforeHello),
            (true, frame) => self.receive(frame),
        };
        if let Err(violation) = result {
            self.end(violation.into());
        } else if self.answers > MAX_CONTROL_BACKLOG {
            self.end(Violation::DoesNotRead.into());
        }
    }

    /// Bytes came that are no frame.
    pub(crate) fn handle_violation(&mut self, violation: Violation) {
        self.end(violation.into());
    }

    fn receive(&mut self, frame: Frame) -> Result<(), Violation> {
        match frame {
            Frame::Hello(_) => Err(Violation::SecondHello),
            Frame::Open { channel, target, kind } => self.receive_open(channel, target, kind),
            Frame::Close { channel, code } => self.receive_close(channel, code),
            Frame::Stream(frame) => self.receive_stream(frame),
            Frame::Credit { stream, bytes } => self.receive_credit(stream, bytes),
            Frame::Reset { stream, code } => self.receive_reset(stream, code),
            Frame::Ping(token) => {
                self.answer(Control::Pong(token));
                Ok(())
            }
            Frame::Pong(token) => {
                if token != super::KEEP_ALIVE_TOKEN {
                    self.events.push_back(Event::Pong(token));
                }
                Ok(())
            }
            Frame::GoAway { code, message } => self.receive_go_away(code, message),
        }
    }

    fn receive_hello(&mut self, hello: Hello) -> Result<(), Violation> {
        match negotiate(&self.config.hello, hello) {
            Ok(agreed) => {
                self.agreed = Some(agreed);
                self.hello_deadline = None;
                self.events.push_back(Event::Connected);
            }
            Err(reason) => self.end(reason),
        }
        Ok(())
    }

    fn receive_go_away(&mut self, code: Code, message: String) -> Result<(), Violation> {
        match code {
            Code::Done => self.end(EndReason::PeerClosed),
            Code::GoingAway => {
                if self.going_away.is_none() {
                    self.going_away = Some(GoneBy::Peer);
                    self.events.push_back(Event::GoingAway);
                    self.check_drained();
                }
            }
            code => self.end(EndReason::Accused { code, message: message.into() }),
        }
        Ok(())
    }

    /// Checks a number that the peer uses for the first time.
    fn take_new_id(&mut self, id: Id) -> Result<(), Violation> {
        let peer = self.config.hello.role.peer();
        if !id.chosen_by(peer) || id.get() <= self.peer_highest {
            return Err(Violation::BadId);
        }
        self.peer_highest = id.get();
        Ok(())
    }

    /// Whether a number has ever been in use. A frame for one that has, and is
    /// gone, crossed its end on the way and is no violation.
    fn was_used(&self, id: Id) -> bool {
        if id.chosen_by(self.config.hello.role) {
            self.ids.has_used(id)
        } else {
            id.get() <= self.peer_highest
        }
    }

    fn receive_open(&mut self, id: Id, target: Target, kind: Kind) -> Result<(), Violation> {
        self.take_new_id(id)?;
        let limits = &self.config.limits;
        if matches!(&target, Target::Service(name) if name.len() > limits.metadata as usize) {
            return Err(Violation::MetadataTooLong);
        }
        let full = self.their_channels >= limits.channels
            || kind == Kind::Bytes && self.their_streams >= limits.streams;
        let refusal = if kind == Kind::Bytes { self.code_of_refusal() } else { None };
        if let Some(code) = refusal.or(full.then_some(Code::Limit)) {
            self.answer(Control::Close { channel: id, code });
            return Ok(());
        }
        let channel = ChannelKey(self.channels.insert(Channel::theirs(id, kind)));
        self.channels_by_id.insert(id, channel);
        self.their_channels += 1;
        self.totals.channels += 1;
        let stream = (kind == Kind::Bytes).then(|| {
            let stream = self.add_stream(channel, Side::Acceptor, kind);
            self.set_id(stream, id);
            stream
        });
        self.events.push_back(Event::Opened { channel, target, kind, stream });
        Ok(())
    }

    fn receive_close(&mut self, id: Id, code: Code) -> Result<(), Violation> {
        let Some(&key) = self.channels_by_id.get(&id) else {
            return if self.was_used(id) { Ok(()) } else { Err(Violation::BadId) };
        };
        self.close_channel(key, ClosedBy::Peer, code);
        self.events.push_back(Event::Closed { channel: key });
        // Of ours, the application still holds the key, and learns why from it.
        let ours = self.channels.get(key.0).is_some_and(|channel| channel.ours);
        if !ours {
            self.forget_channel(key);
        }
        Ok(())
    }

    fn receive_stream(&mut self, frame: StreamFrame) -> Result<(), Violation> {
        self.check_sizes(&frame)?;
        let cost = frame.cost();
        let StreamFrame { stream: id, head, data, end } = frame;
        let key = match (self.streams_by_id.get(&id), head) {
            (None, Some(Head::Request(head))) => match self.receive_call(id, head)? {
                Some(key) => key,
                None => return Ok(()),
            },
            (None, _) if self.was_used(id) => return Ok(()),
            (None, _) => return Err(Violation::UnopenedStream),
            (Some(&key), Some(Head::Response(head))) => {
                self.receive_response(key, head)?;
                key
            }
            (Some(_), Some(Head::Request(_))) => return Err(Violation::BadHead),
            (Some(&key), None) => key,
        };
        let Some(stream) = self.streams.get_mut(key.0) else {
            return Ok(());
        };
        if cost > 0
            && let Err(violation) = stream.recv.window.receive(cost)
        {
            self.overrun(key, violation);
            return Ok(());
        }
        stream.recv.receive(data, end)?;
        if !stream.held {
            self.skip(key);
        }
        self.notify(key);
        self.settle(key);
        Ok(())
    }

    fn check_sizes(&self, frame: &StreamFrame) -> Result<(), Violation> {
        let limits = &self.config.limits;
        if frame.data.len() > limits.frame_data as usize {
            return Err(Violation::FrameTooLong);
        }
        let head = match &frame.head {
            Some(Head::Request(head)) => head.path.len() + head.metadata.size(),
            Some(Head::Response(head)) => head.metadata.size(),
            None => 0,
        };
        let trailers = frame.end.as_ref().map_or(0, |end| end.trailers.size());
        if head.max(trailers) > limits.metadata as usize {
            return Err(Violation::MetadataTooLong);
        }
        Ok(())
    }

    /// A call begins. `None` if it is refused or its channel is gone.
    fn receive_call(&mut self, id: Id, head: RequestHead) -> Result<Option<StreamKey>, Violation> {
        self.take_new_id(id)?;
        let Some(&channel) = self.channels_by_id.get(&head.channel) else {
            // Closed while the call was on its way: the close said so already.
            let known = head.channel.chosen_by(self.config.hello.role.peer());
            let known = known && self.was_used(head.channel);
            return if known { Ok(None) } else { Err(Violation::BadChannel) };
        };
        let callable =
            self.channels.get(channel.0).is_some_and(|it| !it.ours && it.kind == Kind::Calls);
        if !callable {
            return Err(Violation::BadChannel);
        }
        let limits = &self.config.limits;
        let full = self.their_streams >= limits.streams || head.depth > limits.depth;
        let refusal = if self.runs(head.parent) { None } else { self.code_of_refusal() };
        if let Some(code) = refusal.or(full.then_some(Code::Limit)) {
            self.answer(Control::Reset { stream: id, code });
            return Ok(None);
        }
        let key = self.add_stream(channel, Side::Acceptor, Kind::Calls);
        self.set_id(key, id);
        if let Some(stream) = self.streams.get_mut(key.0) {
            stream.recv.phase = Phase::Body;
        }
        self.totals.calls += 1;
        self.events.push_back(Event::Called { stream: key, channel, head });
        Ok(Some(key))
    }

    /// Whether `parent` is a call that this side made and that still runs.
    fn runs(&self, parent: Option<Id>) -> bool {
        let stream = parent.and_then(|id| self.streams_by_id.get(&id));
        let stream = stream.and_then(|key| self.streams.get(key.0));
        stream.is_some_and(|stream| stream.side == Side::Opener)
    }

    fn receive_response(&mut self, key: StreamKey, head: ResponseHead) -> Result<(), Violation> {
        let Some(stream) = self.streams.get_mut(key.0) else {
            return Ok(());
        };
        if stream.side != Side::Opener || stream.recv.phase != Phase::Head {
            return Err(Violation::BadHead);
        }
        stream.recv.head = Some(Head::Response(head));
        stream.recv.phase = Phase::Body;
        Ok(())
    }

    /// The peer sent more than it may on one stream: that stream is cut off.
    fn overrun(&mut self, key: StreamKey, violation: Violation) {
        let Some(id) = self.streams.get(key.0).and_then(|stream| stream.id) else {
            return;
        };
        self.answer(Control::Reset { stream: id, code: violation.code() });
        self.fail(key, StreamError::Overrun);
    }

    fn receive_credit(&mut self, id: Id, bytes: u32) -> Result<(), Violation> {
        let Some(&key) = self.streams_by_id.get(&id) else {
            return if self.was_used(id) { Ok(()) } else { Err(Violation::UnopenedStream) };
        };
        if let Some(stream) = self.streams.get_mut(key.0) {
            stream.send.window.add(bytes)?;
            if stream.send.has_what_is_wanted() {
                self.notify(key);
            }
        }
        self.schedule(key);
        Ok(())
    }

    fn receive_reset(&mut self, id: Id, code: Code) -> Result<(), Violation> {
        let Some(&key) = self.streams_by_id.get(&id) else {
            return if self.was_used(id) { Ok(()) } else { Err(Violation::UnopenedStream) };
        };
        self.fail(key, StreamError::Peer(code));
        Ok(())
    }
}
