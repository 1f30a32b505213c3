//! Every bound that a peer meets, with its default and the reason for it.

use std::ops::RangeInclusive;

/// What a peer may occupy at this side.
///
/// The fields are announced in the hello and enforced. [`Limits::worst_case`]
/// says how much memory a hostile peer can cause with them; the defaults come
/// to 360 MiB, of which an honest peer uses a small part.
///
/// In go-plugin's dialect they bound what they can: `streams` the calls of the peer on all
/// connections together, and its brokered connections; `metadata` the heads; `max_window`
/// what is unread of a call, which is 64 KiB at most, so that on one connection twice
/// `streams` times that may be. One call too many on a connection waits there, as HTTP/2
/// has it, and nesting is not bounded.
///
/// ```
/// # use trunkline::Limits;
/// let small = Limits { channels: 1024, streams: 64, shared_window: 1 << 20, ..Limits::default() };
/// assert!(small.worst_case() < 42 << 20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sub-channels that the peer may have open at once. Default 131,072: an
    /// idle one costs a table entry, so that holding one for each object of an
    /// application is reasonable.
    pub channels: u32,
    /// Calls and byte streams that the peer may have open at once, and that this side
    /// opens at once. Default
    /// 2,048. One more is refused with [`Code::Limit`](crate::Code::Limit), and
    /// never waits: waiting would let nested calls block each other.
    pub streams: u32,
    /// Bytes that every stream may always have under way, reserved for it, so
    /// that no stream depends on what others hold. Default 16 KiB: the usual
    /// unary call needs no credit. At least 1 KiB.
    pub initial_window: u32,
    /// What the window of a stream may grow to while its data is being
    /// consumed, in bytes. Default 1 MiB: what a Unix socket can carry during
    /// the time that credit takes to come back. At least `initial_window`.
    pub max_window: u32,
    /// What all windows together may grow by, in bytes. Default 16 MiB: as many
    /// transfers at full speed. What is kept of it may take up to four times as much
    /// memory, because large payloads are not copied out of the buffers that they
    /// arrived in.
    pub shared_window: u64,
    /// The longest data of one frame, in bytes. Default 64 KiB: one HTTP/2
    /// frame, and a fraction of the time that anybody would notice. At least 1 KiB.
    pub frame_data: u32,
    /// The largest metadata of a request head, a response head or trailers, in
    /// bytes as HTTP/2 counts them (32 more for each field). Default 16 KiB,
    /// as most gRPC stacks have it. At least 1 KiB.
    pub metadata: u32,
    /// How deep calls may nest. Default 64. One deeper is refused like one that is over
    /// `streams`, though it will not work later either.
    pub depth: u32,
}

/// Refusals, resets and answers to pings that may wait for a peer that does not
/// read. Far more than one that reads can cause between two turns; 3 MiB.
pub(crate) const MAX_CONTROL_BACKLOG: usize = 65_536;

/// What a sub-channel occupies at most, in bytes: its table entries.
const CHANNEL_SIZE: u64 = 320;

/// What a stream occupies beside its data and metadata, in bytes: its table entries.
const STREAM_SIZE: u64 = 512;

/// What of a response may be queued before its stream's credit counts, in bytes.
pub(crate) const FIRST_PART: usize = 16 * 1024;

/// What the connection holds beside the frame that is being put together, in bytes:
/// HTTP/2's own window, and its bookkeeping for small frames.
const CONNECTION_SIZE: u64 = 10 * 1024 * 1024;

/// What streams together may have queued to be sent, in bytes, before their writers
/// wait. All of it is covered by credit, so that only the transport holds it up.
pub(crate) const MAX_QUEUED: usize = 16 * 1024 * 1024;

/// The most credit that a stream may hold, in bytes. Credit above it is a mistake of
/// the peer (HTTP/2 draws the same line, RFC 9113 section 6.9.1).
pub(crate) const MAX_CREDIT: u32 = (1 << 31) - 1;

