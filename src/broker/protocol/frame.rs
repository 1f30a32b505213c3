//! Frames as the machine sees them: typed, checked for shape, without encoding.

use std::time::Duration;

use bytes::Bytes;

use super::error::Code;
use super::handshake::Hello;
use super::id::Id;

/// What every frame with data costs its receiver's window beside the data.
///
/// It pays for what a queued frame occupies, so that empty frames are not free.
pub(crate) const FRAME_COST: u64 = 32;

/// One frame of a trunk.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Frame {
    Hello(Hello),
    Open { channel: Id, target: Target, kind: Kind },
    Close { channel: Id, code: Code },
    Stream(StreamFrame),
    Credit { stream: Id, bytes: u32 },
    Reset { stream: Id, code: Code },
    Ping(u64),
    Pong(u64),
    GoAway { code: Code, message: String },
}

/// A part of a call or byte stream. Head, data and end may come in one frame,
/// so that a unary call is one frame each way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StreamFrame {
    pub(crate) stream: Id,
    pub(crate) head: Option<Head>,
    pub(crate) data: Bytes,
    pub(crate) end: Option<End>,
}

impl StreamFrame {
    /// What the frame takes from the window.
    pub(crate) fn cost(&self) -> u64 {
        if self.data.is_empty() && (self.head.is_some() || self.end.is_some()) {
            0 // One of each in a stream: bounded without the window's help.
        } else {
            FRAME_COST + self.data.len() as u64
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Head {
    Request(RequestHead),
    Response(ResponseHead),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RequestHead {
    pub(crate) channel: Id,
    pub(crate) path: String,
    pub(crate) metadata: Metadata,
    pub(crate) timeout: Option<Duration>,
    pub(crate) parent: Option<Id>,
    pub(crate) depth: u32,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ResponseHead {
    /// `None` is 200.
    pub(crate) status: Option<u16>,
    pub(crate) metadata: Metadata,
}

/// The sender has finished.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct End {
    pub(crate) trailers: Metadata,
    pub(crate) grpc_status: Option<u32>,
}

/// A header field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) value: Bytes,
}

/// Header fields in their order; names may repeat.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Metadata(pub(crate) Vec<Entry>);

impl Metadata {
    /// The size that limits speak of, counted as HTTP/2 counts (RFC 9113,
    /// section 6.5.2): name and value and 32 for each field.
    pub(crate) fn size(&self) -> usize {
        self.0.iter().map(|entry| entry.name.len() + entry.value.len() + 32).sum()
    }
}

/// What a sub-channel is opened to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    /// A service offered by name.
    Service(String),
    /// A service registered under an id.
    Registered(u64),
}

/// What a sub-channel carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Calls,
    Bytes,
}
