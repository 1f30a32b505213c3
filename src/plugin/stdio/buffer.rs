//! What a plugin has written and its host has not taken yet, within limits.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;

use bytes::Bytes;
use futures::Stream;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::goplugin::stdio::Channel;

/// The most that is kept of each stream while nobody takes it, in bytes: what a
/// program may print before its host asks, and some stack traces more.
pub(crate) const BUFFER: usize = 1024 * 1024;

/// The most in one chunk, in bytes: few enough to let calls through between two,
/// many enough to cost little each. go-plugin's own have 1,024 at most.
const CHUNK: usize = 16 * 1024;

/// So much was lost of what was written, in all: the host did not take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) channel: Channel,
    /// At least 1.
    pub(crate) bytes: u64,
}

/// The buffers of both streams, and who waits for them.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    inner: Mutex<Inner>,
    /// Told whenever something was taken or lost.
    emptied: Notify,
}

#[derive(Debug)]
struct Inner {
    streams: [Buffer; 2],
    /// The stream whose turn it is.
    turn: usize,
    /// The reader is there.
    wanted: bool,
    /// Nothing comes any more.
    ended: bool,
    reader: Option<Waker>,
}

impl Default for Inner {
    fn default() -> Self {
        let streams = [Buffer::new(Channel::Stdout), Buffer::new(Channel::Stderr)];
        Self { streams, turn: 0, wanted: true, ended: false, reader: None }
    }
}

/// One stream: the bytes that are kept, and how many ever came and went.
#[derive(Debug)]
struct Buffer {
    channel: Channel,
    bytes: VecDeque<u8>,
    /// Bytes ever written.
    written: u64,
    lost: u64,
    /// How many losses were reported.
    reported: u64,
}

impl Buffer {
    fn new(channel: Channel) -> Self {
        Self { channel, bytes: VecDeque::new(), written: 0, lost: 0, reported: 0 }
    }

    /// Bytes that are not in the buffer any more.
    fn gone(&self) -> u64 {
        self.written - self.bytes.len() as u64
    }

    fn push(&mut self, bytes: &[u8], most: usize) {
        self.written += bytes.len() as u64;
        self.bytes.extend(bytes);
        let excess = self.bytes.len().saturating_sub(most);
        self.bytes.drain(..excess);
        self.lost += excess as u64;
    }

    fn take(&mut self) -> Option<(Channel, Bytes)> {
        let length = self.bytes.len().min(CHUNK);
        let chunk = self.bytes.drain(..length).collect::<Bytes>();
        if self.bytes.is_empty() {
            // A burst that is over takes up no memory.
            self.bytes.shrink_to(CHUNK);
        }
        (!chunk.is_empty()).then_some((self.channel, chunk))
    }

    /// What there is to say of losses. At the end, all of them.
    fn report(&mut self, ended: bool) -> Option<Lost> {
        let news = self.lost > self.reported;
        let enough = ended || self.lost >= self.reported.saturating_mul(2);
        (news && enough).then(|| {
            self.reported = self.lost;
            Lost { channel: self.channel, bytes: self.lost }
        })
    }
}

impl Buffers {
    /// Takes what was written to the stream of this index, and reports losses.
    /// The oldest bytes are lost first.
    pub(super) fn push(&self, index: usize, bytes: &[u8]) -> Option<Lost> {
        let mut inner = self.inner.lock();
        let most = if inner.wanted { BUFFER } else { 0 };
        let stream = inner.streams.get_mut(index)?;
        stream.push(bytes, most);
        let lost = stream.report(false);
        let reader = inner.reader.take();
        drop(inner);
        if let Some(reader) = reader {
            reader.wake();
        }
        self.emptied.notify_waiters();
        lost
    }

    /// Nothing comes any more; the losses that were not reported yet.
    pub(super) fn end(&self) -> [Option<Lost>; 2] {
        let mut inner = self.inner.lock();
        inner.ended = true;
        let lost = inner.streams.each_mut().map(|stream| stream.report(true));
        let reader = inner.reader.take();
        drop(inner);
        if let Some(reader) = reader {
            reader.wake();
        }
        lost
    }

    /// Waits until all that is in the buffers now is not any more.
    pub(super) async fn emptied(&self) {
        let written = self.inner.lock().streams.each_ref().map(|stream| stream.written);
        loop {
            // Made before the look: it hears of all that happens from here on.
            let emptied = self.emptied.notified();
            let gone = self.inner.lock().streams.each_ref().map(Buffer::gone);
            if gone.iter().zip(&written).all(|(gone, written)| gone >= written) {
                return;
            }
            emptied.await;
        }
    }
}

/// What the program writes, in chunks, in the order of each stream: a stream of
/// `(Channel, Bytes)`. It ends after the end of the redirection.
///
/// Taking from it is cancel safe. Dropping it loses what is in the buffers and
/// what is still to come, which is counted and reported.
#[derive(Debug)]
pub(crate) struct Output {
    buffers: Arc<Buffers>,
}

impl Output {
    pub(super) fn new(buffers: Arc<Buffers>) -> Self {
        Self { buffers }
    }
}

impl Stream for Output {
    type Item = (Channel, Bytes);

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut inner = self.buffers.inner.lock();
        // By turns, so that a stream that never ends does not hold up the other.
        let turn = inner.turn;
        let [stdout, stderr] = &mut inner.streams;
        let order = if turn == 0 { [stdout, stderr] } else { [stderr, stdout] };
        let chunk = order.into_iter().find_map(Buffer::take);
        if let Some((channel, _)) = &chunk {
            inner.turn = usize::from(*channel == Channel::Stdout);
            drop(inner);
            self.buffers.emptied.notify_waiters();
            return Poll::Ready(chunk);
        }
        if inner.ended {
            return Poll::Ready(None);
        }
        inner.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let mut inner = self.buffers.inner.lock();
        inner.wanted = false;
        for stream in &mut inner.streams {
            // Reported with the next bytes, or at the end.
            stream.push(&[], 0);
            stream.bytes.shrink_to_fit();
        }
        drop(inner);
        self.buffers.emptied.notify_waiters();
    }
}
