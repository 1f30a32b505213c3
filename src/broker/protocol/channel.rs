//! One sub-channel: who opened it, what runs on it, whose turn it is.

use std::collections::VecDeque;

use super::error::Code;
use super::frame::Kind;
use super::frame::Target;
use super::id::Id;
use super::store::Key;
use super::stream::StreamKey;

/// The key of a channel in its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ChannelKey(pub(super) Key);

/// A sub-channel.
///
/// ```text
///            open()                    peer's Open
///              │                            │
///              ▼                            ▼
///   ┌──── Announcing ───┐                 Open ─── close(), peer's Close ──► (gone)
///   │         │ sent    │ close()           ▲
///   │         └─────────┼───────────────────┘
///   ▼ peer's Close      ▼
/// (gone)             (gone, nothing was sent)
/// ```
///
/// An entry that was refused or closed by the peer stays, with the reason, until
/// the application lets go of it.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) id: Id,
    pub(super) ours: bool,
    pub(super) kind: Kind,
    /// What to open, until the frame that does it has left.
    pub(super) target: Option<Target>,
    /// Why nothing can be done on it any more.
    pub(super) closed: Option<(ClosedBy, Code)>,
    /// Its streams that are open.
    pub(super) streams: u32,
    /// Streams with something to send, in their turn.
    pub(super) ready: VecDeque<StreamKey>,
    /// Whether it stands in the scheduler's ring.
    pub(super) in_ring: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClosedBy {
    Us,
    Peer,
}

impl Channel {
    pub(super) fn ours(id: Id, target: Target, kind: Kind) -> Self {
        Self { target: Some(target), ours: true, ..Self::theirs(id, kind) }
    }

    pub(super) fn theirs(id: Id, kind: Kind) -> Self {
        Self {
            id,
            ours: false,
            kind,
            target: None,
            closed: None,
            streams: 0,
            ready: VecDeque::new(),
            in_ring: false,
        }
    }
}
