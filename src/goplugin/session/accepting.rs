//! Brokered connections of the peer: who is behind a number, and serving them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Context;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use http::Request;
use http::Response;
use http_body::Body as HttpBody;
use http_body::Frame;
use http_body::SizeHint;
use tokio::sync::watch;
use tonic::Status;
use tonic::body::Body as TonicBody;

use crate::broker::dialects;
use crate::broker::dialects::Erased;
use crate::goplugin::handshake::address::Address;
use crate::goplugin::life::Running;
use crate::goplugin::session::Core;
use crate::goplugin::transport::connection;
use crate::goplugin::transport::socket::Io;

/// A service that is registered.
#[derive(Debug)]
pub(in crate::goplugin) struct Entry {
    service: Erased,
    /// Dropped with the entry: what serves it then stops.
    stop: watch::Sender<()>,
    /// Whether there was one since the peer was last told of the number.
    pub(in crate::goplugin) was_dialled: bool,
    /// Where the peer finds it, if it has an address of its own.
    pub(in crate::goplugin) address: Option<Address>,
    /// When the peer was last told of the number.
    pub(in crate::goplugin) announced: Option<Instant>,
}

impl Entry {
    /// The second follows its life.
    pub(in crate::goplugin) fn new(service: Erased) -> (Self, watch::Receiver<()>) {
        let (stop, stopped) = watch::channel(());
        let entry = Self { service, stop, was_dialled: false, address: None, announced: None };
        (entry, stopped)
    }
}

/// Serves a connection that the peer has made for this number.
pub(in crate::goplugin) fn connected(core: &Arc<Core>, id: u32, io: Io) {
    let (service, mut stopped) = {
        let mut registered = core.registered.lock();
        let Some(entry) = registered.entries.get_mut(&id) else {
            tracing::debug!(id, "closed a brokered connection that came too late");
            return;
        };
        // As many as there may be calls: each is there for at least one.
        if core.serving.load(Relaxed) >= core.limits.streams as usize {
            tracing::warn!(id, "closed a brokered connection: the peer has too many");
            return;
        }
        entry.was_dialled = true;
        (entry.service.clone(), entry.stop.subscribe())
    };
    let open = Open { core: core.clone() };
    core.serving.fetch_add(1, Relaxed);
    core.opened.fetch_add(1, Relaxed);
    core.spawn(async move {
        tokio::select! {
            biased;
            // An error: the sender is gone.
            _ = stopped.changed() => {}
            () = serve(&open.core, io, service) => {}
        }
    });
}

async fn serve(core: &Arc<Core>, io: Io, service: Erased) {
    let handle = {
        let core = core.clone();
        move |request| answer(core.clone(), service.clone(), request)
    };
    match secured(core, io).await {
        Ok(io) => {
            if let Err(error) =
                connection::serve(io, &core.limits, core.tasks().clone(), handle).await
            {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "a brokered connection of the peer has ended");
            }
        }
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "refused a brokered connection of the peer");
        }
    }
}

/// The connection in TLS, if the session has it.
pub(in crate::goplugin) async fn secured(
    core: &Core,
    io: Io,
) -> Result<Io, crate::goplugin::transport::tls::TlsError> {
    match &core.tls {
        Some(tls) => Ok(Box::new(tls.accept(io).await?)),
        None => Ok(io),
    }
}

/// Serves one call, and counts it until its response is sent.
async fn answer(
    core: Arc<Core>,
    service: Erased,
    request: Request<TonicBody>,
) -> Response<TonicBody> {
    match core.life.begin_theirs() {
        Ok(running) => counted(dialects::serve(service, core.life.id(), request).await, running),
        Err(error) => error.to_status().into_http(),
    }
}

/// A response that counts as running until its body is sent or dropped.
pub(in crate::goplugin) fn counted(
    response: Response<TonicBody>,
    running: Running,
) -> Response<TonicBody> {
    response.map(|body| TonicBody::new(Counted { body, _running: running }))
}

struct Counted {
    body: TonicBody,
    _running: Running,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A brokered connection that is served. Dropping it says that it has ended.
struct Open {
    core: Arc<Core>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.core.serving.fetch_sub(1, Relaxed);
    }
}
