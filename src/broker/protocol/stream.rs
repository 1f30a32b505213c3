//! One call or byte stream: its two halves, its windows, what is queued on it.

use std::collections::VecDeque;

use bytes::Bytes;
use bytes::BytesMut;

use super::channel::ChannelKey;
use super::error::StreamError;
use super::error::Violation;
use super::frame::End;
use super::frame::FRAME_COST;
use super::frame::Head;
use super::frame::Kind;
use super::frame::StreamFrame;
use super::id::Id;
use super::store::Key;
use super::window::RecvWindow;
use super::window::SendWindow;

/// The key of a stream in its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StreamKey(pub(super) Key);

impl StreamKey {
    /// The slot: unique among the streams of a connection at one moment.
    pub(crate) fn slot(self) -> usize {
        self.0.index as usize
    }
}

/// Which end of a stream this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// This end opened it: it sends the request.
    Opener,
    /// The peer opened it: it sends the request.
    Acceptor,
}

/// How much may be queued on a stream before its application has to wait, in
/// bytes. Two frames: one under way and one to follow it at once.
const SEND_BUFFER: usize = 128 * 1024;

/// A stream. Each half goes through the same states:
///
/// ```text
///   calls:  Head ── head ──► Body ── end ──► Done
///   bytes:                   Body ── end ──► Done
/// ```
///
/// and the stream is over when both halves are done, when the callee's half is
/// (its end is the call's), or when either side resets it.
#[derive(Debug)]
pub(super) struct Stream {
    /// `None` until the frame that opens it has left.
    pub(super) id: Option<Id>,
    pub(super) channel: ChannelKey,
    pub(super) side: Side,
    pub(super) kind: Kind,
    pub(super) send: SendHalf,
    pub(super) recv: RecvHalf,
    /// Why it can go no further, unless it ended well.
    pub(super) failed: Option<StreamError>,
    /// Whether it still counts as open on the wire.
    pub(super) live: bool,
    /// Whether the application holds it.
    pub(super) held: bool,
    /// Whether an event about it waits to be taken.
    pub(super) notified: bool,
    /// Whether the trunk may count as drained while it is open.
    pub(super) background: bool,
    /// Whether it stands among its channel's ready streams.
    pub(super) ready: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Head,
    Body,
    Done,
}

#[derive(Debug)]
pub(super) struct SendHalf {
    /// What has been sent so far.
    pub(super) phase: Phase,
    /// Whether the application has given a head, and whether it has given the end.
    pub(super) given: Phase,
    head: Option<Head>,
    queue: Queue,
    end: Option<End>,
    pub(super) window: SendWindow,
    /// Whether the application waits for room, and whether for all to have left.
    pub(super) wants_room: bool,
    pub(super) wants_flush: bool,
}

#[derive(Debug)]
pub(super) struct RecvHalf {
    pub(super) phase: Phase,
    pub(super) head: Option<Head>,
    queue: Queue,
    end: Option<End>,
    pub(super) window: RecvWindow,
    /// Whether a credit frame waits to be sent.
    pub(super) credit_due: bool,
}

impl Stream {
    pub(super) fn new(
        channel: ChannelKey,
        (side, kind): (Side, Kind),
        send_window: u32,
        recv_window: u32,
    ) -> Self {
        let phase = match kind {
            Kind::Calls => Phase::Head,
            Kind::Bytes => Phase::Body,
        };
        Self {
            id: None,
            channel,
            side,
            kind,
            send: SendHalf {
                phase,
                given: phase,
                head: None,
                queue: Queue::default(),
                end: None,
                window: SendWindow::new(send_window),
                wants_room: false,
                wants_flush: false,
            },
            recv: RecvHalf {
                phase,
                head: None,
                queue: Queue::default(),
                end: None,
                window: RecvWindow::new(recv_window),
                credit_due: false,
            },
            failed: None,
            live: true,
            held: true,
            notified: false,
            background: false,
            ready: false,
        }
    }

    /// Whether everything has been said on the wire.
    pub(super) fn is_over(&self) -> bool {
        let callees_half = match (self.kind, self.side) {
            (Kind::Calls, Side::Opener) => self.recv.phase,
            (Kind::Calls, Side::Acceptor) => self.send.phase,
            (Kind::Bytes, _) => Phase::Body,
        };
        let both_done = self.send.phase == Phase::Done && self.recv.phase == Phase::Done;
        callees_half == Phase::Done || both_done
    }
}

impl SendHalf {
    /// Takes the head from the application.
    pub(super) fn give_head(&mut self, head: Head) {
        self.head = Some(head);
        self.given = Phase::Body;
    }

    pub(super) fn give_data(&mut self, data: Bytes) {
        self.queue.push(data, 0);
    }

    pub(super) fn give_end(&mut self, end: End) {
        self.end = Some(end);
        self.given = Phase::Done;
    }

    /// How much more may be queued, in bytes: what the credit covers, so that what
    /// waits for credit stays with the application, and not too much of that.
    pub(super) fn room(&self) -> usize {
        self.window.covers().min(SEND_BUFFER).saturating_sub(self.queue.len)
    }

    /// Bytes that wait to be sent.
    #[cfg(test)]
    pub(super) fn queued(&self) -> usize {
        self.queue.len
    }

    /// Whether everything that was given has left.
    pub(super) fn is_flushed(&self) -> bool {
        self.queue.len == 0 && (self.given != Phase::Done || self.phase == Phase::Done)
    }

