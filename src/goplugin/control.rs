//! The stream of the broker's messages: taking in the peer's, and handing out ours.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tonic::Streaming;

use crate::goplugin::session::Core;
use crate::goplugin::wire::ConnInfo;

/// Takes in what the peer's broker says, until its stream ends.
pub(super) async fn listen(core: &Arc<Core>, mut incoming: Streaming<ConnInfo>) {
    loop {
        match incoming.message().await {
            Ok(Some(info)) => core.paths.heard(info).await,
            Ok(None) => return,
            Err(status) => {
                tracing::debug!(%status, "the stream of the peer's broker has ended");
                return;
            }
        }
    }
}

/// The messages to the peer, for one stream at a time: the next gets them when this is
/// dropped.
#[derive(Debug)]
pub(super) struct Outbound {
    /// `None` while being dropped.
    messages: Option<mpsc::Receiver<ConnInfo>>,
    home: Home,
}

/// Where the messages to the peer are while no stream has them.
#[derive(Clone, Debug)]
pub(super) struct Home(Arc<Mutex<Option<mpsc::Receiver<ConnInfo>>>>);

impl Home {
    pub(super) fn new(messages: mpsc::Receiver<ConnInfo>) -> Self {
        Self(Arc::new(Mutex::new(Some(messages))))
    }

    /// `None` if a stream has them.
    pub(super) fn take(&self) -> Option<Outbound> {
        let messages = self.0.lock().take()?;
        Some(Outbound { messages: Some(messages), home: self.clone() })
    }
}

impl Stream for Outbound {
    type Item = ConnInfo;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ConnInfo>> {
        match &mut self.messages {
            Some(messages) => messages.poll_recv(cx),
            None => Poll::Ready(None),
        }
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        *self.home.0.lock() = self.messages.take();
    }
}
