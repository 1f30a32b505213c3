//! What holds between a plugin's log and its host's.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;
use std::time::Duration;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic::Request;
use tonic::Response;
use tonic::Status;
use tonic::Streaming;
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::services::log::FlushError;
use crate::services::log::Log;
use crate::services::log::LogError;
use crate::services::log::LogOptions;
use crate::services::log::LogService;
use crate::services::log::LogSink;
use crate::services::log::LogStats;
use crate::services::log::RECORD_BYTES;
use crate::services::log::Record;
use crate::services::log::SpanRecord;
use crate::services::log::Value;
use crate::services::wire::log as wire;
use crate::services::wire::log::log_client::LogClient;
use crate::services::wire::log::log_server;

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// A sink that keeps everything.
#[derive(Debug, Default)]
struct Kept {
    records: Mutex<Vec<(String, Record)>>,
    dropped: Mutex<Vec<(String, u64)>>,
}

impl LogSink for Kept {
    fn record(&self, plugin: &str, record: Record) {
        self.records.lock().push((plugin.to_owned(), record));
    }

    fn dropped(&self, plugin: &str, count: u64) {
        self.dropped.lock().push((plugin.to_owned(), count));
    }
}

impl Kept {
    fn messages(&self) -> Vec<String> {
        self.records
            .lock()
            .iter()
            .map(|(_, record)| record.message.clone())
            .collect()
    }
}

fn host() -> (Arc<Kept>, LogService) {
    let sink = Arc::new(Kept::default());
    (Arc::clone(&sink), LogService::new(sink, "p"))
}

fn log_of(records: usize) -> Log {
    Log::with_options(LogOptions {
        records,
        ..LogOptions::default()
    })
}

/// Lets the other tasks run until this holds. They need no clock.
async fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        tokio::task::yield_now().await;
    }
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn a_record_arrives_with_everything_it_had() -> Result {
    let (sink, service) = host();
    let log = Log::new();
    let mut record = Record::new(Level::WARN, "message")
        .with_target("my::target")
        .with_field("text", "a \"b\"")
        .with_field("bool", true)
        .with_field("i64", i64::MIN)
        .with_field("u64", u64::MAX)
        .with_field("f64", 0.1)
        .with_field("bytes", Bytes::from_static(b"\x00\xff"))
        .with_field("debug", Value::Debug("Some(1)".to_owned()));
    record.time = UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789);
    record.module = Some("my::module".into());
    record.spans = vec![
        SpanRecord {
            name: "outer".into(),
            fields: record.fields.clone(),
        },
        SpanRecord {
            name: "inner".into(),
            fields: vec![],
        },
    ];
    log.record(record.clone());
    assert!(record.line.is_some() && record.file.as_deref() == Some(file!()));
    tokio::spawn(log.attach(service));
    log.flush().await?;
    assert_eq!(*sink.records.lock(), [("p".to_owned(), record)]);
    Ok(())
}

#[tokio::test]
async fn records_arrive_in_order_also_those_from_before_the_log_was_attached() -> Result {
    let (sink, service) = host();
    let log = Log::new();
    let all = (0..2000).map(|i| i.to_string()).collect::<Vec<_>>();
    for message in &all[..1000] {
        log.info(message);
    }
    tokio::spawn(log.attach(service));
    for message in &all[1000..] {
        log.info(message);
    }
    log.flush().await?;
    assert_eq!(sink.messages(), all);
    Ok(())
}

#[tokio::test]
async fn records_for_which_there_is_no_room_are_counted_and_the_host_is_told() -> Result {
    let (sink, service) = host();
    let log = log_of(4);
    for i in 0..10 {
        log.info(i.to_string());
    }
    assert_eq!(log.dropped(), 6);
    let control = service.control();
    tokio::spawn(log.attach(service));
    log.flush().await?;
    assert_eq!(sink.messages(), ["0", "1", "2", "3"]);
    assert_eq!(*sink.dropped.lock(), [("p".to_owned(), 6)]);
    assert_eq!(
        control.stats(),
        LogStats {
            records: 4,
            dropped: 6,
            ..LogStats::default()
        }
    );

    // There is room again, and what was reported is not reported twice.
    log.info("again");
    log.flush().await?;
    assert_eq!(sink.messages().len(), 5);
    assert_eq!(sink.dropped.lock().len(), 1);
    Ok(())
}

