//! How a log is attached, acknowledged, flushed, and how it ends.

use std::future::Future;
use std::pin::Pin;
use std::pin::pin;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic::Request;
use tonic::Response;
use tonic::Status;
use tonic::Streaming;
use tracing::level_filters::LevelFilter;

use crate::services::log::FlushError;
use crate::services::log::Log;
use crate::services::log::LogError;
use crate::services::log::tests::Result;
use crate::services::log::tests::host;
use crate::services::log::tests::until;
use crate::services::wire::log as wire;
use crate::services::wire::log::log_server;

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// A host that does only what the test says.
struct Scripted {
    batches: mpsc::Sender<wire::Batch>,
    directives: Mutex<Option<mpsc::Receiver<Result<wire::Directive, Status>>>>,
}

#[tonic::async_trait]
impl log_server::Log for Scripted {
    type AttachStream = ReceiverStream<Result<wire::Directive, Status>>;

    async fn attach(
        &self,
        request: Request<Streaming<wire::Batch>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let directives = self.directives.lock().take();
        let directives = directives.ok_or_else(|| Status::unavailable("once"))?;
        let (mut stream, batches) = (request.into_inner(), self.batches.clone());
        tokio::spawn(async move {
            while let Ok(Some(batch)) = stream.message().await {
                if batches.send(batch).await.is_err() {
                    break;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(directives)))
    }
}

type Script = (
    log_server::LogServer<Scripted>,
    mpsc::Receiver<wire::Batch>,
    mpsc::Sender<Result<wire::Directive, Status>>,
);

fn scripted() -> Script {
    let (batches, received) = mpsc::channel(8);
    let (send, directives) = mpsc::channel(8);
    let host = Scripted { batches, directives: Mutex::new(Some(directives)) };
    (log_server::LogServer::new(host), received, send)
}

fn ack(records: u64, level: wire::Filter) -> wire::Directive {
    wire::Directive { level: Some(level.into()), ack: Some(wire::Ack { records, dropped: 0 }) }
}

#[tokio::test]
async fn a_flush_waits_until_the_host_has_acknowledged_all_that_was_recorded() -> Result {
    let (host, mut batches, directives) = scripted();
    let log = Log::new();
    tokio::spawn(log.attach(host));
    for _ in 0..3 {
        log.info("");
    }
    let mut flush = pin!(log.flush());
    assert!(poll(flush.as_mut()).is_pending());
    let batch = batches.recv().await.ok_or("a batch")?;
    assert_eq!(batch.records.len(), 3);
    // What comes later is not waited for.
    log.info("later");

    // The level in the same directive shows when it has been obeyed.
    directives.send(Ok(ack(2, wire::Filter::Warn))).await?;
    until(|| log.level() == LevelFilter::WARN).await;
    assert!(poll(flush.as_mut()).is_pending());

    directives.send(Ok(ack(3, wire::Filter::Error))).await?;
    flush.await?;
    Ok(())
}

#[tokio::test]
async fn an_acknowledgement_of_more_than_was_sent_is_not_believed() -> Result {
    let (host, mut batches, directives) = scripted();
    let log = Log::new();
    tokio::spawn(log.attach(host));
    directives.send(Ok(ack(u64::MAX, wire::Filter::Trace))).await?;
    until(|| log.level() == LevelFilter::TRACE).await;
    log.info("");
    let mut flush = pin!(log.flush());
    assert!(poll(flush.as_mut()).is_pending());
    batches.recv().await.ok_or("a batch")?;
    directives.send(Ok(ack(1, wire::Filter::Warn))).await?;
    flush.await?;
    Ok(())
}

#[tokio::test]
async fn records_that_were_not_acknowledged_when_the_call_ended_count_as_dropped() -> Result {
    let (first, mut batches, directives) = scripted();
    let log = Log::new();
    let worker = tokio::spawn(log.attach(first));
    log.info("");
    log.info("");
    let mut flush = pin!(log.flush());
    assert!(poll(flush.as_mut()).is_pending());
    batches.recv().await.ok_or("a batch")?;
    directives.send(Err(Status::unavailable("gone"))).await?;
    let ended = worker.await?;
    assert!(
        matches!(ended, Err(LogError::Ended(Some(status))) if status.code() == Code::Unavailable)
    );
    assert_eq!(flush.await, Err(FlushError::Lost { count: 2 }));
    assert_eq!(log.dropped(), 2);

    // The next host is told, and the queue goes on.
    log.info("queued meanwhile");
    assert_eq!(log.flush().await, Err(FlushError::Detached));
    let (sink, service) = host();
    tokio::spawn(log.attach(service));
    log.flush().await?;
    assert_eq!(sink.messages(), ["queued meanwhile"]);
    assert_eq!(*sink.dropped.lock(), [("p".to_owned(), 2)]);
    Ok(())
}

#[tokio::test]
async fn a_flush_of_a_log_without_a_host_is_an_error_and_does_not_hang() {
    let log = Log::new();
    assert_eq!(log.flush().await, Ok(()), "nothing was recorded");
    log.info("");
    assert_eq!(log.flush().await, Err(FlushError::Detached));
}

#[tokio::test]
async fn a_log_is_attached_once_at_a_time() -> Result {
    let (_, service) = host();
    let log = Log::new();
    let first = log.attach(service.clone());
    assert!(matches!(log.attach(service.clone()).await, Err(LogError::Attached)));
    drop(first);
    tokio::spawn(log.attach(service));
    log.flush().await?;
    Ok(())
}

#[tokio::test]
async fn the_last_drop_of_a_log_sends_the_rest_and_ends_the_call() -> Result {
    let (sink, service) = host();
    let log = Log::new();
    let worker = tokio::spawn(log.attach(service));
    log.info("last");
    drop(log);
    worker.await??;
    assert_eq!(sink.messages(), ["last"]);
    Ok(())
}

#[tokio::test]
async fn a_host_without_a_log_is_a_typed_error() {
    let refuse = tower::service_fn(async |_: http::Request<tonic::body::Body>| {
        let status = Status::unimplemented("no log");
        Ok::<_, std::convert::Infallible>(status.into_http::<tonic::body::Body>())
    });
    let ended = Log::new().attach(refuse).await;
    assert!(
        matches!(ended, Err(LogError::Ended(Some(status))) if status.code() == Code::Unimplemented)
    );
}