/// The largest data and the largest metadata of one frame, in bytes: a frame, with
/// both of its metadata, stays far below what gRPC can frame.
const LARGEST_PART: u32 = 256 * 1024 * 1024;

/// The smallest window, frame and metadata that the protocol works with.
const SMALLEST: u32 = 1024;

impl Default for Limits {
    fn default() -> Self {
        Self {
            channels: 131_072,
            streams: 2048,
            initial_window: 16 * 1024,
            max_window: 1024 * 1024,
            shared_window: 16 * 1024 * 1024,
            frame_data: 64 * 1024,
            metadata: 16 * 1024,
            depth: 64,
        }
    }
}

impl Limits {
    /// The most memory, in bytes, that a peer can occupy with what it sends or does
    /// not read, whatever it does: windows, heads and trailers of all streams, in
    /// calls that it makes and in as many that it is sent; the shared windows; what
    /// waits to be sent to it; the tables, and what the connection itself may hold.
    /// A message that a handler has written as one piece is the handler's.
    pub fn worst_case(&self) -> u64 {
        let stream = u64::from(self.initial_window) + 2 * u64::from(self.metadata);
        let unsent = u64::from(self.streams) * FIRST_PART as u64 + MAX_QUEUED as u64;
        2 * u64::from(self.streams) * (stream + STREAM_SIZE)
            + unsent
            + 4 * self.shared_window
            + u64::from(self.channels) * CHANNEL_SIZE
            + (MAX_CONTROL_BACKLOG as u64) * 64
            + 2 * u64::from(self.frame_data)
            + 4 * u64::from(self.metadata)
            + CONNECTION_SIZE
    }

    /// Checks the fields against each other.
    ///
    /// # Errors
    ///
    /// The first field that is out of its range, with that range.
    pub fn check(&self) -> Result<(), LimitsError> {
        let within = |field, value: u32, range: RangeInclusive<u32>| {
            if range.contains(&value) { Ok(()) } else { Err(LimitsError { field, value, range }) }
        };
        within("channels", self.channels, 1..=u32::MAX)?;
        within("streams", self.streams, 1..=u32::MAX)?;
        within("initial_window", self.initial_window, SMALLEST..=MAX_CREDIT)?;
        within("max_window", self.max_window, self.initial_window..=MAX_CREDIT)?;
        within("frame_data", self.frame_data, SMALLEST..=LARGEST_PART)?;
        within("metadata", self.metadata, SMALLEST..=LARGEST_PART)?;
        within("depth", self.depth, 1..=u32::MAX)
    }

    /// What the peer is told.
    pub(crate) fn announced(&self) -> PeerLimits {
        PeerLimits {
            channels: self.channels,
            streams: self.streams,
            initial_window: self.initial_window,
            frame_data: self.frame_data,
            metadata: self.metadata,
            depth: self.depth,
        }
    }
}

/// A limit that is out of range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the limit `{field}` is {value}; it must be from {} to {}", .range.start(), .range.end())]
pub struct LimitsError {
    field: &'static str,
    value: u32,
    range: RangeInclusive<u32>,
}

/// The part of [`Limits`] that the peer must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PeerLimits {
    pub(crate) channels: u32,
    pub(crate) streams: u32,
    pub(crate) initial_window: u32,
    pub(crate) frame_data: u32,
    pub(crate) metadata: u32,
    pub(crate) depth: u32,
}

impl PeerLimits {
    pub(crate) fn are_workable(&self) -> bool {
        let smallest = self.initial_window.min(self.frame_data).min(self.metadata);
        smallest >= SMALLEST && self.initial_window <= i32::MAX as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_usable_and_come_to_what_is_documented() {
        let limits = Limits::default();
        assert_eq!(limits.check(), Ok(()));
        assert_eq!(limits.worst_case() >> 20, 360);
    }
}
