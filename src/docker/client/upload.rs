//! What is streamed to a plugin, and whether the plugin takes it.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::StreamExt;
use futures::TryStreamExt;
use futures::future::BoxFuture;
use futures::stream;
use futures::stream::BoxStream;
use http_body::Body as HttpBody;
use http_body::Frame;
use parking_lot::Mutex;
use tokio::io::AsyncRead;
use tokio::sync::Notify;
use tokio_util::io::ReaderStream;

use crate::docker::body::Body;
use crate::docker::body::PIECE;

type Reader = Pin<Box<dyn AsyncRead + Send>>;
type Open = dyn Fn() -> BoxFuture<'static, io::Result<Reader>> + Send + Sync;

/// What [`Client::send_file`](super::Client::send_file) streams to a plugin.
///
/// It is read as fast as the plugin takes it, 64 KiB at a time, and never held whole.
pub struct Upload(Source);

#[derive(Clone)]
enum Source {
    Once(Arc<Mutex<Option<Reader>>>),
    Again(Arc<Open>),
}

impl Upload {
    /// What a reader has, to its end. If an attempt fails, there is another only if nothing
    /// of it was read: else the plugin would get the rest for the whole.
    pub fn once(reader: impl AsyncRead + Send + 'static) -> Self {
        Self(Source::Once(Arc::new(Mutex::new(Some(Box::pin(reader))))))
    }

    /// What a reader has that can be opened anew for each attempt.
    ///
    /// ```no_run
    /// use trunkline::docker::Upload;
    ///
    /// let layer = Upload::reopened(|| tokio::fs::File::open("/var/tmp/layer.tar"));
    /// ```
    pub fn reopened<R, F>(open: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        R: AsyncRead + Send + 'static,
        F: Future<Output = io::Result<R>> + Send + 'static,
    {
        Self(Source::Again(Arc::new(move || {
            open().map(|opened| opened.map(|reader| Box::pin(reader) as Reader)).boxed()
        })))
    }

    /// Whether all of it is there for another attempt.
    pub(super) fn is_whole(&self) -> bool {
        match &self.0 {
            Source::Once(reader) => reader.lock().is_some(),
            Source::Again(_) => true,
        }
    }

    /// A body for one attempt. Nothing is read, or opened, before the connection wants it.
    pub(super) fn body(&self, progress: &Arc<Progress>) -> Body {
        let source = self.0.clone();
        let open = async move {
            match source {
                Source::Once(reader) => {
                    let reader = reader.lock().take();
                    reader.ok_or_else(|| io::Error::other("the reader is used up"))
                }
                Source::Again(open) => open().await,
            }
        };
        let pieces = stream::once(open)
            .map_ok(|reader| ReaderStream::with_capacity(reader, PIECE))
            .try_flatten();
        Body::new(Watched { pieces: pieces.boxed(), progress: progress.clone() })
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("is_whole", &self.is_whole()).finish_non_exhaustive()
    }
}

/// What became of one attempt's body.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The connection wanted more, and got it.
    moved: Notify,
    /// The connection wants more, and the reader has nothing yet.
    starved: AtomicBool,
    failed: Mutex<Option<io::Error>>,
}

impl Progress {
    /// Ends when nothing of the body has moved for this long, and it is not the reader that
    /// keeps it waiting.
    pub(super) async fn stalled(&self, limit: Duration) {
        loop {
            let moved = tokio::time::timeout(limit, self.moved.notified()).await;
            if moved.is_err() && !self.starved.load(Ordering::Acquire) {
                return;
            }
        }
    }

    /// Why the reader failed, if it did.
    pub(super) fn failure(&self) -> Option<io::Error> {
        self.failed.lock().take()
    }
}

struct Watched {
    pieces: BoxStream<'static, io::Result<Bytes>>,
    progress: Arc<Progress>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        let piece = self.pieces.poll_next_unpin(cx);
        self.progress.starved.store(piece.is_pending(), Ordering::Release);
        let Poll::Ready(piece) = piece else { return Poll::Pending };
        self.progress.moved.notify_one();
        Poll::Ready(piece.map(|piece| match piece {
            Ok(bytes) => Ok(Frame::data(bytes)),
            Err(error) => {
                *self.progress.failed.lock() = Some(error);
                Err("what was to be sent could not be read")
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    async fn read(upload: &Upload) -> Bytes {
        let body = upload.body(&Arc::default());
        body.collect().await.unwrap().to_bytes()
    }

    #[tokio::test]
    async fn a_reader_is_whole_until_it_is_read() {
        let upload = Upload::once(&b"abc"[..]);
        drop(upload.body(&Arc::default()));
        assert!(upload.is_whole());
        assert_eq!(read(&upload).await, "abc");
        assert!(!upload.is_whole());
    }

    #[tokio::test]
    async fn what_is_opened_anew_is_whole_each_time() {
        let upload = Upload::reopened(|| async { Ok(&b"abc"[..]) });
        assert_eq!(read(&upload).await, "abc");
        assert!(upload.is_whole());
        assert_eq!(read(&upload).await, "abc");
    }

    #[tokio::test]
    async fn why_a_reader_failed_is_kept() {
        let upload = Upload::reopened(|| async { Err::<&[u8], _>(io::Error::other("gone")) });
        let progress = Arc::default();
        upload.body(&progress).collect().await.unwrap_err();
        assert_eq!(progress.failure().unwrap().to_string(), "gone");
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_take_what_is_there_stalls_and_who_waits_for_it_does_not() {
        let began = tokio::time::Instant::now();
        let (mut writer, reader) = tokio::io::duplex(16);
        let progress = Arc::default();
        let mut body = Upload::once(reader).body(&progress);
        tokio::select! {
            _ = body.frame() => panic!("nothing was written"),
            () = progress.stalled(LIMIT) => panic!("it is the reader that is waited for"),
            () = tokio::time::sleep(LIMIT * 10) => {}
        }
        tokio::io::AsyncWriteExt::write_all(&mut writer, b"abc").await.unwrap();
        body.frame().await.unwrap().unwrap();
        progress.stalled(LIMIT).await;
        assert_eq!(began.elapsed(), LIMIT * 11);
    }
}
