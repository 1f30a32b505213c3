//! Whose turn it is to send: control first, then sub-channels in a ring, and the
//! streams of each in a ring of their own.

use std::collections::VecDeque;

use super::channel::Channel;
use super::channel::ChannelKey;
use super::error::Code;
use super::id::Id;
use super::id::Role;
use super::store::Store;
use super::stream::StreamKey;

/// A control frame that waits, as little of it as is needed to write it.
#[derive(Debug)]
pub(super) enum Control {
    Open(ChannelKey),
    Close { channel: Id, code: Code },
    Credit(StreamKey),
    Reset { stream: Id, code: Code },
    Ping(u64),
    Pong(u64),
    GoAway { code: Code, message: String },
}

impl Control {
    /// Whether the frame answers something that the peer of `role` did, so that
    /// the peer decides how many of them there are.
    pub(super) fn answers_peer_of(&self, role: Role) -> bool {
        match self {
            Self::Pong(_) | Self::Credit(_) => true,
            Self::Close { channel: id, .. } | Self::Reset { stream: id, .. } => !id.chosen_by(role),
            Self::Open(_) | Self::Ping(_) | Self::GoAway { .. } => false,
        }
    }
}

/// The two queues of a connection.
#[derive(Debug, Default)]
pub(super) struct Scheduler {
    control: VecDeque<Control>,
    ring: VecDeque<ChannelKey>,
}

impl Scheduler {
    pub(super) fn push_control(&mut self, control: Control) {
        self.control.push_back(control);
    }

    pub(super) fn pop_control(&mut self) -> Option<Control> {
        let control = self.control.pop_front();
        if self.control.is_empty() && self.control.capacity() > 1024 {
            self.control = VecDeque::new();
        }
        control
    }

    pub(super) fn backlog(&self) -> usize {
        self.control.len()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Puts a stream at the end of its channel's turn order, and the channel into
    /// the ring.
    pub(super) fn push(
        &mut self,
        channels: &mut Store<Channel>,
        key: ChannelKey,
        stream: StreamKey,
    ) {
        let Some(channel) = channels.get_mut(key.0) else {
            return;
        };
        channel.ready.push_back(stream);
        if !channel.in_ring {
            channel.in_ring = true;
            self.ring.push_back(key);
        }
    }

    /// The stream whose turn it is, taken out. Entries of streams and channels
    /// that are gone are left to the caller, which finds nothing under the key.
    pub(super) fn pop(&mut self, channels: &mut Store<Channel>) -> Option<StreamKey> {
        if self.ring.is_empty() && self.ring.capacity() > 1024 {
            self.ring = VecDeque::new();
        }
        while let Some(key) = self.ring.pop_front() {
            let Some(channel) = channels.get_mut(key.0) else {
                continue;
            };
            let stream = channel.ready.pop_front();
            if channel.ready.is_empty() {
                channel.in_ring = false;
                channel.ready.shrink_to(8);
            } else {
                self.ring.push_back(key);
            }
            if stream.is_some() {
                return stream;
            }
        }
        None
    }

    /// Takes a channel that is gone out of the ring.
    pub(super) fn forget(&mut self, channel: &Channel, key: ChannelKey) {
        if channel.in_ring {
            self.ring.retain(|waiting| *waiting != key);
        }
    }

    pub(super) fn has_streams(&self) -> bool {
        !self.ring.is_empty()
    }

    /// Entries of both queues, and how many they have memory for.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize) {
        (self.control.len() + self.ring.len(), self.control.capacity() + self.ring.capacity())
    }
}
