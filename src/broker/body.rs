//! The body of a call, as it arrives over the trunk.

use std::fmt;
use std::future::Future;
use std::mem::take;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use bytes::Bytes;
use http_body::Frame;
use tokio::time::Sleep;
use tonic::Status;

use super::channel::Channel;
#[cfg(feature = "goplugin")]
use super::foreign::Reply;
use super::metadata;
use super::protocol::Code;
use super::protocol::End;
use super::protocol::Read;
use super::protocol::StreamError;
use super::protocol::StreamKey;
use super::protocol::Whole;
use super::registry::CallScope;
use super::transport::Link;
use crate::error::Error;

/// The body of a response, as a call on a [`SubChannel`](super::SubChannel)
/// gives it. tonic's clients read it; there is seldom a reason to see it.
///
/// It never ends short: either the end that the peer sent is reached, or there is
/// an error. Reading gives credit back to the peer. Dropping it before its end
/// cancels the call at the other end. The default is an empty body at its end.
#[derive(Default)]
pub struct Body {
    state: State,
}

#[derive(Default)]
enum State {
    #[default]
    Ended,
    /// It had arrived to its end before it was asked for.
    Whole(Whole),
    Live(Live),
    /// Of a call that is on no trunk.
    #[cfg(feature = "goplugin")]
    Foreign(Box<Reply>),
}

struct Live {
    hold: StreamHold,
    deadline: Option<Pin<Box<Sleep>>>,
    _channel: Arc<Channel>,
    /// What is registered for the span of the call ends with it.
    _scope: Option<CallScope>,
}

/// The application's hold on a stream. Dropping it lets go, and resets the
/// stream if it is not over.
#[derive(Debug)]
pub(super) struct StreamHold {
    pub(super) link: Link,
    pub(super) key: StreamKey,
    /// What the peer is told if the stream is dropped before its end. `None` if it
    /// has been let go of.
    pub(super) on_drop: Option<Code>,
}

impl Drop for StreamHold {
    fn drop(&mut self) {
        if let Some(code) = self.on_drop {
            self.link.release(self.key, code);
        }
    }
}

impl Body {
    pub(super) fn whole(whole: Whole) -> Self {
        Self { state: State::Whole(whole) }
    }

    pub(super) fn live(
        hold: StreamHold,
        deadline: Option<Pin<Box<Sleep>>>,
        channel: Arc<Channel>,
        scope: Option<CallScope>,
    ) -> Self {
        Self { state: State::Live(Live { hold, deadline, _channel: channel, _scope: scope }) }
    }
}

#[cfg(feature = "goplugin")]
impl Body {
    pub(super) fn foreign(reply: Reply) -> Self {
        Self { state: State::Foreign(Box::new(reply)) }
    }
}

impl Live {
    /// The next data or trailers; `None` at the end.
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame<Bytes>>, StreamError>> {
        let StreamHold { link, key, .. } = &self.hold;
        if let Poll::Ready(frame) = poll_frame(link, *key, cx) {
            return Poll::Ready(frame);
        }
        match &mut self.deadline {
            Some(deadline) => deadline.as_mut().poll(cx).map(|()| {
                link.reset(*key, Code::Deadline);
                Err(StreamError::Local(Code::Deadline))
            }),
            None => Poll::Pending,
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = match &mut self.state {
            State::Ended => return Poll::Ready(None),
            State::Whole(whole) => whole_frame(whole),
            State::Live(live) => ready!(live.poll_frame(cx)),
            #[cfg(feature = "goplugin")]
            State::Foreign(reply) => return reply.poll_frame(cx),
        };
        if !matches!(&frame, Ok(Some(frame)) if frame.is_data()) {
            // Lets go of the stream, however long the body is held.
            self.state = State::Ended;
        }
        Poll::Ready(frame.map_err(|error| Error::from(error).to_status()).transpose())
    }

    fn is_end_stream(&self) -> bool {
        match &self.state {
            #[cfg(feature = "goplugin")]
            State::Foreign(reply) => reply.is_end_stream(),
            state => matches!(state, State::Ended),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ended = matches!(self.state, State::Ended);
        f.debug_struct("Body").field("ended", &ended).finish_non_exhaustive()
    }
}

/// The body of a request, as a handler reads it. The call's task holds the
/// stream, so reading on after the call is over is an error, not a wait.
#[derive(Debug)]
pub(super) enum RequestBody {
    Ended,
    /// It had arrived to its end when the handler was called.
    Whole(Whole),
    Live {
        link: Link,
        key: StreamKey,
    },
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = match &mut *self {
            Self::Ended => return Poll::Ready(None),
            Self::Whole(whole) => whole_frame(whole),
            Self::Live { link, key } => ready!(poll_frame(link, *key, cx)),
        };
        if !matches!(&frame, Ok(Some(frame)) if frame.is_data()) {
            *self = Self::Ended;
        }
        Poll::Ready(frame.map_err(|error| Error::from(error).to_status()).transpose())
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Ended)
    }
}

/// The next data or trailers of a body that is here; `None` at its end.
fn whole_frame(whole: &mut Whole) -> Result<Option<Frame<Bytes>>, StreamError> {
    if !whole.data.is_empty() {
        return Ok(Some(Frame::data(take(&mut whole.data))));
    }
    trailers_frame(take(&mut whole.end))
}

fn trailers_frame(end: End) -> Result<Option<Frame<Bytes>>, StreamError> {
    match metadata::to_trailers(end) {
        Ok(trailers) => Ok(trailers.map(Frame::trailers)),
        Err(metadata::NotHttp) => Err(StreamError::Peer(Code::Protocol)),
    }
}

/// The next data or trailers of a stream; `None` at its end.
fn poll_frame(
    link: &Link,
    key: StreamKey,
    cx: &Context<'_>,
) -> Poll<Result<Option<Frame<Bytes>>, StreamError>> {
    Poll::Ready(match ready!(link.poll_read(cx, key))? {
        Read::Data(data) => Ok(Some(Frame::data(data))),
        Read::End(end) => trailers_frame(end.unwrap_or_default()),
        // `poll_read` is pending where the machine is.
        Read::Pending => Ok(None),
    })
}
