//! A peer by script: it sends whatever a test says, and collects the answers.

use std::time::Instant;

use bytes::Bytes;

use super::base;
use super::config;
use super::zeros;
use crate::broker::protocol::Code;
use crate::broker::protocol::Connection;
use crate::broker::protocol::End;
use crate::broker::protocol::EndReason;
use crate::broker::protocol::Event;
use crate::broker::protocol::Frame;
use crate::broker::protocol::Head;
use crate::broker::protocol::Id;
use crate::broker::protocol::Kind;
use crate::broker::protocol::Limits;
use crate::broker::protocol::Metadata;
use crate::broker::protocol::RequestHead;
use crate::broker::protocol::ResponseHead;
use crate::broker::protocol::Role;
use crate::broker::protocol::StreamFrame;
use crate::broker::protocol::Target;
use crate::broker::protocol::Violation;

/// A machine in the role of the host; the script is the plugin, whose numbers
/// are even.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) machine: Connection,
    pub(super) now: Instant,
}

impl Peer {
    /// Neither has said hello.
    pub(super) fn new(limits: Limits) -> Self {
        let now = base();
        Self { machine: Connection::new(config(Role::Host, limits), now), now }
    }

    pub(super) fn connected_with(limits: Limits) -> Self {
        let mut peer = Self::new(limits);
        peer.send(hello());
        assert!(matches!(peer.sent()[..], [Frame::Hello(_)]));
        assert!(matches!(peer.events()[..], [Event::Connected]));
        peer
    }

    pub(super) fn connected() -> Self {
        Self::connected_with(Limits::default())
    }

    pub(super) fn send(&mut self, frame: Frame) {
        self.machine.handle_frame(frame, self.now);
    }

    pub(super) fn send_all(&mut self, frames: impl IntoIterator<Item = Frame>) {
        frames.into_iter().for_each(|frame| self.send(frame));
    }

    /// What the machine has to say now.
    pub(super) fn sent(&mut self) -> Vec<Frame> {
        std::iter::from_fn(|| self.machine.poll_transmit()).collect()
    }

    pub(super) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.machine.poll_event()).collect()
    }

    pub(super) fn violation(&self) -> Option<Violation> {
        match self.machine.ended() {
            Some(EndReason::Violation(violation)) => Some(*violation),
            _ => None,
        }
    }
}

pub(super) fn id(number: u64) -> Id {
    Id::new(number).expect("not zero")
}

pub(super) fn hello() -> Frame {
    Frame::Hello(config(Role::Plugin, Limits::default()).hello)
}

pub(super) fn open(number: u64) -> Frame {
    open_kind(number, Kind::Calls)
}

pub(super) fn open_kind(number: u64, kind: Kind) -> Frame {
    Frame::Open { channel: id(number), target: Target::Registered(number), kind }
}

pub(super) fn close(number: u64) -> Frame {
    Frame::Close { channel: id(number), code: Code::Done }
}

pub(super) fn request_head(channel: u64) -> RequestHead {
    RequestHead {
        channel: id(channel),
        path: "/m".to_owned(),
        metadata: Metadata::default(),
        timeout: None,
        parent: None,
        depth: 0,
    }
}

pub(super) fn request(number: u64, channel: u64) -> Frame {
    with_head(number, Head::Request(request_head(channel)))
}

pub(super) fn response(number: u64) -> Frame {
    with_head(number, Head::Response(ResponseHead::default()))
}

pub(super) fn with_head(number: u64, head: Head) -> Frame {
    Frame::Stream(StreamFrame {
        stream: id(number),
        head: Some(head),
        data: Bytes::new(),
        end: None,
    })
}

pub(super) fn data(number: u64, count: usize) -> Frame {
    Frame::Stream(StreamFrame { stream: id(number), head: None, data: zeros(count), end: None })
}

pub(super) fn end(number: u64) -> Frame {
    Frame::Stream(StreamFrame {
        stream: id(number),
        head: None,
        data: Bytes::new(),
        end: Some(End::default()),
    })
}

pub(super) fn credit(number: u64, bytes: u32) -> Frame {
    Frame::Credit { stream: id(number), bytes }
}

pub(super) fn reset(number: u64) -> Frame {
    Frame::Reset { stream: id(number), code: Code::Cancelled }
}
