//! One yamux session: many byte streams on one connection, as go-plugin multiplexes.
//!
//! What the carrier, the crate `yamux`, does of itself and what go-plugin needs beside it:
//!
//! * It shows a new stream to the peer only with the first frame on it, and acknowledges
//!   one in the same way. Go does both at once: whoever takes a stream from its `Accept`
//!   has acknowledged it, and a stream that is not acknowledged in 75 seconds ends Go's
//!   session. So the driver writes an empty data frame on every stream, in the order of
//!   opening; that is the whole announcement (`SYN`) or acknowledgement (`ACK`).
//! * At its limit of streams it ends the session. So the limit here is below the
//!   carrier's: one more from the peer is reset, one more of ours waits.
//! * It sends a second `FIN` if a stream is shut down twice; Go ends the session for that.
//! * It reads a reset as an orderly end; here it is an error.
//! * It answers keep-alive pings. It also sends one every ten seconds to measure the round
//!   trip, only while there is traffic, and never ends a session for a missing answer: a
//!   stopped plugin is not a dead one.
//! * After its own orderly close it leaves readers asleep. So a session is ended by
//!   dropping the connection, without a `GoAway`, as Go does it.
//!
//! A violation of flow control or of stream numbers is answered with a `GoAway`, and it is
//! the peer that ends the session then; what is not yamux at all ends it here.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use futures::io::AsyncWrite as _;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::BufStream;
use tokio::io::ReadBuf;
use tokio::sync::Notify;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::sync::watch;
use tokio_util::compat::Compat;
use tokio_util::compat::FuturesAsyncReadCompatExt;
use tokio_util::compat::TokioAsyncReadCompatExt;
use yamux::Config;
use yamux::Connection;
use yamux::ConnectionError;
use yamux::FrameDecodeError;
use yamux::HeaderDecodeError;
use yamux::Mode;

/// The most streams of a session, of both directions together. Go has no limit; each
/// stream is a brokered connection with an HTTP/2 connection at both ends, so a plugin
/// that has this many does not close them. A stream costs less than a KiB until data comes.
pub(crate) const MAX_STREAMS: usize = 8192;

/// The carrier's own limit, at which it ends the session. Above [`MAX_STREAMS`], because it
/// counts a dropped stream until it has written the reset, and the peer can keep it from
/// writing: then all that live are dropped at most once, and as many come from the peer.
const CARRIER_STREAMS: usize = 2 * MAX_STREAMS + ACK_BACKLOG;

/// How many of our streams the peer may leave unacknowledged before further ones wait: the
/// carrier's constant, and Go's accept backlog, beyond which Go resets streams.
pub(crate) const ACK_BACKLOG: usize = 256;

/// By how many bytes all receive windows together may grow beyond their first 256 KiB. The
/// carrier wants a total of at least 256 KiB for each stream that its limit allows, so the
/// total says little; the growth is what can be limited. The ends are on one machine, where
/// 256 KiB for a round trip is more than the socket carries.
const WINDOW_GROWTH: usize = 64 * 1024 * 1024;

/// How many opens wait for the driver before the next caller does. The driver takes them
/// one by one; more would only be longer a queue.
const WAITING_OPENS: usize = 64;

/// Room for a frame of the carrier, whose bodies are at most 16 KiB, with its header: one
/// system call for a frame, not two.
const BUFFER: usize = 32 * 1024;

/// Which end of the session this is: it decides whose streams have odd numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Odd numbers: go-plugin's host.
    Client,
    /// Even numbers: go-plugin's plugin.
    Server,
}

/// Why a session has ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionEnd {
    /// This side closed it, or dropped its last handle.
    #[error("the session was closed by this side")]
    Closed,
    /// The peer closed the connection between two frames, or said that it goes away.
    #[error("the peer closed the session")]
    ClosedByPeer,
    /// The connection broke, or ended in the middle of a frame.
    #[error("the connection of the session broke")]
    Io(#[source] io::Error),
    /// What came is not yamux of version 0. The peer's fault, or whoever connected is none.
    #[error("the peer does not speak yamux: {0}")]
    NotYamux(#[source] HeaderDecodeError),
    /// The peer broke yamux's rules in another way.
    #[error("the peer broke the rules of yamux")]
    Violation(#[source] ConnectionError),
}

impl From<ConnectionError> for SessionEnd {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::Io(error) => Self::Io(error),
            ConnectionError::Decode(FrameDecodeError::Io(error)) => Self::Io(error),
            ConnectionError::Decode(FrameDecodeError::Header(error)) => Self::NotYamux(error),
            ConnectionError::Closed => Self::ClosedByPeer,
            other => Self::Violation(other),
        }
    }
}

/// When an open is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    Announced,
    Taken,
}

