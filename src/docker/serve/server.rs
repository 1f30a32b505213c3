//! Serving a plugin: connections, and how they end.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::docker::body::Body;
use crate::docker::serve::Listener;
use crate::docker::serve::Plugin;
use crate::docker::serve::listener::Accepted;
use crate::docker::wire::MAX_HEAD;

/// How long a connection may be without a request, or with half of its head: a minute, twice
/// the time after which Docker closes one that it does not use, so that the two do not meet.
pub(super) const IDLE_TIME: Duration = Duration::from_secs(60);

/// How long to wait when the system refuses a connection, as it does without descriptors.
const REFUSED_TIME: Duration = Duration::from_millis(100);

impl Plugin {
    /// Serves until the future is dropped: then all connections are closed, methods that run
    /// are dropped, and the files of socket and spec are removed.
    pub async fn serve(self, listener: Listener) -> Infallible {
        let never = std::future::pending::<Infallible>();
        match self.until(listener, never).await {}
    }

    /// Serves until `stop` is ready. Then nobody can connect any more, the files of socket and
    /// spec are removed, connections that are not used are closed, and methods that run have
    /// [some time](Self::grace) to end.
    ///
    /// # Cancel safety
    ///
    /// As [`serve`](Self::serve): dropping it ends everything at once.
    pub async fn serve_until(self, listener: Listener, stop: impl Future<Output = ()>) {
        self.until(listener, stop).await;
    }

    async fn until<T>(self, listener: Listener, stop: impl Future<Output = T>) -> T {
        let grace = self.grace;
        let mut server = Server::new(self);
        let stopped = tokio::select! {
            stopped = stop => stopped,
            never = server.accept_all(&listener) => match never {},
        };
        drop(listener);
        server.finish(grace).await;
        stopped
    }
}

/// The connections of a plugin. Dropping it closes them.
struct Server {
    plugin: Arc<Plugin>,
    permits: Arc<Semaphore>,
    connections: JoinSet<()>,
    stopping: CancellationToken,
}

impl Server {
    fn new(plugin: Plugin) -> Self {
        let most = plugin.max_connections.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            plugin: Arc::new(plugin),
            permits: Arc::new(Semaphore::new(most)),
            connections: JoinSet::new(),
            stopping: CancellationToken::new(),
        }
    }

    async fn accept_all(&mut self, listener: &Listener) -> Infallible {
        loop {
            // Nobody closes it.
            let permit = self.permits.clone().acquire_owned().await.ok();
            while self.connections.try_join_next().is_some() {}
            match listener.accept().await {
                Ok(accepted) => {
                    let (plugin, stopping) = (self.plugin.clone(), self.stopping.clone());
                    self.connections.spawn(async move {
                        if let Err(error) = serve_connection(accepted, plugin, stopping).await {
                            tracing::debug!(error, "a connection ended");
                        }
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(REFUSED_TIME).await;
                }
            }
        }
    }

    /// Ends when all connections have, or the time is over.
    async fn finish(mut self, grace: Duration) {
        self.stopping.cancel();
        let all = async { while self.connections.join_next().await.is_some() {} };
        if timeout(grace, all).await.is_err() {
            tracing::warn!(left = self.connections.len(), "methods were dropped at the end");
        }
    }
}

/// Serves one connection to its end. When the plugin stops, that is the end of what it is
/// doing.
pub(super) async fn serve_connection(
    accepted: Accepted,
    plugin: Arc<Plugin>,
    stopping: CancellationToken,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let io = tokio::select! {
        io = accepted.ready() => io?,
        () = stopping.cancelled() => return Ok(()),
    };
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let plugin = plugin.clone();
        async move { Ok::<_, Infallible>(plugin.answer(request.map(Body::new)).await) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(IDLE_TIME).max_buf_size(MAX_HEAD);
    let mut connection = pin!(server.serve_connection(TokioIo::new(io), service));
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    match served {
        // Nobody asked for anything more: that is how connections end.
        Err(error) if error.is_timeout() => Ok(()),
        served => Ok(served?),
    }
}
