//! The body of a request or an answer, as it travels.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use futures::TryStreamExt;
use http_body::Body as HttpBody;
use http_body::Frame;
use http_body::SizeHint;
use http_body_util::BodyExt;
use http_body_util::Empty;
use http_body_util::Full;
use http_body_util::StreamBody;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;
use tokio_util::io::StreamReader;

/// How much of a reader is read at once, in bytes: 64 KiB. More makes no difference to a
/// file, and the connection holds about as much before it wants no more.
pub(super) const PIECE: usize = 64 * 1024;

/// What a body of the application's own can fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request or an answer: bytes that are there, or that come in time.
///
/// Dropping it before its end closes the connection that it came on.
pub struct Body(UnsyncBoxBody<Bytes, BoxError>);

impl Body {
    /// Nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self::new(Empty::new())
    }

    /// Any body. It is polled only when the connection has room for more.
    pub fn new<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self(body.map_err(Into::into).boxed_unsync())
    }

    /// What a reader has, to its end. It is read 64 KiB at a time, only when the connection
    /// has room for more, and never held whole.
    pub fn from_reader(reader: impl AsyncRead + Send + 'static) -> Self {
        let pieces = ReaderStream::with_capacity(reader, PIECE);
        Self::new(StreamBody::new(pieces.map_ok(Frame::data)))
    }

    /// As a reader of the bytes as they arrive. What is not read is not sent.
    pub fn into_reader(self) -> impl AsyncRead + Send + Unpin {
        StreamReader::new(self.into_data_stream().map_err(io::Error::other))
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::new(Full::new(bytes))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("size", &self.size_hint()).finish_non_exhaustive()
    }
}

/// A body that was read to its end, or why it was not.
#[derive(Debug)]
pub(super) enum Whole {
    Read(Bytes),
    /// There is more than was asked for. Nothing of it is kept.
    TooLong,
    Broken(BoxError),
}

/// Reads a body of at most `limit` bytes. One that says at once that it is longer is not
/// read at all.
pub(super) async fn read_whole(body: &mut Body, limit: usize) -> Whole {
    let announced = body.size_hint().lower();
    if usize::try_from(announced).map_or(true, |announced| announced > limit) {
        return Whole::TooLong;
    }
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let data = match frame.map(Frame::into_data) {
            Ok(Ok(data)) => data,
            // Trailers, which the protocol does not have.
            Ok(Err(_)) => continue,
            Err(error) => return Whole::Broken(error),
        };
        if data.len() > limit - whole.len() {
            return Whole::TooLong;
        }
        whole.extend_from_slice(&data);
    }
    Whole::Read(whole.into())
}

/// Reads on, to the end of a body or until so many bytes are gone, and keeps nothing.
pub(super) async fn drain(body: &mut Body, most: usize) {
    let mut left = most;
    while let Some(Ok(frame)) = body.frame().await {
        match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(less) => left = less,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn pieces(pieces: Vec<Result<&'static [u8], &'static str>>) -> Body {
        let frames = pieces.into_iter().map(|piece| match piece {
            Ok(bytes) => Ok(Frame::data(Bytes::from_static(bytes))),
            Err(error) => Err(BoxError::from(error)),
        });
        Body::new(StreamBody::new(stream::iter(frames.collect::<Vec<_>>())))
    }

    #[tokio::test]
    async fn a_body_within_its_limit_is_read_to_the_byte() {
        for (limit, fits) in [(7, true), (6, true), (5, false), (0, false)] {
            let read = read_whole(&mut pieces(vec![Ok(b"abc"), Ok(b"def")]), limit).await;
            match read {
                Whole::Read(bytes) => assert!(fits && bytes == "abcdef", "{limit}"),
                other => assert!(!fits && matches!(other, Whole::TooLong), "{limit}"),
            }
        }
        assert!(
            matches!(read_whole(&mut Body::empty(), 0).await, Whole::Read(bytes) if bytes.is_empty())
        );
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_not_taken_for_whole() {
        let read = read_whole(&mut pieces(vec![Ok(b"abc"), Err("cut")]), 10).await;
        assert!(matches!(read, Whole::Broken(error) if error.to_string() == "cut"));
    }

    #[tokio::test]
    async fn a_body_that_says_it_is_too_long_is_not_read() {
        let mut body = Body::from(Bytes::from_static(b"1234"));
        assert!(matches!(read_whole(&mut body, 3).await, Whole::TooLong));
    }
}
