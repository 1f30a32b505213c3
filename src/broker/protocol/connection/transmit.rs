//! What is sent on a trunk, one frame at a time, when the transport can take it.

use super::Connection;
use super::Event;
use crate::broker::protocol::error::Code;
use crate::broker::protocol::frame::Frame;
use crate::broker::protocol::frame::Kind;
use crate::broker::protocol::scheduler::Control;
use crate::broker::protocol::stream::Phase;
use crate::broker::protocol::stream::StreamKey;

impl Connection {
    /// The next frame: the hello, then control frames, then one part of the
    /// stream whose turn it is.
    pub(crate) fn poll_transmit(&mut self) -> Option<Frame> {
        if !self.hello_sent {
            self.hello_sent = true;
            return Some(Frame::Hello(self.config.hello.clone()));
        }
        // Nothing but a farewell goes to a peer that has not introduced itself.
        if self.agreed.is_none() && self.ended.is_none() {
            return None;
        }
        while let Some(control) = self.scheduler.pop_control() {
            if let Some(frame) = self.control_frame(control) {
                return Some(frame);
            }
        }
        if let Some(message) = self.farewell.take_if(|_| self.unbegun == 0) {
            return Some(Frame::GoAway { code: Code::GoingAway, message });
        }
        while let Some(key) = self.scheduler.pop(&mut self.channels) {
            if let Some(frame) = self.stream_frame(key) {
                return Some(frame);
            }
        }
        None
    }

    /// Whether there are events to take, or frames while the transport is not
    /// `blocked`.
    pub(crate) fn wants_driver(&self, blocked: bool) -> bool {
        !self.events.is_empty() || (!blocked && self.wants_transmit())
    }

    /// Whether [`Connection::poll_transmit`] may have something to give.
    pub(crate) fn wants_transmit(&self) -> bool {
        if !self.hello_sent {
            return true;
        }
        let may_speak = self.agreed.is_some() || self.ended.is_some();
        let farewell = self.farewell.is_some() && self.unbegun == 0;
        may_speak && (farewell || self.scheduler.backlog() > 0 || self.scheduler.has_streams())
    }

    /// `None` if what the frame is about is gone.
    fn control_frame(&mut self, control: Control) -> Option<Frame> {
        let role = self.config.hello.role;
        if control.answers_peer_of(role) {
            self.answers = self.answers.saturating_sub(1);
        }
        match control {
            Control::Open(key) => {
                let channel = self.channels.get_mut(key.0)?;
                let target = channel.target.take()?;
                let (id, kind, closed) = (channel.id, channel.kind, channel.closed.is_some());
                if closed {
                    self.channel_is_over(id, true);
                    self.forget_channel(key);
                    return None;
                }
                Some(Frame::Open { channel: id, target, kind })
            }
            Control::Close { channel, code } => Some(Frame::Close { channel, code }),
            Control::Credit(key) => {
                let stream = self.streams.get_mut(key.0)?;
                stream.recv.credit_due = false;
                let id = stream.id.filter(|_| stream.live)?;
                // What nobody reads need not come faster.
                let max = if stream.held { self.config.limits.max_window } else { 0 };
                let bytes = stream.recv.window.give(max, &mut self.pool);
                (bytes > 0).then_some(Frame::Credit { stream: id, bytes })
            }
            Control::Reset { stream, code } => Some(Frame::Reset { stream, code }),
            Control::Ping(token) => Some(Frame::Ping(token)),
            Control::Pong(token) => Some(Frame::Pong(token)),
            Control::GoAway { code, message } => Some(Frame::GoAway { code, message }),
        }
    }

    fn stream_frame(&mut self, key: StreamKey) -> Option<Frame> {
        let longest = self.agreed.as_ref()?.peer.limits.frame_data;
        let stream = self.streams.get_mut(key.0)?;
        stream.ready = false;
        if !stream.live {
            return None;
        }
        let id = match stream.id {
            Some(id) => id,
            None => {
                let id = self.ids.take();
                stream.id = Some(id);
                self.streams_by_id.insert(id, key);
                self.unbegun -= 1;
                id
            }
        };
        let frame = stream.send.next_frame(id, longest);
        self.queued -= frame.data.len();
        let wakes = stream.send.has_what_is_wanted();
        let unread = !stream.held && stream.kind == Kind::Bytes && stream.recv.phase != Phase::Done;
        if wakes && stream.held && !stream.notified {
            stream.notified = true;
            self.events.push_back(Event::Changed(key));
        }
        self.make_room();
        self.schedule(key);
        if frame.end.is_some() {
            self.settle(key);
            if unread {
                // Nobody is left to read what the peer still sends.
                self.reset(key, Code::Cancelled);
            }
        }
        Some(Frame::Stream(frame))
    }
}