    /// Whether what the application waits for is there now. Says so once.
    ///
    /// Room is worth a word when it is half of what there can be: a writer that is
    /// woken for every frame that leaves writes one frame at a time.
    pub(super) fn has_what_is_wanted(&mut self) -> bool {
        let room = self.room();
        let room = self.wants_room && room > 0 && room >= self.queue.len;
        let flushed = self.wants_flush && self.is_flushed();
        self.wants_room &= !room;
        self.wants_flush &= !flushed;
        room || flushed
    }

    /// Whether a frame could leave now.
    pub(super) fn is_ready(&self, longest: u32) -> bool {
        if self.head.is_some() {
            return true;
        }
        match self.queue.chunks.front() {
            Some(_) => self.window.part_of(self.queue.len, longest).is_some(),
            None => self.end.is_some(),
        }
    }

    /// The next frame: head, as much data as may go, and the end if that is all.
    pub(super) fn next_frame(&mut self, stream: Id, longest: u32) -> StreamFrame {
        let head = self.head.take();
        if head.is_some() {
            self.phase = Phase::Body;
        }
        let data = self.take_data(longest);
        let end = if self.queue.chunks.is_empty() { self.end.take() } else { None };
        if end.is_some() {
            self.phase = Phase::Done;
        }
        StreamFrame { stream, head, data, end }
    }

    fn take_data(&mut self, longest: u32) -> Bytes {
        // Parts are cut from the first chunk: joining large chunks would copy them.
        let Some(first) = self.queue.chunks.front_mut() else {
            return Bytes::new();
        };
        let Some(part) = self.window.part_of(first.data.len(), longest) else {
            return Bytes::new();
        };
        let data = if part < first.data.len() {
            self.queue.len -= part;
            first.data.split_to(part)
        } else {
            self.queue.pop().map(|chunk| chunk.data).unwrap_or_default()
        };
        self.window.take(data.len());
        data
    }

    /// Drops what has not been sent; nothing more will be. Returns how many bytes of
    /// data it was.
    pub(super) fn discard(&mut self) -> usize {
        self.head = None;
        self.end = None;
        std::mem::take(&mut self.queue).len
    }
}

impl RecvHalf {
    /// Takes in a frame of the peer. Heads are the connection's affair.
    pub(super) fn receive(&mut self, data: Bytes, end: Option<End>) -> Result<(), Violation> {
        match self.phase {
            Phase::Head => return Err(Violation::DataBeforeHead),
            Phase::Done => return Err(Violation::AfterEnd),
            Phase::Body => {}
        }
        self.queue.push(data, FRAME_COST);
        if end.is_some() {
            self.end = end;
            self.phase = Phase::Done;
        }
        Ok(())
    }

    /// The next chunk, and what it cost.
    pub(super) fn take_data(&mut self) -> Option<(Bytes, u64)> {
        self.queue.pop().map(|chunk| (chunk.data, chunk.cost))
    }

    /// All data and the end, if both are here and the data is one chunk at most.
    /// No credit is due for it, since nothing more comes.
    pub(super) fn take_whole(&mut self) -> Option<(Bytes, End)> {
        if self.phase != Phase::Done || self.queue.chunks.len() > 1 {
            return None;
        }
        let end = self.end.take()?;
        let data = self.queue.pop().map(|chunk| chunk.data).unwrap_or_default();
        Some((data, end))
    }

    pub(super) fn take_end(&mut self) -> Option<End> {
        self.end.take()
    }

    /// Drops what has not been read.
    pub(super) fn discard(&mut self) {
        self.head = None;
        self.queue = Queue::default();
        self.end = None;
    }

    /// Bytes that wait for the application.
    pub(super) fn buffered(&self) -> u64 {
        self.queue.chunks.iter().map(|chunk| chunk.cost).sum()
    }
}

/// Data that waits, in its order. Small chunks that wait together are joined, so
/// that many small frames take no more memory than what they were charged, and many
/// small messages leave as one frame.
#[derive(Debug, Default)]
struct Queue {
    chunks: VecDeque<Chunk>,
    /// Bytes of data.
    len: usize,
}

#[derive(Debug)]
struct Chunk {
    data: Bytes,
    /// What its frames took from the window.
    cost: u64,
}

/// Up to how many bytes chunks are joined: copying more costs more than a frame.
const JOINED: usize = 4 * 1024;

impl Queue {
    fn push(&mut self, data: Bytes, frame_cost: u64) {
        if data.is_empty() {
            return; // An empty frame was charged, and what it cost does not come back.
        }
        let cost = frame_cost + data.len() as u64;
        self.len += data.len();
        match self.chunks.back_mut() {
            Some(last) if last.data.len() + data.len() <= JOINED => {
                last.data = joined(std::mem::take(&mut last.data), &data);
                last.cost += cost;
            }
            _ => self.chunks.push_back(Chunk { data, cost }),
        }
    }

    fn pop(&mut self) -> Option<Chunk> {
        let chunk = self.chunks.pop_front()?;
        self.len -= chunk.data.len();
        Some(chunk)
    }
}

fn joined(first: Bytes, second: &[u8]) -> Bytes {
    let mut both = first.try_into_mut().unwrap_or_else(|shared| {
        let mut copy = BytesMut::with_capacity(shared.len() + second.len());
        copy.extend_from_slice(&shared);
        copy
    });
    both.extend_from_slice(second);
    both.freeze()
}
