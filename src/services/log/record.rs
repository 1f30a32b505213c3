//! A record of the log, its fields and spans.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;
use std::time::SystemTime;

use bytes::Bytes;
use tracing::Level;

/// One event in a plugin.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Record {
    /// When it was recorded, by the plugin's clock.
    pub time: SystemTime,
    /// How severe it is.
    pub level: Level,
    /// What it is about, by convention the module that made it. May be empty.
    pub target: Cow<'static, str>,
    /// For people. May be empty.
    pub message: String,
    /// Everything else, in the order given.
    pub fields: Vec<Field>,
    /// The spans in which it was recorded, outermost first.
    pub spans: Vec<SpanRecord>,
    /// The plugin's source file, as the compiler named it.
    pub file: Option<Cow<'static, str>>,
    /// The line in that file, from 1.
    pub line: Option<u32>,
    /// The module in that file.
    pub module: Option<Cow<'static, str>>,
    /// Bytes that were cut off because the record was over
    /// [`RECORD_BYTES`](super::RECORD_BYTES). A text that was cut ends in "…".
    pub cut: u64,
}

impl Record {
    /// A record of now, made by the caller's file and line.
    #[track_caller]
    pub fn new(level: Level, message: impl Into<String>) -> Self {
        let caller = Location::caller();
        Self {
            time: SystemTime::now(),
            level,
            target: Cow::Borrowed(""),
            message: message.into(),
            fields: Vec::new(),
            spans: Vec::new(),
            file: Some(Cow::Borrowed(caller.file())),
            line: Some(caller.line()),
            module: None,
            cut: 0,
        }
    }

    /// The same, about this target.
    #[must_use]
    pub fn with_target(mut self, target: impl Into<Cow<'static, str>>) -> Self {
        self.target = target.into();
        self
    }

    /// The same, with one more field.
    #[must_use]
    pub fn with_field(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Value>,
    ) -> Self {
        self.fields.push(Field { name: name.into(), value: value.into() });
        self
    }
}

/// A span that encloses a record.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanRecord {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Its fields as they were at the time of the record.
    pub fields: Vec<Field>,
}

/// A named value.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Its value.
    pub value: Value,
}

/// The value of a field, of the type that it had in the plugin.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A text.
    Text(String),
    /// True or false.
    Bool(bool),
    /// A signed integer.
    I64(i64),
    /// An unsigned integer.
    U64(u64),
    /// A floating-point number.
    F64(f64),
    /// Bytes.
    Bytes(Bytes),
    /// A value of another type, as its `Debug` shows it.
    Debug(String),
}

/// Texts in quotes with escapes, so that one cannot pass for another field;
/// bytes in hexadecimal.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Bool(value) => value.fmt(f),
            Self::I64(value) => value.fmt(f),
            Self::U64(value) => value.fmt(f),
            Self::F64(value) => value.fmt(f),
            Self::Bytes(bytes) => write!(f, "{bytes:x}"),
            Self::Debug(text) => f.write_str(text),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::I64(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::I64(value.into())
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::U64(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::U64(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::F64(value)
    }
}

impl From<Bytes> for Value {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}
