//! Where a host puts what its plugins log.

use std::fmt;
use std::fmt::Write;

use tracing::Level;

use crate::services::log::Field;
use crate::services::log::Record;
use crate::services::log::Value;

/// The target of every event that [`TracingSink`] makes.
const TARGET: &str = "trunkline::plugin";

/// Where a host puts what its plugins log. One sink may serve many plugins.
///
/// The methods are called from the task that reads the plugin's log, so they
/// must not block: that would hold up whatever else runs on the same thread.
/// What has to wait for a disk or a network belongs behind a bounded queue.
pub trait LogSink: fmt::Debug + Send + Sync + 'static {
    /// The plugin of this name, which the host gave it, has logged this.
    fn record(&self, plugin: &str, record: Record);

    /// The plugin had to drop so many records, at least 1. They would have come
    /// before the next record.
    fn dropped(&self, plugin: &str, count: u64);
}

/// A [`LogSink`] that makes a tracing event of each record, so that a plugin's
/// log goes where the host's own goes.
///
/// The events have the target `trunkline::plugin`, the record's level and
/// message, and the fields `plugin`, `target`, `spans`, `fields`, `source`
/// (file and line) and, if something was cut off, `cut` (bytes). Their time is
/// that of their arrival.
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingSink;

/// One callsite for each level, since a callsite's level is fixed.
macro_rules! emit {
    ($level:expr, $plugin:expr, $record:expr) => {
        tracing::event!(
            target: TARGET,
            $level,
            plugin = $plugin,
            target = &*$record.target,
            spans = not_empty(&$record.spans).map(|_| tracing::field::display(Path($record))),
            fields = not_empty(&$record.fields).map(|fields| tracing::field::display(Fields(fields))),
            source = $record.file.as_ref().map(|_| tracing::field::display(Source($record))),
            cut = ($record.cut > 0).then_some($record.cut),
            "{}",
            $record.message,
        )
    };
}

impl LogSink for TracingSink {
    fn record(&self, plugin: &str, record: Record) {
        let record = &record;
        match record.level {
            Level::ERROR => emit!(Level::ERROR, plugin, record),
            Level::WARN => emit!(Level::WARN, plugin, record),
            Level::INFO => emit!(Level::INFO, plugin, record),
            Level::DEBUG => emit!(Level::DEBUG, plugin, record),
            Level::TRACE => emit!(Level::TRACE, plugin, record),
        }
    }

    fn dropped(&self, plugin: &str, count: u64) {
        tracing::warn!(target: TARGET, plugin, count, "the plugin had to drop log records");
    }
}

fn not_empty<T>(items: &[T]) -> Option<&[T]> {
    (!items.is_empty()).then_some(items)
}

/// `outer{a=1}:inner`
struct Path<'a>(&'a Record);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, span) in self.0.spans.iter().enumerate() {
            let colon = if i == 0 { "" } else { ":" };
            write!(f, "{colon}{}", Plain(&span.name))?;
            if !span.fields.is_empty() {
                write!(f, "{{{}}}", Fields(&span.fields))?;
            }
        }
        Ok(())
    }
}

/// `a=1 b="two"`
struct Fields<'a>(&'a [Field]);

impl fmt::Display for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, field) in self.0.iter().enumerate() {
            let space = if i == 0 { "" } else { " " };
            write!(f, "{space}{}=", Plain(&field.name))?;
            match &field.value {
                Value::Debug(text) => Plain(text).fmt(f)?,
                value => value.fmt(f)?,
            }
        }
        Ok(())
    }
}

/// `src/main.rs:12`
struct Source<'a>(&'a Record);

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Plain(self.0.file.as_deref().unwrap_or_default()).fmt(f)?;
        self.0.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

/// A plugin's text as it is, but for what would steer a terminal or turn the line around:
/// subscribers escape strings, and nothing that displays itself.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '"' | '\'' | '\\' => f.write_char(c),
            c => write!(f, "{}", c.escape_debug()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;
    use crate::services::log::SpanRecord;

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

    /// What a subscriber writes of what is done.
    fn written(work: impl FnOnce()) -> String {
        let text = Text::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(text.clone())
            .with_max_level(Level::TRACE)
            .without_time()
            .with_ansi(false)
            .finish();
        tracing::subscriber::with_default(subscriber, work);
        String::from_utf8_lossy(&text.0.lock()).into_owned()
    }

    #[test]
    fn nothing_that_a_plugin_says_steers_the_terminal() {
        const EVIL: &str = "a\u{1b}]0;b\u{7}\u{9b}31m\u{202e}\r\nc";
        let mut record = Record::new(Level::WARN, EVIL)
            .with_target(EVIL)
            .with_field(EVIL.to_owned(), EVIL)
            .with_field("debug", Value::Debug(EVIL.into()));
        record.file = Some(EVIL.into());
        record.spans = vec![SpanRecord { name: EVIL.into(), fields: record.fields.clone() }];
        let text = written(|| TracingSink.record("p", record));
        let told = text.strip_suffix('\n').expect("a line");
        // The message is the subscriber's business: this one escapes what begins a sequence.
        let fields = told.split_once(" plugin=").expect("fields after the message").1;
        assert!(!fields.contains(|c: char| c.is_control() || c == '\u{202e}'), "{fields:?}");
        assert!(!told.contains(['\u{1b}', '\u{9b}']), "{told:?}");
    }

    #[test]
    fn the_tracing_sink_makes_an_event_of_a_record_at_its_level() {
        let mut record = Record::new(Level::WARN, "low on space")
            .with_target("my::disk")
            .with_field("free", 12_u64)
            .with_field("path", "a b");
        record.file = Some("src/disk.rs".into());
        record.line = Some(7);
        record.spans = vec![
            SpanRecord { name: "outer".into(), fields: vec![record.fields[0].clone()] },
            SpanRecord { name: "inner".into(), fields: vec![] },
        ];
        let text = written(|| {
            TracingSink.record("p", record);
            for level in [Level::ERROR, Level::INFO, Level::DEBUG, Level::TRACE] {
                let mut bare = Record::new(level, "bare");
                bare.file = None;
                TracingSink.record("p", bare);
            }
            TracingSink.dropped("p", 3);
        });
        let expected = r#" WARN trunkline::plugin: low on space plugin="p" target="my::disk" spans=outer{free=12}:inner fields=free=12 path="a b" source=src/disk.rs:7
ERROR trunkline::plugin: bare plugin="p" target=""
 INFO trunkline::plugin: bare plugin="p" target=""
DEBUG trunkline::plugin: bare plugin="p" target=""
TRACE trunkline::plugin: bare plugin="p" target=""
 WARN trunkline::plugin: the plugin had to drop log records plugin="p" count=3
"#;
        assert_eq!(text, expected);
    }
}