#[derive(Debug)]
struct Opening {
    until: Until,
    reply: oneshot::Sender<Stream>,
}

#[derive(Debug, Default)]
struct Shared {
    close: Notify,
    live: AtomicUsize,
}

/// A handle of a session. Clones are handles of the same one.
///
/// The session lives in a task of its own and ends when the last handle is dropped, by
/// [`close`](Self::close), or with its connection. Its streams end with it: what has
/// arrived can still be read, then comes an error.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    opens: mpsc::Sender<Opening>,
    shared: Arc<Shared>,
    end: watch::Receiver<Option<Arc<SessionEnd>>>,
}

impl Session {
    /// Starts a session on a connection, in a new task of the current runtime.
    ///
    /// `inbound` gets each stream of the peer, acknowledged, at once and in the order in
    /// which the peer opened them; to drop it is to reset it. It runs in the task that
    /// moves all bytes of the session, so it must not block.
    pub(crate) fn start<T>(io: T, role: Role, inbound: impl FnMut(Stream) + Send + 'static) -> Self
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut config = Config::default();
        // In this order: each setter panics on a total below 256 KiB for each stream.
        let windows = CARRIER_STREAMS.saturating_mul(yamux::DEFAULT_CREDIT as usize);
        config.set_max_connection_receive_window(Some(windows.saturating_add(WINDOW_GROWTH)));
        config.set_max_num_streams(CARRIER_STREAMS);
        let mode = match role {
            Role::Client => Mode::Client,
            Role::Server => Mode::Server,
        };
        let io = BufStream::with_capacity(BUFFER, BUFFER, io).compat();

        let (opens, requests) = mpsc::channel(WAITING_OPENS);
        let (ended, end) = watch::channel(None);
        let shared = Arc::new(Shared::default());
        let driver = Driver {
            connection: Connection::new(io, config, mode),
            requests,
            next: None,
            untaken: Vec::new(),
            shared: Arc::clone(&shared),
            inbound,
        };
        tokio::spawn(driver.run(ended));
        Self { opens, shared, end }
    }

    /// Opens a stream that the peer sees at once, before anything is written on it; streams
    /// are announced in the order of these calls. Does not wait for the peer, but for room:
    /// while there are [`MAX_STREAMS`], or while the peer has not acknowledged
    /// [`ACK_BACKLOG`] of them.
    ///
    /// Fails only if the session has ended. Dropped while it waits, it opens nothing, or a
    /// stream that is reset.
    pub(crate) async fn open(&self) -> io::Result<Stream> {
        self.request(Until::Announced).await
    }

    /// As [`open`](Self::open), but waits until the peer has taken the stream, without a
    /// limit. In Go this is when an `Accept` returned it. Nothing was written on it.
    ///
    /// Dropped while it waits for that, the stream stays open until the peer has taken it
    /// and is reset then: Go's `Accept` would not acknowledge one that was reset before.
    pub(crate) async fn open_taken(&self) -> io::Result<Stream> {
        self.request(Until::Taken).await
    }

    async fn request(&self, until: Until) -> io::Result<Stream> {
        let (reply, stream) = oneshot::channel();
        let ended = || io::Error::new(io::ErrorKind::NotConnected, "the session has ended");
        self.opens.send(Opening { until, reply }).await.map_err(|_| ended())?;
        stream.await.map_err(|_| ended())
    }

    /// Waits for the end of the session and says why it ended. Its connection is dropped
    /// by then. Cancel safe.
    pub(crate) async fn closed(&self) -> Arc<SessionEnd> {
        let mut end = self.end.clone();
        match end.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(end)) => Arc::clone(end),
            // The driver's task is gone without a word: its runtime was shut down.
            Ok(None) | Err(_) => Arc::new(SessionEnd::Closed),
        }
    }

    /// Ends the session and its connection. What was written on its streams is still sent
    /// as far as the connection takes it at once; nothing is waited for.
    pub(crate) fn close(&self) {
        self.shared.close.notify_one();
    }
}

/// The task that moves a session's frames.
struct Driver<T, F> {
    connection: Connection<Compat<BufStream<T>>>,
    requests: mpsc::Receiver<Opening>,
    next: Option<Opening>,
    /// At most [`ACK_BACKLOG`], and some whose callers have gone.
    untaken: Vec<(Stream, oneshot::Sender<Stream>)>,
    shared: Arc<Shared>,
    inbound: F,
}

