//! Writes a record as a line that go-plugin's hosts read.

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use time::Duration;
use time::OffsetDateTime;
use tracing::Level;

use crate::services::log::Field;
use crate::services::log::Record;
use crate::services::log::Value;
use crate::services::log::clip::MARK;
use crate::services::log::hclog::key;

/// The longest line, in bytes, with its newline. A go-plugin host reads 64 KiB
/// at once and does not parse a line that is longer (`PluginLogBufferSize`).
pub(crate) const LONGEST_LINE: usize = 64 * 1024 - 1;

/// The most that a module or a caller takes of it, as JSON.
const LONGEST_NAME: usize = 1024;

/// What comes after the last field at most, if something was cut off.
const LONGEST_TAIL: usize = r#","@cut":18446744073709551615}"#.len() + "\n".len();

/// A go-plugin host reads every number as a float64. Integers are exact in it
/// up to this one; larger ones are written as texts.
const EXACT: u64 = 1 << 53;

/// The record as one JSON object and a newline, at most [`LONGEST_LINE`] bytes.
///
/// The module is the record's target, or `module` if it has none. Fields are
/// keys of their own, of a span and what is in it the innermost wins. One of
/// which the name means something to hclog gets a `_` behind it. Names of
/// spans are left out.
///
/// What does not fit is cut off, fields first, the last ones before others. A
/// text that was cut ends in "…", and `@cut` says how many bytes are missing.
///
/// The time has six fractional digits, neither more nor less, because the host
/// takes a line with any other for plain text. Out of the years 0 to 9999 there
/// is none.
pub(crate) fn line(record: &Record, module: &str) -> String {
    let mut line = Line { json: String::from("{"), cut: record.cut };
    line.text(key::LEVEL, level(record.level), LONGEST_NAME);
    if let Some(time) = timestamp(record.time) {
        line.text(key::TIMESTAMP, &time, LONGEST_NAME);
    }
    let target = if record.target.is_empty() { module } else { &record.target };
    line.text(key::MODULE, target, LONGEST_NAME);
    if let (Some(file), Some(number)) = (&record.file, record.line) {
        line.text(key::CALLER, &format!("{file}:{number}"), LONGEST_NAME);
    }
    line.text(key::MESSAGE, &record.message, LONGEST_LINE);
    for field in fields(record) {
        line.field(field);
    }
    line.finish()
}

struct Line {
    json: String,
    /// Bytes that were cut off.
    cut: u64,
}

impl Line {
    fn field(&mut self, field: &Field) {
        let name = name(&field.name);
        match &field.value {
            Value::Text(text) | Value::Debug(text) => self.text(&name, text, LONGEST_LINE),
            Value::Bool(value) => self.literal(&name, &value.to_string()),
            Value::I64(value) if value.unsigned_abs() <= EXACT => {
                self.literal(&name, &value.to_string());
            }
            Value::U64(value) if *value <= EXACT => self.literal(&name, &value.to_string()),
            Value::F64(value) if value.is_finite() => {
                self.literal(&name, &serde_json::Value::from(*value).to_string());
            }
            value => self.text(&name, &value.to_string(), LONGEST_LINE),
        }
    }

    /// A member that is a string, of which the JSON has at most so many bytes.
    fn text(&mut self, name: &str, text: &str, most: usize) {
        let name = self.name(name);
        let room = self.room().saturating_sub(name.len()).min(most);
        match quoted(text, room) {
            Some((value, cut)) => {
                self.json += &name;
                self.json += &value;
                self.cut += cut as u64;
            }
            None => self.cut += text.len().max(1) as u64,
        }
    }

    /// A member that is there as it is, or not at all.
    fn literal(&mut self, name: &str, value: &str) {
        let name = self.name(name);
        if name.len() + value.len() <= self.room() {
            self.json += &name;
            self.json += value;
        } else {
            self.cut += value.len() as u64;
        }
    }

    fn name(&self, name: &str) -> String {
        let comma = if self.json.len() > 1 { "," } else { "" };
        format!("{comma}{}:", quote(name))
    }

    fn room(&self) -> usize {
        (LONGEST_LINE - LONGEST_TAIL).saturating_sub(self.json.len())
    }

    fn finish(mut self) -> String {
        if self.cut > 0 {
            self.json += &format!(",{}:{}", quote(key::CUT), self.cut);
        }
        self.json += "}\n";
        self.json
    }
}

/// The fields of the record and of its spans, one of each name.
fn fields(record: &Record) -> impl Iterator<Item = &Field> {
    let outer = record.spans.iter().flat_map(|span| &span.fields);
    let all = outer.chain(&record.fields).collect::<Vec<_>>();
    let mut seen = HashSet::new();
    let last = all.into_iter().rev().filter(|field| seen.insert(&field.name));
    let mut last = last.collect::<Vec<_>>();
    last.reverse();
    last.into_iter()
}

/// The name of a field, out of the way of hclog's keys. Different names stay
/// different.
pub(super) fn name(name: &str) -> Cow<'_, str> {
    if key::ALL.contains(&name.trim_end_matches('_')) {
        return Cow::Owned(format!("{name}_"));
    }
    Cow::Borrowed(name)
}

fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The text as JSON of at most `room` bytes, and how many bytes of the text are
/// missing. `None`: there is no room for any text.
fn quoted(text: &str, room: usize) -> Option<(String, usize)> {
    let json = quote(text);
    if json.len() <= room {
        return Some((json, 0));
    }
    let mut left = room.checked_sub(r#""""#.len() + MARK.len())?;
    let first_that_does_not_fit = text.char_indices().find(|(_, character)| {
        let size = size_in_json(*character);
        let fits = size <= left;
        left = left.saturating_sub(size);
        !fits
    });
    let kept = first_that_does_not_fit.map_or(text.len(), |(at, _)| at);
    Some((quote(&format!("{}{MARK}", &text[..kept])), text.len() - kept))
}

fn size_in_json(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => r"\u0000".len(),
        other => other.len_utf8(),
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::TRACE => "trace",
        Level::DEBUG => "debug",
        Level::INFO => "info",
        Level::WARN => "warn",
        Level::ERROR => "error",
    }
}

fn timestamp(time: SystemTime) -> Option<String> {
    let since = match time.duration_since(UNIX_EPOCH) {
        Ok(since) => Duration::try_from(since).ok()?,
        Err(before) => -Duration::try_from(before.duration()).ok()?,
    };
    let time = OffsetDateTime::UNIX_EPOCH.checked_add(since)?;
    let year = u16::try_from(time.year()).ok()?;
    let (date, month) = (time.day(), u8::from(time.month()));
    let (hour, minute, second) = time.to_hms();
    let micros = time.microsecond();
    Some(format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z"))
}
