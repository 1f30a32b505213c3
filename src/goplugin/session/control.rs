//! The stream of the broker's messages: taking in the peer's, and handing out ours.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use tokio::sync::Mutex;
use tokio::sync::OwnedMutexGuard;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tonic::Streaming;

use crate::goplugin::session::Core;
use crate::goplugin::wire::ConnInfo;

/// Takes in what the peer's broker says, until its stream ends.
pub(in crate::goplugin) async fn listen(core: &Arc<Core>, mut incoming: Streaming<ConnInfo>) {
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
pub(in crate::goplugin) struct Outbound(OwnedMutexGuard<mpsc::Receiver<ConnInfo>>);

/// Where the messages to the peer are while no stream has them.
#[derive(Clone, Debug)]
pub(in crate::goplugin) struct Home(Arc<Mutex<mpsc::Receiver<ConnInfo>>>);

impl Home {
    pub(in crate::goplugin) fn new(messages: mpsc::Receiver<ConnInfo>) -> Self {
        Self(Arc::new(Mutex::new(messages)))
    }

    /// Waits until no other stream has them: that of a host which is gone may end a
    /// moment after the next host has come.
    ///
    /// Cancel safe.
    pub(in crate::goplugin) async fn take(&self) -> Outbound {
        Outbound(self.0.clone().lock_owned().await)
    }
}

impl Stream for Outbound {
    type Item = ConnInfo;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ConnInfo>> {
        self.0.poll_recv(cx)
    }
}