impl<T, F> Driver<T, F>
where
    T: AsyncRead + AsyncWrite + Send + Unpin,
    F: FnMut(Stream) + Send,
{
    async fn run(mut self, ended: watch::Sender<Option<Arc<SessionEnd>>>) {
        let shared = Arc::clone(&self.shared);
        let end = tokio::select! {
            end = poll_fn(|context| self.poll(context)) => end,
            () = shared.close.notified() => {
                // Once more, for what was written on streams just before.
                poll_fn(|context| {
                    let _ = self.poll(context);
                    Poll::Ready(())
                }).await;
                SessionEnd::Closed
            }
        };
        tracing::debug!(%end, "a yamux session has ended");
        // Ends all streams, and refuses opens that wait.
        drop(self);
        ended.send_replace(Some(Arc::new(end)));
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<SessionEnd> {
        loop {
            match self.connection.poll_next_inbound(context) {
                Poll::Ready(Some(Ok(stream))) => {
                    self.accept(stream, context);
                    continue;
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(error.into()),
                Poll::Ready(None) => return Poll::Ready(SessionEnd::ClosedByPeer),
                Poll::Pending => {}
            }
            self.hand_out_taken();
            if let Some(next) = &mut self.next
                && next.reply.poll_closed(context).is_ready()
            {
                self.next = None;
            }
            if self.next.is_none() {
                match self.requests.poll_recv(context) {
                    Poll::Ready(Some(request)) => self.next = Some(request),
                    Poll::Ready(None) => return Poll::Ready(SessionEnd::Closed),
                    Poll::Pending => return Poll::Pending,
                }
            }
            // At the limit, a stream that is dropped wakes this task.
            if self.shared.live.load(Ordering::Relaxed) >= MAX_STREAMS {
                return Poll::Pending;
            }
            match ready!(self.connection.poll_new_outbound(context)) {
                Ok(stream) => self.open(stream, context),
                Err(error) => return Poll::Ready(error.into()),
            }
        }
    }

    fn accept(&mut self, stream: yamux::Stream, context: &mut Context<'_>) {
        let id = stream.id();
        if self.shared.live.load(Ordering::Relaxed) >= MAX_STREAMS {
            tracing::warn!(%id, limit = MAX_STREAMS, "too many streams: the peer's was reset");
            return;
        }
        (self.inbound)(Stream::new(stream, &self.shared, context));
    }

    fn open(&mut self, stream: yamux::Stream, context: &mut Context<'_>) {
        let stream = Stream::new(stream, &self.shared, context);
        match self.next.take() {
            // Dropped, and thereby reset, if nobody waits any more.
            Some(Opening { until: Until::Announced, reply }) => drop(reply.send(stream)),
            Some(Opening { until: Until::Taken, reply }) => self.untaken.push((stream, reply)),
            None => {}
        }
    }

    fn hand_out_taken(&mut self) {
        for (stream, reply) in self.untaken.extract_if(.., |(stream, _)| stream.is_taken()) {
            drop(reply.send(stream));
        }
    }
}

/// A stream of a session, for one reader and one writer.
///
/// Shut it down to end its writing half in order (`FIN`); the reading half lasts until the
/// peer ends it. Dropped before both have ended, it is reset: a peer in Go then does not
/// see what it has not read yet. A reset or the end of the session is
/// [`io::ErrorKind::ConnectionReset`] for a reader, [`io::ErrorKind::BrokenPipe`] for a
/// writer.
pub(crate) struct Stream {
    inner: Compat<yamux::Stream>,
    shut_down: bool,
    shared: Arc<Shared>,
}

impl Stream {
    /// Announces an own stream, or acknowledges one of the peer.
    fn new(mut stream: yamux::Stream, shared: &Arc<Shared>, context: &mut Context<'_>) -> Self {
        // An empty write queues a frame without a body. The stream's queue is new and has
        // room, so this is never pending; it fails only if the session ends.
        let _ = Pin::new(&mut stream).poll_write(context, &[]);
        shared.live.fetch_add(1, Ordering::Relaxed);
        Self { inner: stream.compat(), shut_down: false, shared: Arc::clone(shared) }
    }

    /// The stream's number on the wire.
    pub(crate) fn id(&self) -> u32 {
        self.inner.get_ref().id().val()
    }

    /// Acknowledged, or over.
    fn is_taken(&self) -> bool {
        !self.inner.get_ref().is_pending_ack()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.live.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let room = buffer.remaining();
        let outcome = ready!(Pin::new(&mut self.inner).poll_read(context, buffer));
        let at_end = outcome.is_ok() && room > 0 && buffer.filled().len() == before;
        // The peer's `FIN` alone leaves a stream half open as long as ours is not sent.
        if at_end && !self.shut_down && self.inner.get_ref().is_closed() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Poll::Ready(outcome)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes).map_err(broken)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context).map_err(broken)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shut_down {
            ready!(Pin::new(&mut self.inner).poll_shutdown(context)).map_err(broken)?;
            self.shut_down = true;
        }
        Poll::Ready(Ok(()))
    }
}

fn broken(error: io::Error) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, error)
}

#[cfg(test)]
mod tests;
