//! What holds between a plugin's log and its host's.

use std::sync::Arc;
use std::time::Duration;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use parking_lot::Mutex;
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::services::log::Log;
use crate::services::log::LogService;
use crate::services::log::LogSink;
use crate::services::log::LogStats;
use crate::services::log::Record;
use crate::services::log::SpanRecord;
use crate::services::log::Value;

mod attached;
mod limits;
#[cfg(feature = "goplugin")]
mod written;

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
        self.records.lock().iter().map(|(_, record)| record.message.clone()).collect()
    }
}

fn host() -> (Arc<Kept>, LogService) {
    let sink = Arc::new(Kept::default());
    (Arc::clone(&sink), LogService::new(sink, "p"))
}

/// Lets the other tasks run until this holds. They need no clock.
async fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        tokio::task::yield_now().await;
    }
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
        SpanRecord { name: "outer".into(), fields: record.fields.clone() },
        SpanRecord { name: "inner".into(), fields: vec![] },
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
    assert_eq!(control.stats(), LogStats { unwanted: 1, ..LogStats::default() });
    Ok(())
}