#[tokio::test]
async fn the_queue_is_bounded_in_bytes_as_well() {
    let log = Log::with_options(LogOptions {
        bytes: 3 * RECORD_BYTES,
        ..LogOptions::default()
    });
    for _ in 0..10 {
        log.record(Record::new(Level::INFO, "").with_field("f", "x".repeat(RECORD_BYTES)));
    }
    assert_eq!(log.dropped(), 7);
}

#[tokio::test]
async fn many_large_records_go_in_messages_that_the_host_accepts() -> Result {
    let (sink, service) = host();
    let options = LogOptions {
        bytes: 100 * RECORD_BYTES,
        ..LogOptions::default()
    };
    let log = Log::with_options(options);
    for _ in 0..100 {
        log.record(Record::new(Level::INFO, "").with_field("f", "x".repeat(RECORD_BYTES)));
    }
    tokio::spawn(log.attach(service));
    log.flush().await?;
    assert_eq!(sink.records.lock().len(), 100);
    Ok(())
}

#[tokio::test]
async fn the_host_cuts_a_record_that_is_too_large_and_counts_it() -> Result {
    let (sink, service) = host();
    let control = service.control();
    // Not by our client, which would have cut it.
    let message = "x".repeat(100_000);
    let record = wire::Record {
        message,
        cut: 1,
        ..Default::default()
    };
    let batch = wire::Batch {
        records: vec![record],
        dropped: 0,
    };
    let mut directives = LogClient::new(service)
        .attach(tokio_stream::once(batch))
        .await?
        .into_inner();
    while directives.message().await?.is_some() {}

    let (_, record) = sink.records.lock()[0].clone();
    assert!(record.message.len() <= RECORD_BYTES && record.message.ends_with('…'));
    let kept = record.message.len() - '…'.len_utf8();
    assert_eq!(record.cut, 1 + 100_000 - kept as u64);
    assert_eq!(control.stats().cut, 1);
    Ok(())
}

#[tokio::test]
async fn the_host_refuses_a_batch_that_is_too_large_unread() -> Result {
    let (sink, service) = host();
    let message = "x".repeat(300 * 1024);
    let record = wire::Record {
        message,
        ..Default::default()
    };
    let batch = wire::Batch {
        records: vec![record],
        dropped: 0,
    };
    let mut directives = LogClient::new(service)
        .attach(tokio_stream::once(batch))
        .await?
        .into_inner();
    assert!(
        directives
            .message()
            .await?
            .is_some_and(|first| first.level.is_some())
    );
    let refused = directives.message().await;
    assert_eq!(
        refused.map_err(|status| status.code()),
        Err(Code::OutOfRange)
    );
    assert!(sink.records.lock().is_empty());
    Ok(())
}

#[tokio::test]
async fn the_level_reaches_the_plugin_when_it_attaches_and_whenever_it_changes() -> Result {
    let (sink, service) = host();
    let control = service.control();
    control.set_level(LevelFilter::DEBUG);
    let log = Log::new();
    assert_eq!(log.level(), LevelFilter::INFO);
    tokio::spawn(log.attach(service));
    until(|| log.level() == LevelFilter::DEBUG).await;
    log.debug("debug");
    log.trace("not wanted");
    log.flush().await?;

    control.set_level(Level::ERROR);
    until(|| log.level() == LevelFilter::ERROR).await;
    log.warn("not wanted");
    log.error("error");
    log.flush().await?;

    control.set_level(LevelFilter::OFF);
    until(|| log.level() == LevelFilter::OFF).await;
    log.error("not wanted");
    log.flush().await?;

    assert_eq!(sink.messages(), ["debug", "error"]);
    assert_eq!(log.dropped(), 0);
    Ok(())
}

