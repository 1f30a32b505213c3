//! Tracing events, as a test sees them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Once;

use parking_lot::Mutex;
use tracing::Subscriber;
use tracing::field::Field;
use tracing::field::Visit;
use tracing::level_filters::LevelFilter;
use tracing::span;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

use super::system::eventually;

/// A tracing event as it arrived.
#[derive(Clone, Debug)]
pub struct Captured {
    pub level: tracing::Level,
    pub target: String,
    /// With the message as `message`.
    pub fields: BTreeMap<String, String>,
    /// Outermost first: name and fields.
    pub spans: Vec<(String, BTreeMap<String, String>)>,
}

impl Captured {
    pub fn message(&self) -> &str {
        self.fields.get("message").map_or("", String::as_str)
    }
}

/// Takes in the tracing events of this thread, from INFO up, while it exists: all of
/// a test whose runtime has no other thread.
pub struct Capture {
    events: Arc<Mutex<Vec<Captured>>>,
}

thread_local! {
    static CAPTURE: RefCell<Option<Arc<Mutex<Vec<Captured>>>>> = const { RefCell::new(None) };
}

impl Capture {
    /// Sets up one subscriber for all threads. With one for each thread, `tracing`
    /// may take a callsite for unwanted that a thread without any has come to first.
    pub fn start() -> Self {
        static SUBSCRIBER: Once = Once::new();
        SUBSCRIBER.call_once(|| {
            let layer = CaptureLayer.with_filter(LevelFilter::INFO);
            let subscriber = tracing_subscriber::registry().with(layer);
            tracing::subscriber::set_global_default(subscriber).expect("the first");
        });
        let events = Arc::new(Mutex::new(Vec::new()));
        CAPTURE.set(Some(events.clone()));
        Self { events }
    }

    pub fn all(&self) -> Vec<Captured> {
        self.events.lock().clone()
    }

    /// The lines that plugins wrote: to standard output, or to standard error.
    pub fn lines(&self, pipe: &str) -> Vec<Captured> {
        let target = format!("trunkline::plugin::{pipe}");
        self.all().into_iter().filter(|event| event.target == target).collect()
    }

    /// Waits for a line on standard output that begins so; the rest of it.
    pub async fn line(&self, start: &str) -> String {
        let what = format!("a plugin says {start:?}");
        eventually(&what, || {
            let lines = self.lines("stdout");
            lines.iter().find_map(|line| line.message().strip_prefix(start).map(str::to_owned))
        })
        .await
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        CAPTURE.set(None);
    }
}

struct CaptureLayer;

#[derive(Default)]
struct Texts(BTreeMap<String, String>);

impl Visit for Texts {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for CaptureLayer {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, cx: Context<'_, S>) {
        let mut texts = Texts::default();
        attributes.record(&mut texts);
        cx.span(id).expect("it is new").extensions_mut().insert(texts);
    }

    fn on_event(&self, event: &tracing::Event<'_>, cx: Context<'_, S>) {
        let Some(events) = CAPTURE.with_borrow(Option::clone) else {
            return;
        };
        let mut texts = Texts::default();
        event.record(&mut texts);
        let spans = cx.event_scope(event).into_iter().flat_map(|scope| scope.from_root());
        let spans = spans.map(|span| {
            let fields = span.extensions().get::<Texts>().map(|texts| texts.0.clone());
            (span.name().to_owned(), fields.unwrap_or_default())
        });
        let metadata = event.metadata();
        events.lock().push(Captured {
            level: *metadata.level(),
            target: metadata.target().to_owned(),
            fields: texts.0,
            spans: spans.collect(),
        });
    }
}
