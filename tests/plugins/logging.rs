//! The plugin's own log on its way to the host.

use std::sync::Arc;

use parking_lot::Mutex;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use trunkline::host::Host;
use trunkline::host::PluginHandle;
use trunkline::services::log::LogSink;
use trunkline::services::log::Record;
use trunkline::services::log::Value;

use crate::bin;
use crate::harness::Capture;
use crate::harness::eventually;
use crate::harness::stop;
use crate::harness::tell;
use crate::harness::until;

/// Keeps what comes.
#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Vec<(String, Record)>>>);

impl LogSink for Kept {
    fn record(&self, plugin: &str, record: Record) {
        self.0.lock().push((plugin.to_owned(), record));
    }

    fn dropped(&self, plugin: &str, count: u64) {
        panic!("{plugin} dropped {count} records");
    }
}

impl Kept {
    fn with(&self, message: &str) -> Vec<Record> {
        let records = self.0.lock();
        let records = records.iter().map(|(_, record)| record);
        records.filter(|record| record.message == message).cloned().collect()
    }

    async fn until(&self, message: &str) -> Vec<Record> {
        eventually(message, || Some(self.with(message)).filter(|found| !found.is_empty())).await
    }
}

async fn logging() -> (PluginHandle, Kept) {
    let kept = Kept::default();
    let host = Host::new("tests", "1").log_sink(Arc::new(kept.clone()));
    let plugin = host.launch("logging", bin::plugin("good")).start().await.expect("launched");
    (plugin, kept)
}

#[tokio::test]
async fn events_reach_the_sink_with_level_target_fields_and_spans() {
    let (plugin, kept) = logging().await;
    tell(&plugin, "log").await.expect("logged");
    let error = kept.until("an error").await.remove(0);
    assert_eq!((error.level, &*error.target), (Level::ERROR, "good::shouts"));
    let fields: Vec<_> = error.fields.iter().map(|it| (&*it.name, it.value.clone())).collect();
    assert_eq!(fields, [("number", Value::U64(0)), ("ok", Value::Bool(false))]);
    let span = error.spans.last().expect("it is in a span");
    assert_eq!((&*span.name, &span.fields[0].value), ("work", &Value::Text("test".to_owned())));
    assert!(error.file.expect("the source").ends_with("good.rs"));
    let info = kept.until("an information").await.remove(0);
    assert_eq!((info.level, &*info.target), (Level::INFO, "plugins::bin::good"));
    assert!(kept.0.lock().iter().all(|(plugin, _)| plugin == "logging"));
    stop(plugin).await;
    assert_eq!(kept.with("a detail").len(), 0, "the level is INFO");
}

#[tokio::test]
async fn the_level_is_changed_while_the_plugin_runs() {
    let (plugin, kept) = logging().await;
    plugin.log().set_level(LevelFilter::DEBUG);
    // The plugin hears of it on another call, so some may be told too early.
    until("details come", async || {
        tell(&plugin, "log").await.expect("logged");
        !kept.with("a detail").is_empty()
    })
    .await;
    plugin.log().set_level(LevelFilter::OFF);
    until("nothing comes", async || {
        let before = plugin.log().stats();
        tell(&plugin, "log 100").await.expect("logged");
        before == plugin.log().stats()
    })
    .await;
    stop(plugin).await;
}

#[tokio::test]
async fn the_last_records_before_the_end_are_not_lost() {
    let (plugin, kept) = logging().await;
    tell(&plugin, "log 500").await.expect("logged");
    stop(plugin).await;
    assert_eq!(kept.with("an error").len(), 500);
    let numbers = kept.with("an information").into_iter().map(|it| it.fields[0].value.clone());
    let expected: Vec<_> = (0..500u64).map(Value::U64).collect();
    assert_eq!(numbers.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn by_default_the_records_become_tracing_events_of_the_host() {
    let capture = Capture::start();
    let host = Host::new("tests", "1");
    let plugin = host.launch("loud", bin::plugin("good")).start().await.expect("launched");
    tell(&plugin, "log").await.expect("logged");
    let (pid, run) = (plugin.pid().to_string(), plugin.run().to_string());
    stop(plugin).await;
    let events = capture.all();
    let event = events.iter().find(|event| event.message() == "an error").expect("it came");
    assert_eq!((event.level, event.target.as_str()), (Level::ERROR, "trunkline::plugin"));
    assert_eq!(event.fields["plugin"], "loud");
    assert_eq!(event.fields["target"], "good::shouts");
    let (name, fields) = event.spans.first().expect("within the span of the plugin");
    assert_eq!(name, "plugin");
    assert_eq!((&*fields["name"], &fields["pid"], &fields["run"]), ("loud", &pid, &run));
}
