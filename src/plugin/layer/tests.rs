//! What the layer makes of a plugin's spans and events.

use std::sync::Arc;

use parking_lot::Mutex;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::services::log::LogOptions;
use crate::services::log::LogService;
use crate::services::log::LogSink;

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

#[derive(Debug, Default)]
struct Kept(Mutex<Vec<Record>>);

impl LogSink for Kept {
    fn record(&self, _: &str, record: Record) {
        self.0.lock().push(record);
    }

    fn dropped(&self, _: &str, _: u64) {}
}

/// What arrives at a host that wants everything, of what `events` logs.
async fn heard(level: LevelFilter, events: impl FnOnce()) -> Result<Vec<Record>> {
    let log = Log::with_options(LogOptions { level, ..LogOptions::default() });
    let subscriber = tracing_subscriber::registry().with(HostLogLayer::new(log.clone()));
    tracing::subscriber::with_default(subscriber, events);
    let sink = Arc::new(Kept::default());
    let service = LogService::new(Arc::clone(&sink) as Arc<dyn LogSink>, "p");
    service.control().set_level(LevelFilter::TRACE);
    tokio::spawn(log.attach(service));
    log.flush().await?;
    let records = std::mem::take(&mut *sink.0.lock());
    Ok(records)
}

fn field(name: &'static str, value: impl Into<Value>) -> Field {
    Field { name: name.into(), value: value.into() }
}

