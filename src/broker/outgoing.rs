//! Sending the body of a request or response: as much at once as is there.

use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use bytes::Bytes;
use http_body::Body as HttpBody;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::StdError;

use super::metadata;
use super::protocol::End;
use super::protocol::FIRST_PART;
use super::protocol::Part;
use super::protocol::StreamKey;
use super::transport::Link;

/// How much of a body is taken at once later, in bytes, if there is room.
const PART: usize = 64 * 1024;

/// How many chunks of a body are taken at once, so that one body that always has
/// another small message does not keep its task from yielding.
const CHUNKS: usize = 64;

/// Why a body was not sent to its end.
pub(super) enum SendError {
    /// The stream is over, or failed; who reads it knows why.
    Stream,
    /// The body itself failed.
    Body(Status),
}

/// A body on its way out. What there is no room for stays here, not on the trunk.
pub(super) struct Outgoing {
    body: Body,
    /// What is left of a chunk that was too large.
    rest: Bytes,
    end: Option<End>,
}

impl Outgoing {
    /// A body of any type: tonic's own, which is the usual one, is taken as it is.
    pub(super) fn new<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<StdError>,
    {
        Self { body: Body::new(body), rest: Bytes::new(), end: None }
    }

    /// What the body has at its beginning without waiting.
    pub(super) fn first(&mut self, cx: &mut Context<'_>) -> Result<Part, Status> {
        self.take(cx, FIRST_PART)
    }

    /// Sends what is left, as the windows allow.
    ///
    /// Ends early when the stream does, so that nobody waits for a body that no one
    /// will read.
    pub(super) async fn send(&mut self, link: &Link, key: StreamKey) -> Result<(), SendError> {
        loop {
            let part = std::future::poll_fn(|cx| {
                if link.poll_failure(cx, key).is_ready() {
                    return Poll::Ready(Err(SendError::Stream));
                }
                let room = ready!(link.poll_room(cx, key)).map_err(|_| SendError::Stream)?;
                let part = self.take(cx, room.min(PART)).map_err(SendError::Body)?;
                let nothing = part.chunks.is_empty() && part.end.is_none();
                if nothing { Poll::Pending } else { Poll::Ready(Ok(part)) }
            });
            let part = part.await?;
            let ended = part.end.is_some();
            link.send(key, part).map_err(|_| SendError::Stream)?;
            if ended {
                return Ok(());
            }
        }
    }

    /// What there is without waiting, `most` bytes of it at most.
    fn take(&mut self, cx: &mut Context<'_>, most: usize) -> Result<Part, Status> {
        let mut part = Part::default();
        let mut left = most;
        loop {
            if !self.rest.is_empty() {
                let chunk = self.rest.split_to(left.min(self.rest.len()));
                left -= chunk.len();
                part.chunks.push(chunk);
            }
            if self.rest.is_empty() && (self.end.is_some() || self.body.is_end_stream()) {
                part.end = Some(self.end.take().unwrap_or_default());
                return Ok(part);
            }
            if left == 0 || part.chunks.len() >= CHUNKS || !self.poll_frame(cx)? {
                return Ok(part);
            }
        }
    }

    /// Takes the next frame of the body, if it is there.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Result<bool, Status> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Pending => return Ok(false),
            Poll::Ready(None) => self.end = Some(End::default()),
            Poll::Ready(Some(Err(error))) => return Err(error),
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => self.rest = data,
                Err(frame) => {
                    // A frame is data or trailers; unknown kinds are to be ignored.
                    if let Ok(trailers) = frame.into_trailers() {
                        self.end = Some(metadata::of_trailers(&trailers));
                    }
                }
            },
        }
        Ok(true)
    }
}
