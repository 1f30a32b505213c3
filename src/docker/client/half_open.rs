//! A connection that is still read when the other end takes nothing more.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;

/// A connection on which an answer is not lost that came before the whole request was taken.
///
/// A plugin may answer and close while its body is being sent to it. The next write fails then,
/// and HTTP would end the connection with what is there to be read. Here such a write waits
/// until reading has come to its end, and only then fails.
pub(super) struct HalfOpen<T> {
    io: T,
    /// Why nothing more can be written.
    broken: Option<io::ErrorKind>,
    /// Nothing more can be read.
    ended: bool,
    writer: Option<Waker>,
}

impl<T> HalfOpen<T> {
    pub(super) fn new(io: T) -> Self {
        Self { io, broken: None, ended: false, writer: None }
    }

    /// What has become of a write, if it is not that nobody reads it any more.
    fn written<R>(&mut self, cx: &Context<'_>, result: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        match result {
            Poll::Ready(Err(error)) if !self.ended && is_closed(error.kind()) => {
                self.broken = Some(error.kind());
                self.wait(cx)
            }
            result => result,
        }
    }

    /// What becomes of a write after one that has failed.
    fn after(&mut self, cx: &Context<'_>) -> Option<Poll<io::Result<usize>>> {
        let kind = self.broken?;
        Some(if self.ended { Poll::Ready(Err(kind.into())) } else { self.wait(cx) })
    }

    fn wait<R>(&mut self, cx: &Context<'_>) -> Poll<R> {
        self.writer = Some(cx.waker().clone());
        Poll::Pending
    }
}

fn is_closed(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

impl<T: AsyncRead + Unpin> AsyncRead for HalfOpen<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let room = into.remaining();
        let read = Pin::new(&mut self.io).poll_read(cx, into);
        let nothing = room > 0 && into.filled().len() == before;
        if matches!(&read, Poll::Ready(result) if result.is_err() || nothing) {
            self.ended = true;
            if let Some(writer) = self.writer.take() {
                writer.wake();
            }
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for HalfOpen<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(after) = self.after(cx) {
            return after;
        }
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(after) = self.after(cx) {
            return after;
        }
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, pieces);
        self.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.written(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
