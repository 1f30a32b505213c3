//! The host's end of the log service.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Context;
use std::task::Poll;

use futures::StreamExt;
use futures::stream;
use futures::stream::BoxStream;
use http_body::Body;
use tokio::sync::watch;
use tonic::Request;
use tonic::Response;
use tonic::Status;
use tonic::Streaming;
use tonic::codegen::BoxFuture;
use tonic::codegen::Service;
use tonic::codegen::StdError;
use tonic::server::NamedService;
use tracing::level_filters::LevelFilter;

use crate::services::log::LogSink;
use crate::services::log::Record;
use crate::services::log::convert::filter_to_wire;
use crate::services::wire::log as wire;
use crate::services::wire::log::log_server;

/// The largest batch that the host reads, in bytes: 256 KiB. It bounds what one
/// message can make the host hold, which for many tiny records is some tens of
/// times more than their bytes.
const BATCH_BYTES: usize = 256 * 1024;

/// One plugin's log, as a gRPC service that a host offers to that plugin.
///
/// It is a tower service with the gRPC name `trunkline.log.v1.Log`. Clones are
/// the same service. Dropping it ends nothing: a plugin that is attached stays
/// so until its trunk ends.
#[derive(Clone, Debug)]
pub struct LogService {
    server: log_server::LogServer<Handler>,
    handler: Handler,
}

impl LogService {
    /// The log of the plugin that the host calls `plugin`, given to `sink`, at
    /// level INFO until [`control`](Self::control) says otherwise.
    pub fn new(sink: Arc<dyn LogSink>, plugin: impl Into<String>) -> Self {
        let shared = Arc::new(Shared {
            level: watch::Sender::new(LevelFilter::INFO),
            records: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            unwanted: AtomicU64::new(0),
            cut: AtomicU64::new(0),
        });
        let control = LogControl { shared };
        let handler = Handler { sink, plugin: plugin.into().into(), control };
        let server = log_server::LogServer::new(handler.clone());
        Self { server: server.max_decoding_message_size(BATCH_BYTES), handler }
    }

    /// The handle with which the host sets the level and sees the counts.
    pub fn control(&self) -> LogControl {
        self.handler.control.clone()
    }

    /// Takes a record that came another way, as if the plugin had sent it.
    #[cfg(all(feature = "goplugin", feature = "host"))]
    pub(crate) fn take(&self, record: Record) {
        self.handler.take(record, self.handler.control.level());
    }
}

/// Sets the level of one plugin's log, and shows its counts. Clones are the
/// same handle; dropping it does nothing.
#[derive(Clone, Debug)]
pub struct LogControl {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    level: watch::Sender<LevelFilter>,
    records: AtomicU64,
    dropped: AtomicU64,
    unwanted: AtomicU64,
    cut: AtomicU64,
}

/// What has come of one plugin's log since the service was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogStats {
    /// Records given to the sink.
    pub records: u64,
    /// Records that the plugin said it had to drop.
    pub dropped: u64,
    /// Records that were less severe than the level asked for, and so not given
    /// to the sink. A few are usual after the level was changed; many are a
    /// plugin that does not obey.
    pub unwanted: u64,
    /// Records given to the sink of which something was cut off, at either end.
    pub cut: u64,
}

impl LogControl {
    /// Asks the plugin for records of this level and more severe from now on;
    /// `LevelFilter::OFF` for none. A plugin that is attached is told at once,
    /// and one that attaches later when it does.
    pub fn set_level(&self, level: impl Into<LevelFilter>) {
        self.shared.level.send_replace(level.into());
    }

    /// The level last set.
    pub fn level(&self) -> LevelFilter {
        *self.shared.level.borrow()
    }

    /// What has come so far.
    pub fn stats(&self) -> LogStats {
        LogStats {
            records: self.shared.records.load(Relaxed),
            dropped: self.shared.dropped.load(Relaxed),
            unwanted: self.shared.unwanted.load(Relaxed),
            cut: self.shared.cut.load(Relaxed),
        }
    }
}

impl NamedService for LogService {
    const NAME: &'static str = log_server::SERVICE_NAME;
}

impl<B> Service<http::Request<B>> for LogService
where
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        self.server.call(request)
    }
}

#[derive(Clone, Debug)]
struct Handler {
    sink: Arc<dyn LogSink>,
    plugin: Arc<str>,
    control: LogControl,
}

#[tonic::async_trait]
impl log_server::Log for Handler {
    type AttachStream = BoxStream<'static, Result<wire::Directive, Status>>;

    async fn attach(
        &self,
        request: Request<Streaming<wire::Batch>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let mut level = self.control.shared.level.subscribe();
        // The first directive states the level, whatever it is.
        level.mark_changed();
        let attached = Attached {
            handler: self.clone(),
            batches: request.into_inner(),
            level,
            ack: wire::Ack::default(),
        };
        Ok(Response::new(stream::try_unfold(attached, Attached::next).boxed()))
    }
}

impl Handler {
    fn take(&self, mut record: Record, wanted: LevelFilter) {
        let counts = &self.control.shared;
        if record.level > wanted {
            counts.unwanted.fetch_add(1, Relaxed);
            return;
        }
        record.clip();
        counts.records.fetch_add(1, Relaxed);
        counts.cut.fetch_add(u64::from(record.cut > 0), Relaxed);
        self.sink.record(&self.plugin, record);
    }
}

/// One call of a plugin. It lives in the call's response, so it needs no task
/// of its own and ends with the call.
struct Attached {
    handler: Handler,
    batches: Streaming<wire::Batch>,
    level: watch::Receiver<LevelFilter>,
    ack: wire::Ack,
}

impl Attached {
    async fn next(mut self) -> Result<Option<(wire::Directive, Self)>, Status> {
        tokio::select! {
            biased;
            Ok(()) = self.level.changed() => {
                let level = filter_to_wire(*self.level.borrow_and_update());
                let directive = wire::Directive { level: Some(level.into()), ack: None };
                Ok(Some((directive, self)))
            }
            batch = self.batches.message() => {
                let Some(batch) = batch? else {
                    return Ok(None);
                };
                self.take(batch);
                let directive = wire::Directive { level: None, ack: Some(self.ack) };
                Ok(Some((directive, self)))
            }
        }
    }

    fn take(&mut self, batch: wire::Batch) {
        let Handler { sink, plugin, control } = &self.handler;
        let counts = &control.shared;
        self.ack.records += batch.records.len() as u64;
        self.ack.dropped = self.ack.dropped.saturating_add(batch.dropped);

        if batch.dropped > 0 {
            counts.dropped.fetch_add(batch.dropped, Relaxed);
            sink.dropped(plugin, batch.dropped);
        }
        let wanted = control.level();
        for record in batch.records {
            self.handler.take(Record::from(record), wanted);
        }
    }
}
