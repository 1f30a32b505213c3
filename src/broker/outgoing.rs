//! Sending the body of a request or response: as much at once as is there.

use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use bytes::Bytes;
use http_body::Body as HttpBody;
use tonic::codegen::StdError;

use super::metadata;
use super::protocol::End;
use super::protocol::FIRST_PART;
use super::protocol::StreamKey;
use super::transport::Link;

/// How much of a body is taken at once later, in bytes, if there is room.
const PART: usize = 64 * 1024;

/// How many chunks of a body are taken at once, so that one body that always has
/// another small message does not keep its task from yielding.
const CHUNKS: usize = 64;

/// A part of a body. A unary message and its end are one part.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) chunks: Vec<Bytes>,
    pub(super) end: Option<End>,
}

/// Why a body was not sent to its end.
pub(super) enum SendError {
    /// The stream is over, or failed; who reads it knows why.
    Stream,
    /// The body itself failed.
    Body(StdError),
}

impl Part {
    /// Takes what the body has at its beginning without waiting.
    pub(super) fn first<B>(body: Pin<&mut B>, cx: &mut Context<'_>) -> Result<Self, StdError>
    where
        B: HttpBody<Data = Bytes>,
        B::Error: Into<StdError>,
    {
        Self::take(body, cx, FIRST_PART)
    }

    /// Takes what the body has without waiting, up to the chunk that makes it `most`
    /// bytes or more.
    fn take<B>(mut body: Pin<&mut B>, cx: &mut Context<'_>, most: usize) -> Result<Self, StdError>
    where
        B: HttpBody<Data = Bytes>,
        B::Error: Into<StdError>,
    {
        let mut part = Self::default();
        let mut len = 0;
        while len < most && part.chunks.len() < CHUNKS {
            match body.as_mut().poll_frame(cx) {
                Poll::Pending => return Ok(part),
                Poll::Ready(None) => {
                    part.end = Some(End::default());
                    return Ok(part);
                }
                Poll::Ready(Some(Err(error))) => return Err(error.into()),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        len += data.len();
                        part.chunks.push(data);
                    }
                    Err(frame) => {
                        // A frame is data or trailers; unknown kinds are to be ignored.
                        let Ok(trailers) = frame.into_trailers() else {
                            continue;
                        };
                        part.end = Some(metadata::of_trailers(trailers));
                        return Ok(part);
                    }
                },
            }
        }
        // The end often stands right behind the last chunk.
        if body.is_end_stream() {
            part.end = Some(End::default());
        }
        Ok(part)
    }

    fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.end.is_none()
    }
}

/// Sends what is left of a body, as the windows allow.
///
/// Ends early when the stream does, so that nobody waits for a body that no one
/// will read.
pub(super) async fn send_body<B>(
    link: &Link,
    key: StreamKey,
    mut body: Pin<&mut B>,
) -> Result<(), SendError>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<StdError>,
{
    loop {
        let part = std::future::poll_fn(|cx| {
            if link.poll_failure(cx, key).is_ready() {
                return Poll::Ready(Err(SendError::Stream));
            }
            let room = ready!(link.poll_room(cx, key)).map_err(|_| SendError::Stream)?;
            let part = Part::take(body.as_mut(), cx, room.min(PART)).map_err(SendError::Body)?;
            if part.is_empty() { Poll::Pending } else { Poll::Ready(Ok(part)) }
        });
        let part = part.await?;
        let ended = part.end.is_some();
        link.send(key, part.chunks, part.end).map_err(|_| SendError::Stream)?;
        if ended {
            return Ok(());
        }
    }
}