#[tokio::test]
async fn records_that_the_host_does_not_want_are_counted_and_not_given_to_the_sink() -> Result {
    let (sink, service) = host();
    let control = service.control();
    control.set_level(LevelFilter::OFF);
    let log = Log::new();
    // Before the plugin knows.
    log.error("e");
    tokio::spawn(log.attach(service));
    log.flush().await?;
    assert!(sink.records.lock().is_empty());
    assert_eq!(
        control.stats(),
        LogStats {
            unwanted: 1,
            ..LogStats::default()
        }
    );
    Ok(())
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
    let host = Scripted {
        batches,
        directives: Mutex::new(Some(directives)),
    };
    (log_server::LogServer::new(host), received, send)
}

fn ack(records: u64, level: wire::Filter) -> wire::Directive {
    wire::Directive {
        level: Some(level.into()),
        ack: Some(wire::Ack {
            records,
            dropped: 0,
        }),
    }
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
    directives
        .send(Ok(ack(u64::MAX, wire::Filter::Trace)))
        .await?;
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
    let (host, mut batches, directives) = scripted();
    let log = Log::new();
    let worker = tokio::spawn(log.attach(host));
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
    let (sink, service) = host_again();
    tokio::spawn(log.attach(service));
    log.flush().await?;
    assert_eq!(sink.messages(), ["queued meanwhile"]);
    assert_eq!(*sink.dropped.lock(), [("p".to_owned(), 2)]);
    Ok(())
}

fn host_again() -> (Arc<Kept>, LogService) {
    host()
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
    assert!(matches!(
        log.attach(service.clone()).await,
        Err(LogError::Attached)
    ));
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

#[tokio::test]
async fn recording_from_many_threads_accounts_for_every_record() -> Result {
    let (sink, service) = host();
    let log = log_of(64);
    tokio::spawn(log.attach(service));
    let threads = (0..4).map(|_| {
        let log = log.clone();
        std::thread::spawn(move || (0..5000).for_each(|_| log.info("x")))
    });
    let threads = threads.collect::<Vec<_>>();
    tokio::task::spawn_blocking(|| threads.into_iter().try_for_each(|thread| thread.join()))
        .await?
        .map_err(|_| "a thread panicked")?;
    log.flush().await?;
    let dropped = sink
        .dropped
        .lock()
        .iter()
        .map(|(_, count)| count)
        .sum::<u64>();
    assert_eq!(dropped, log.dropped());
    assert_eq!(sink.records.lock().len() as u64 + dropped, 20_000);
    Ok(())
}

#[test]
fn the_tracing_sink_makes_an_event_of_a_record_at_its_level() {
    use crate::services::log::TracingSink;
    use std::io;
    use tracing_subscriber::fmt::MakeWriter;

    #[derive(Clone, Default)]
    struct Text(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Text {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Text {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    let text = Text::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(text.clone())
        .with_max_level(Level::TRACE)
        .without_time()
        .with_ansi(false)
        .finish();
    let mut record = Record::new(Level::WARN, "low on space")
        .with_target("my::disk")
        .with_field("free", 12_u64)
        .with_field("path", "a b");
    record.file = Some("src/disk.rs".into());
    record.line = Some(7);
    record.spans = vec![
        SpanRecord {
            name: "outer".into(),
            fields: vec![record.fields[0].clone()],
        },
        SpanRecord {
            name: "inner".into(),
            fields: vec![],
        },
    ];
    tracing::subscriber::with_default(subscriber, || {
        TracingSink.record("p", record);
        for level in [Level::ERROR, Level::INFO, Level::DEBUG, Level::TRACE] {
            let mut bare = Record::new(level, "bare");
            bare.file = None;
            TracingSink.record("p", bare);
        }
        TracingSink.dropped("p", 3);
    });
    let text = String::from_utf8_lossy(&text.0.lock()).into_owned();
    let expected = r#" WARN trunkline::plugin: low on space plugin="p" target="my::disk" spans=outer{free=12}:inner fields=free=12 path="a b" source=src/disk.rs:7
ERROR trunkline::plugin: bare plugin="p" target=""
 INFO trunkline::plugin: bare plugin="p" target=""
DEBUG trunkline::plugin: bare plugin="p" target=""
TRACE trunkline::plugin: bare plugin="p" target=""
 WARN trunkline::plugin: the plugin had to drop log records plugin="p" count=3
"#;
    assert_eq!(text, expected);
}
