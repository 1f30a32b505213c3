//! Between the wire's messages and this floor's own types: the only place where
//! what a peer sent becomes typed.

use std::borrow::Cow;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::services::log::Field;
use crate::services::log::Record;
use crate::services::log::SpanRecord;
use crate::services::log::Value;
use crate::services::wire::log as wire;

// The plugin's end writes.

impl From<Record> for wire::Record {
    fn from(record: Record) -> Self {
        let since = record.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            time_unix_nanos: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
            level: level_to_wire(record.level).into(),
            target: record.target.into_owned(),
            message: record.message,
            fields: record.fields.into_iter().map(wire::Field::from).collect(),
            spans: record.spans.into_iter().map(wire::Span::from).collect(),
            file: record.file.map(Cow::into_owned),
            line: record.line,
            module: record.module.map(Cow::into_owned),
            cut: record.cut,
        }
    }
}

impl From<SpanRecord> for wire::Span {
    fn from(span: SpanRecord) -> Self {
        let fields = span.fields.into_iter().map(wire::Field::from).collect();
        Self { name: span.name.into_owned(), fields }
    }
}

impl From<Field> for wire::Field {
    fn from(field: Field) -> Self {
        use wire::field::Value as Wire;
        let value = match field.value {
            Value::Text(text) => Wire::Text(text),
            Value::Bool(value) => Wire::Boolean(value),
            Value::I64(value) => Wire::Signed(value),
            Value::U64(value) => Wire::Unsigned(value),
            Value::F64(value) => Wire::Float(value),
            Value::Bytes(bytes) => Wire::Bytes(bytes),
            Value::Debug(text) => Wire::Debug(text),
        };
        Self { name: field.name.into_owned(), value: Some(value) }
    }
}

fn level_to_wire(level: Level) -> wire::Level {
    match level {
        Level::TRACE => wire::Level::Trace,
        Level::DEBUG => wire::Level::Debug,
        Level::INFO => wire::Level::Info,
        Level::WARN => wire::Level::Warn,
        Level::ERROR => wire::Level::Error,
    }
}

// The host's end reads.

impl From<wire::Record> for Record {
    fn from(record: wire::Record) -> Self {
        let since = Duration::from_nanos(record.time_unix_nanos);
        Self {
            time: UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH),
            level: level_from_wire(record.level()),
            target: record.target.into(),
            message: record.message,
            fields: record.fields.into_iter().map(Field::from).collect(),
            spans: record.spans.into_iter().map(SpanRecord::from).collect(),
            file: record.file.map(Cow::Owned),
            line: record.line,
            module: record.module.map(Cow::Owned),
            cut: record.cut,
        }
    }
}

impl From<wire::Span> for SpanRecord {
    fn from(span: wire::Span) -> Self {
        let fields = span.fields.into_iter().map(Field::from).collect();
        Self { name: span.name.into(), fields }
    }
}

impl From<wire::Field> for Field {
    fn from(field: wire::Field) -> Self {
        use wire::field::Value as Wire;
        let value = match field.value {
            Some(Wire::Text(text)) => Value::Text(text),
            Some(Wire::Boolean(value)) => Value::Bool(value),
            Some(Wire::Signed(value)) => Value::I64(value),
            Some(Wire::Unsigned(value)) => Value::U64(value),
            Some(Wire::Float(value)) => Value::F64(value),
            // A copy, because what came is a slice of a receive buffer.
            Some(Wire::Bytes(bytes)) => Value::Bytes(Bytes::copy_from_slice(&bytes)),
            Some(Wire::Debug(text)) => Value::Debug(text),
            // A type of a newer plugin. The name still says something.
            None => Value::Debug("?".to_owned()),
        };
        Self { name: field.name.into(), value }
    }
}

fn level_from_wire(level: wire::Level) -> Level {
    match level {
        wire::Level::Trace => Level::TRACE,
        wire::Level::Debug => Level::DEBUG,
        wire::Level::Info | wire::Level::Unspecified => Level::INFO,
        wire::Level::Warn => Level::WARN,
        wire::Level::Error => Level::ERROR,
    }
}

// The host's end writes, the plugin's end reads.

pub(super) fn filter_to_wire(filter: LevelFilter) -> wire::Filter {
    match filter {
        LevelFilter::OFF => wire::Filter::Off,
        LevelFilter::ERROR => wire::Filter::Error,
        LevelFilter::WARN => wire::Filter::Warn,
        LevelFilter::INFO => wire::Filter::Info,
        LevelFilter::DEBUG => wire::Filter::Debug,
        LevelFilter::TRACE => wire::Filter::Trace,
    }
}

/// `None`: it changes nothing.
pub(super) fn filter_from_wire(filter: i32) -> Option<LevelFilter> {
    match wire::Filter::try_from(filter) {
        Ok(wire::Filter::Off) => Some(LevelFilter::OFF),
        Ok(wire::Filter::Error) => Some(LevelFilter::ERROR),
        Ok(wire::Filter::Warn) => Some(LevelFilter::WARN),
        Ok(wire::Filter::Info) => Some(LevelFilter::INFO),
        Ok(wire::Filter::Debug) => Some(LevelFilter::DEBUG),
        Ok(wire::Filter::Trace) => Some(LevelFilter::TRACE),
        Ok(wire::Filter::Unspecified) | Err(_) => None,
    }
}
