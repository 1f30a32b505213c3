//! A tracing layer that sends a plugin's own spans and events to its host.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use bytes::Bytes;
use tracing::Event;
use tracing::Metadata;
use tracing::Subscriber;
use tracing::field;
use tracing::field::Visit;
use tracing::level_filters::LevelFilter;
use tracing::span;
use tracing::subscriber::Interest;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Filtered;
use tracing_subscriber::layer::Context;
use tracing_subscriber::layer::Filter;
use tracing_subscriber::registry::LookupSpan;

use crate::services::log::Field;
use crate::services::log::Log;
use crate::services::log::Record;
use crate::services::log::SpanRecord;
use crate::services::log::Value;

/// What carries the log to the host, by its modules. An event of
/// theirs would cause the next one, for ever. They reach the plugin author's
/// other layers.
const TRANSPORT: [&str; 10] = [
    "h2",
    "hyper",
    "hyper_util",
    "mio",
    "rustls",
    "tokio",
    "tokio_rustls",
    "tokio_util",
    "tonic",
    "tower",
];

/// And the modules of this crate that do.
const OURS: [&str; 2] = ["trunkline::broker", "trunkline::services"];

/// A [`tracing_subscriber::Layer`] that puts the plugin's events into a [`Log`],
/// with their level, target, typed fields, source and enclosing spans.
///
/// It can be installed at the very start of the program: what happens before
/// the plugin is connected waits in the log's queue.
///
/// ```
/// use tracing_subscriber::layer::SubscriberExt;
/// use trunkline::plugin::HostLogLayer;
/// use trunkline::services::log::Log;
///
/// let log = Log::new();
/// let subscriber = tracing_subscriber::registry().with(HostLogLayer::new(log.clone()));
/// tracing::subscriber::with_default(subscriber, || tracing::info!("starting"));
/// // Later: `tokio::spawn(log.attach(channel))`.
/// ```
///
/// # Levels
/// The host decides what it wants, also while the plugin runs. This layer
/// carries a filter of its own ([`HostLogFilter`]), which concerns this layer
/// only: other layers of the same subscriber see what they would see without
/// it. An event that no layer wants costs what it costs in `tracing` anyway.
/// Spans are subject to the level as well; one that was entered when it was not
/// wanted is missing from the records within it.
///
/// # What is left out
/// Events and spans of the transport that carries the log: `trunkline::broker`,
/// `trunkline::services`, `h2`, `hyper`, `hyper_util`, `mio`, `rustls`, `tokio`,
/// `tokio_rustls`, `tokio_util`, `tonic` and `tower`, with their modules.
#[derive(Clone, Debug)]
pub struct HostLogLayer {
    log: Log,
}

/// What the host wants to hear of, as a filter for one layer. It follows the
/// level of the [`Log`] that it was made of.
#[derive(Clone, Debug)]
pub struct HostLogFilter {
    log: Log,
}

impl HostLogLayer {
    /// A layer over this log, with its filter.
    ///
    /// The layer has a clone of the log, so that the log lives as long as the
    /// subscriber: call [`Log::flush`] before the program exits.
    pub fn new<S>(log: Log) -> Filtered<Self, HostLogFilter, S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let filter = HostLogFilter { log: log.clone() };
        Self { log }.with_filter(filter)
    }
}

fn is_transport(target: &str) -> bool {
    let mut modules = TRANSPORT.iter().chain(&OURS);
    modules.any(|module| {
        let rest = target.strip_prefix(module);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    })
}

impl HostLogFilter {
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        self.log.enabled(*metadata.level()) && !is_transport(metadata.target())
    }
}

impl<S> Filter<S> for HostLogFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.wants(metadata)
    }

    /// Asked once for each callsite, and again when the log's level changes.
    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.wants(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.log.level())
    }
}

/// The fields of a span, kept with the span.
struct SpanFields(Vec<Field>);

impl<S> Layer<S> for HostLogLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, cx: Context<'_, S>) {
        let Some(span) = cx.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().replace(SpanFields(fields.fields));
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, cx: Context<'_, S>) {
        let Some(span) = cx.span(id) else { return };
        let mut new = Fields::default();
        values.record(&mut new);
        if let Some(SpanFields(fields)) = span.extensions_mut().get_mut() {
            fields.retain(|old| new.fields.iter().all(|new| new.name != old.name));
            fields.append(&mut new.fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut record = record(event.metadata(), fields);
        if is_transport(&record.target) {
            return;
        }
        for span in cx.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            let extensions = span.extensions();
            let fields = extensions.get().map(|SpanFields(fields)| fields.clone());
            let name = Cow::Borrowed(span.name());
            record.spans.push(SpanRecord { name, fields: fields.unwrap_or_default() });
        }
        self.log.record(record);
    }
}

fn record(metadata: &Metadata<'static>, mut visited: Fields) -> Record {
    let mut record = Record::new(*metadata.level(), visited.message);
    record.target = Cow::Borrowed(metadata.target());
    record.file = metadata.file().map(Cow::Borrowed);
    record.line = metadata.line();
    record.module = metadata.module_path().map(Cow::Borrowed);
    // What comes from the `log` crate by way of tracing-log has one callsite
    // for each level, and its own origin in these fields.
    if metadata.target() == "log" {
        visited.fields.retain(|field| match (&*field.name, &field.value) {
            ("log.target", Value::Text(target)) => {
                record.target = Cow::Owned(target.clone());
                false
            }
            ("log.module_path", Value::Text(module)) => {
                record.module = Some(Cow::Owned(module.clone()));
                false
            }
            ("log.file", Value::Text(file)) => {
                record.file = Some(Cow::Owned(file.clone()));
                false
            }
            ("log.line", Value::U64(line)) => {
                record.line = u32::try_from(*line).ok();
                false
            }
            _ => true,
        });
    }
    record.fields = visited.fields;
    record
}

/// Collects fields with their types, and the message.
#[derive(Default)]
struct Fields {
    message: String,
    fields: Vec<Field>,
}

impl Fields {
    fn push(&mut self, field: &field::Field, value: impl Into<Value>) {
        self.fields.push(Field { name: Cow::Borrowed(field.name()), value: value.into() });
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &field::Field, value: f64) {
        self.push(field, value);
    }

    fn record_i64(&mut self, field: &field::Field, value: i64) {
        self.push(field, value);
    }

    fn record_u64(&mut self, field: &field::Field, value: u64) {
        self.push(field, value);
    }

    fn record_bool(&mut self, field: &field::Field, value: bool) {
        self.push(field, value);
    }

    fn record_str(&mut self, field: &field::Field, value: &str) {
        match field.name() {
            "message" => self.message = value.to_owned(),
            _ => self.push(field, value),
        }
    }

    fn record_bytes(&mut self, field: &field::Field, value: &[u8]) {
        self.push(field, Bytes::copy_from_slice(value));
    }

    /// With its causes, which `Debug` of many errors does not show.
    fn record_error(&mut self, field: &field::Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        self.push(field, text);
    }

    fn record_debug(&mut self, field: &field::Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            _ => self.push(field, Value::Debug(format!("{value:?}"))),
        }
    }
}

#[cfg(test)]
mod tests;
