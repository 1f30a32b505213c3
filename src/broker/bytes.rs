//! Sub-channels of kind *bytes*: duplex streams of bytes, and who waits for them.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use bytes::Buf;
use bytes::Bytes;
use tokio::io::AsyncBufRead;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::sync::mpsc;

use super::body::StreamHold;
use super::protocol::Code;
use super::protocol::End;
use super::protocol::Part;
use super::protocol::Read;
use super::protocol::StreamError;
use super::registry::Registration;
use super::registry::ServiceId;
use super::trunk::Trunk;
use crate::error::Error;

/// A duplex stream of bytes between the two ends.
///
/// `shutdown` ends this side's half, and resolves when everything has left for
/// the peer, which then reads the end; reading goes on. The bytes arrive in order
/// and once, or reading fails: never silently short.
///
/// **Dropping** it without `shutdown` resets the stream: the peer's next read
/// fails, so that it does not take half a file for a whole one. It keeps its trunk
/// alive.
///
/// # Errors
///
/// `io::Error`s whose inner error is an [`Error`].
///
/// # Cancel safety
///
/// As of `AsyncRead` and `AsyncWrite` in general: a dropped `read` or `write` has
/// taken nothing.
pub struct ByteStream {
    hold: StreamHold,
    unread: Bytes,
    read_ended: bool,
    finished: bool,
    _trunk: Arc<Trunk>,
}

/// How much one `write` takes, in bytes, so that a large one becomes several
/// frames that others can come between.
const MAX_WRITE: usize = 64 * 1024;

impl ByteStream {
    pub(super) fn new(trunk: Arc<Trunk>, hold: StreamHold) -> Self {
        Self { hold, unread: Bytes::new(), read_ended: false, finished: false, _trunk: trunk }
    }
}

impl AsyncBufRead for ByteStream {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        if this.unread.is_empty() && !this.read_ended {
            match ready!(this.hold.link.poll_read(cx, this.hold.key)).map_err(to_io)? {
                Read::Data(data) => this.unread = data,
                Read::End(_) | Read::Pending => this.read_ended = true,
            }
        }
        Poll::Ready(Ok(&this.unread))
    }

    fn consume(mut self: Pin<&mut Self>, count: usize) {
        let count = count.min(self.unread.len());
        self.unread.advance(count);
    }
}

impl AsyncRead for ByteStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let data = ready!(self.as_mut().poll_fill_buf(cx))?;
        let count = data.len().min(buffer.remaining());
        buffer.put_slice(&data[..count]);
        self.consume(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ByteStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let StreamHold { link, key, .. } = &self.hold;
        let room = ready!(link.poll_room(cx, *key)).map_err(to_io)?;
        let count = data.len().min(room).min(MAX_WRITE);
        let chunk = Bytes::copy_from_slice(&data[..count]);
        link.send(*key, Part { chunks: vec![chunk], end: None }).map_err(to_io)?;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.hold.link.poll_flushed(cx, self.hold.key).map_err(to_io)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.finished {
            let StreamHold { link, key, .. } = &self.hold;
            link.send(*key, Part { chunks: Vec::new(), end: Some(End::default()) })
                .map_err(to_io)?;
            self.finished = true;
        }
        self.hold.link.poll_flushed(cx, self.hold.key).map_err(to_io)
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteStream").finish_non_exhaustive()
    }
}

fn to_io(error: StreamError) -> io::Error {
    Error::from(error).into()
}

/// Byte streams that the peer has opened and nobody has taken yet. One more is
/// refused as over the limit.
const BACKLOG: usize = 128;

/// Where the byte streams come out that the peer opens by one name or id.
///
/// Dropping it refuses further ones as closed and resets those that nobody took;
/// those that were taken go on. Streams that wait in it keep the trunk alive.
#[derive(Debug)]
pub struct ByteListener {
    streams: mpsc::Receiver<ByteStream>,
    registration: Option<Registration>,
}

impl ByteListener {
    /// The id to hand to the peer; `None` for streams offered by name.
    pub fn id(&self) -> Option<ServiceId> {
        self.registration.as_ref().map(Registration::id)
    }

    /// The next byte stream that the peer opened. `None` when no more can come:
    /// the trunk has ended.
    ///
    /// # Cancel safety
    ///
    /// Safe: a dropped `accept` has taken no stream.
    pub async fn accept(&mut self) -> Option<ByteStream> {
        self.streams.recv().await
    }
}

/// The other end of a listener.
#[derive(Clone)]
pub(super) struct ByteBacklog(mpsc::Sender<ByteStream>);

impl ByteBacklog {
    /// A place for a byte stream, before there is one: a stream that there is no
    /// place for must be refused, not dropped.
    pub(super) fn place(&self) -> Result<mpsc::Permit<'_, ByteStream>, Code> {
        self.0.try_reserve().map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => Code::Limit,
            mpsc::error::TrySendError::Closed(()) => Code::Closed,
        })
    }
}

pub(super) fn backlog(registration: Option<Registration>) -> (ByteBacklog, ByteListener) {
    let (sender, streams) = mpsc::channel(BACKLOG);
    (ByteBacklog(sender), ByteListener { streams, registration })
}

impl ByteListener {
    pub(super) fn set_registration(&mut self, registration: Registration) {
        self.registration = Some(registration);
    }
}
