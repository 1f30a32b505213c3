//! Reads a line of a plugin's standard error, whatever it is.

use std::fmt;
use std::time::SystemTime;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::Level;

use crate::services::log::Field;
use crate::services::log::Record;
use crate::services::log::Value;
use crate::services::log::hclog::key;

/// What a line that is not hclog's may begin with to have a level, as in
/// go-plugin's `logStderr`.
const TAGS: [(&str, Level); 5] = [
    ("[TRACE]", Level::TRACE),
    ("[DEBUG]", Level::DEBUG),
    ("[INFO]", Level::INFO),
    ("[WARN]", Level::WARN),
    ("[ERROR]", Level::ERROR),
];

/// How the last words of a Go program begin. A stack trace follows.
const LAST_WORDS: [&str; 2] = ["panic: ", "fatal error: "];

/// Reads the lines of one plugin's standard error, in their order.
///
/// * A JSON object with a string `@level` that hclog knows is a record.
///   `@message`, `@module` (the target), `@timestamp` (any RFC 3339 time) and
///   `@caller` (`file:line`) are taken out, all other keys are its fields, in
///   their order. A time or a caller that cannot be read stays a field.
/// * Any other line with a tag such as `[WARN]`, which stays in the text, is a message of
///   that level, and so is every line from a Go program's `panic: ` or `fatal error: ` on,
///   at ERROR.
/// * The rest is no log. go-plugin logs it at DEBUG; here it is for the caller to show.
///
/// No line makes it fail, and nothing of a line is lost. It keeps nothing of a
/// line, and its stack does not grow with one: the caller limits their length.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// The plugin has said its last words.
    last_words: bool,
}

impl Lines {
    /// The record that a line without its end stands for. `None` if it is no log: what a
    /// program has just printed.
    pub(crate) fn parse(&mut self, line: &str) -> Option<Record> {
        object(line).or_else(|| Some(bare(self.level(line)?, line)))
    }

    fn level(&mut self, line: &str) -> Option<Level> {
        if let Some((_, level)) = TAGS.iter().find(|(tag, _)| line.starts_with(tag)) {
            return Some(*level);
        }
        self.last_words |= LAST_WORDS.iter().any(|words| line.starts_with(words));
        self.last_words.then_some(Level::ERROR)
    }
}

/// A record that was not made by a line of this program.
fn bare(level: Level, message: &str) -> Record {
    Record { file: None, line: None, ..Record::new(level, message) }
}

/// `None`: it is not hclog's.
fn object(line: &str) -> Option<Record> {
    if !line.trim_start().starts_with('{') {
        return None;
    }
    let Members(members) = serde_json::from_str(line).ok()?;
    let mut level = None;
    let mut record = bare(Level::INFO, "");
    for (name, value) in members {
        let known = match name.as_str() {
            key::LEVEL => {
                level = Some(level_from(&text(value)?)?);
                true
            }
            key::MESSAGE => {
                record.message = text(value)?;
                true
            }
            key::MODULE => {
                record.target = text(value)?.into();
                true
            }
            key::CUT => {
                record.cut = value.get().parse().ok()?;
                true
            }
            key::TIMESTAMP => {
                let time = time_from(&text(value)?);
                record.time = time.unwrap_or(record.time);
                time.is_some()
            }
            key::CALLER => {
                let caller = caller_from(&text(value)?);
                let known = caller.is_some();
                if let Some((file, line)) = caller {
                    record.file = Some(file.into());
                    record.line = Some(line);
                }
                known
            }
            _ => false,
        };
        if !known {
            record.fields.push(Field { name: name.into(), value: typed(value) });
        }
    }
    record.level = level?;
    Some(record)
}

/// As hclog's `LevelFromString`.
fn level_from(text: &str) -> Option<Level> {
    match text.trim().to_ascii_lowercase().as_str() {
        "trace" => Some(Level::TRACE),
        "debug" => Some(Level::DEBUG),
        "info" => Some(Level::INFO),
        "warn" => Some(Level::WARN),
        "error" => Some(Level::ERROR),
        _ => None,
    }
}

fn time_from(text: &str) -> Option<SystemTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(SystemTime::from)
}

fn caller_from(text: &str) -> Option<(String, u32)> {
    let (file, line) = text.rsplit_once(':')?;
    Some((file.to_owned(), line.parse().ok()?))
}

fn text(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// A string, a bool or a number as what it is. Everything else as its JSON
/// text, also an integer that would not be exact as a number.
fn typed(value: &RawValue) -> Value {
    let json = value.get();
    let typed = match json.as_bytes().first() {
        Some(b'"') => text(value).map(Value::Text),
        Some(b't') => Some(Value::Bool(true)),
        Some(b'f') => Some(Value::Bool(false)),
        Some(b'-' | b'0'..=b'9') => number(json),
        _ => None,
    };
    typed.unwrap_or_else(|| Value::Debug(json.to_owned()))
}

fn number(json: &str) -> Option<Value> {
    if json.contains(['.', 'e', 'E']) {
        let number = json.parse::<f64>().ok()?;
        return number.is_finite().then_some(Value::F64(number));
    }
    let unsigned = json.parse().map(Value::U64);
    unsigned.or_else(|_| json.parse().map(Value::I64)).ok()
}

/// The members of a JSON object in their order, the values not looked into:
/// however deep one is, it is read without recursion.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}