#[derive(Debug, thiserror::Error)]
#[error("outer")]
struct Outer(#[source] fmt::Error);

#[tokio::test]
async fn an_event_becomes_a_record_with_typed_fields_and_its_source() -> Result {
    let error: &(dyn Error + 'static) = &Outer(fmt::Error);
    let line = line!() + 2;
    let records = heard(LevelFilter::INFO, || {
        tracing::warn!(
            target: "my::target",
            text = "a",
            yes = true,
            signed = -1,
            unsigned = 1_u64,
            float = 0.5,
            debug = ?Some(1),
            display = %1,
            bytes = &b"\x01"[..],
            error,
            "the {}", "message",
        );
    });
    let records = records.await?;
    let [record] = &records[..] else {
        return Err(format!("{records:?}").into());
    };
    assert_eq!(record.level, Level::WARN);
    assert_eq!(record.target, "my::target");
    assert_eq!(record.message, "the message");
    assert_eq!(record.file.as_deref(), Some(file!()));
    assert_eq!(record.line, Some(line));
    assert_eq!(record.module.as_deref(), Some(module_path!()));
    let expected = [
        field("text", "a"),
        field("yes", true),
        field("signed", -1_i64),
        field("unsigned", 1_u64),
        field("float", 0.5),
        field("debug", Value::Debug("Some(1)".to_owned())),
        field("display", Value::Debug("1".to_owned())),
        field("bytes", Bytes::from_static(b"\x01")),
        field("error", format!("outer: {}", fmt::Error)),
    ];
    assert_eq!(record.fields, expected);
    Ok(())
}

#[tokio::test]
async fn a_record_has_the_path_of_its_spans_with_fields_recorded_later() -> Result {
    let records = heard(LevelFilter::INFO, || {
        let outer = tracing::info_span!("outer", a = 1_u64, later = field::Empty);
        let _outer = outer.enter();
        let inner = tracing::info_span!("inner", text = "t");
        inner.in_scope(|| tracing::info!("first"));
        outer.record("later", true);
        outer.record("a", 2_u64);
        tracing::info!("second");
        tracing::info!(parent: None, "third");
    });
    let records = records.await?;
    let spans = records.into_iter().map(|record| record.spans).collect::<Vec<_>>();
    let span = |name: &'static str, fields| SpanRecord { name: name.into(), fields };
    let expected = [
        vec![span("outer", vec![field("a", 1_u64)]), span("inner", vec![field("text", "t")])],
        vec![span("outer", vec![field("later", true), field("a", 2_u64)])],
        vec![],
    ];
    assert_eq!(spans, expected);
    Ok(())
}

#[tokio::test]
async fn events_below_the_level_are_left_out() -> Result {
    let records = heard(LevelFilter::WARN, || {
        tracing::error!("error");
        tracing::warn!("warn");
        tracing::info!("info");
    });
    assert_eq!(records.await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn events_of_the_transport_are_left_out_so_that_the_log_does_not_feed_itself() -> Result {
    let records = heard(LevelFilter::TRACE, || {
        tracing::error!(target: "h2", "x");
        tracing::error!(target: "h2::codec::framed_read", "x");
        tracing::error!(target: "hyper_util::client", "x");
        tracing::error!(target: "tonic::transport", "x");
        tracing::error!(target: "tower::buffer::worker", "x");
        tracing::error!(target: "tokio::task", "x");
        tracing::error!(target: "trunkline::broker::transport", "x");
        tracing::error!(target: "trunkline::services::log", "x");
        // As tracing-log hands on what the `log` crate logs.
        tracing::error!(target: "log", { log.target = "rustls::client" }, "x");
        // What only begins alike, and what is ours but not the transport.
        tracing::error!(target: "h2o", "kept");
        tracing::error!(target: "towers::mine", "kept");
        tracing::error!(target: "trunkline::plugin", "kept");
    });
    let messages = records.await?.into_iter().map(|record| record.message).collect::<Vec<_>>();
    assert_eq!(messages, ["kept"; 3]);
    Ok(())
}

#[tokio::test]
async fn an_event_of_the_log_crate_has_its_own_origin() -> Result {
    let records = heard(LevelFilter::INFO, || {
        tracing::info!(
            target: "log",
            {
                log.target = "theirs",
                log.module_path = "theirs::module",
                log.file = "theirs.rs",
                log.line = 7_u64
            },
            "x",
        );
    });
    let records = records.await?;
    let record = records.first().ok_or("one record")?;
    assert_eq!(record.target, "theirs");
    assert_eq!(record.module.as_deref(), Some("theirs::module"));
    assert_eq!((record.file.as_deref(), record.line), (Some("theirs.rs"), Some(7)));
    assert!(record.fields.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_level_that_the_host_sets_takes_effect_at_once_on_callsites_already_met() -> Result {
    let log = Log::new();
    let subscriber = tracing_subscriber::registry().with(HostLogLayer::new(log.clone()));
    let _default = tracing::subscriber::set_default(subscriber);
    let sink = Arc::new(Kept::default());
    let service = LogService::new(Arc::clone(&sink) as Arc<dyn LogSink>, "p");
    let control = service.control();
    tokio::spawn(log.attach(service));

    let event = || tracing::debug!("debug");
    event();
    for (level, kept) in [(LevelFilter::DEBUG, 1), (LevelFilter::OFF, 1), (LevelFilter::TRACE, 2)] {
        control.set_level(level);
        while log.level() != level {
            tokio::task::yield_now().await;
        }
        event();
        log.flush().await?;
        assert_eq!(sink.0.lock().len(), kept, "at {level}");
    }
    Ok(())
}

/// Counts every event that reaches it.
struct Counting(Arc<Mutex<usize>>);

impl<S: Subscriber> Layer<S> for Counting {
    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        *self.0.lock() += 1;
    }
}

#[test]
fn other_layers_see_what_the_host_does_not_want() {
    let options = LogOptions { level: LevelFilter::OFF, ..LogOptions::default() };
    let count = Arc::new(Mutex::new(0));
    let events = || {
        tracing::trace!("x");
        tracing::error!(target: "h2", "x");
    };
    // In either order.
    let log = HostLogLayer::new(Log::with_options(options));
    let subscriber = tracing_subscriber::registry().with(log).with(Counting(Arc::clone(&count)));
    tracing::subscriber::with_default(subscriber, events);
    let log = HostLogLayer::new(Log::with_options(options));
    let subscriber = tracing_subscriber::registry().with(Counting(Arc::clone(&count))).with(log);
    tracing::subscriber::with_default(subscriber, events);
    assert_eq!(*count.lock(), 4);
}
