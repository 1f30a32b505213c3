//! What the two ends of Docker's plugin protocol agree on.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde_json::Value;

/// The name that Docker gives to this protocol.
pub const PROTOCOL: &str = "moby.plugins.http/v1";

/// What both ends call their messages: the `Accept` of a request, the `Content-Type` of an
/// answer. Nobody checks it: plugins in Go answer with `v1.1`, and others with what they like.
pub const MEDIA_TYPE: &str = "application/vnd.docker.plugins.v1.2+json";

/// The method by which a plugin says what it implements.
pub(super) const ACTIVATE: &str = "Plugin.Activate";

/// The most that a JSON message may have, in bytes, unless a client or plugin says
/// otherwise: 16 MiB. The longest that Docker knows is a list of volumes, which has some
/// fifty thousand of them in that size. What is larger belongs into a stream.
pub const MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// The most that the head of a request or an answer may have, in bytes: 64 KiB, many times
/// what the protocol needs.
pub(super) const MAX_HEAD: usize = 64 * 1024;

/// What a plugin says of itself when it is activated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The interfaces that the plugin implements, such as `VolumeDriver`.
    #[serde(rename = "Implements", alias = "implements", default, deserialize_with = "or_none")]
    pub implements: Vec<String>,
}

impl Manifest {
    /// Whether the plugin implements this interface.
    #[must_use]
    pub fn has(&self, interface: &str) -> bool {
        self.implements.iter().any(|implemented| implemented == interface)
    }
}

/// Go writes a list that is empty as `null`.
fn or_none<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    Option::deserialize(input).map(Option::unwrap_or_default)
}

/// A message that says nothing: for methods without arguments, or without a result.
///
/// It is written as `{}`, and read from any JSON and from no body at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Empty {}

impl<'de> Deserialize<'de> for Empty {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(input)?;
        Ok(Self {})
    }
}

/// The answer of a method that has failed.
#[derive(Debug, Serialize)]
pub(super) struct Refusal {
    #[serde(rename = "Err")]
    pub(super) err: String,
}

impl Refusal {
    /// What the plugin says went wrong, if this is an answer that says so: with anything but
    /// `null` and the empty text. What is no text is shown as JSON.
    pub(super) fn of(answer: &[u8]) -> Option<String> {
        serde_json::from_slice::<Said>(answer).ok()?.0
    }
}

/// What an object says in its `Err`, or `err`, however often and in whatever type it is there.
struct Said(Option<String>);

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_map(SaidVisitor)
    }
}

struct SaidVisitor;

impl<'de> Visitor<'de> for SaidVisitor {
    type Value = Said;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Said, M::Error> {
        let mut said = None;
        while let Some(key) = map.next_key::<String>()? {
            if key != "Err" && key != "err" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let words = match map.next_value()? {
                Value::Null => continue,
                Value::String(words) if words.is_empty() => continue,
                Value::String(words) => words,
                other => other.to_string(),
            };
            said.get_or_insert(words);
        }
        Ok(Said(said))
    }
}

/// An error and its causes, in one line, for a text that is all the other end gets.
pub(super) fn in_one_line(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // An error that is passed through says the same as its cause.
        let said = error.to_string();
        if !line.ends_with(&said) {
            line.push_str(": ");
            line.push_str(&said);
        }
        cause = error.source();
    }
    line
}

/// The beginning of what a plugin has sent, on one line, for people: whatever is in it. It has
/// at most so many characters, and one that says that there is more.
pub(super) fn excerpt(sent: &[u8], most: usize) -> String {
    // A character has up to four bytes, and what is no text becomes three for one.
    let start = sent.get(..8 * most).unwrap_or(sent);
    let text = String::from_utf8_lossy(start);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let visible = words.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
    let mut excerpt: String = visible.take(most).collect();
    if words.chars().nth(most).is_some() || start.len() < sent.len() {
        excerpt.push('…');
    }
    excerpt
}

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.implements.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(json: &str) -> Vec<String> {
        serde_json::from_str::<Manifest>(json).unwrap().implements
    }

    #[test]
    fn a_manifest_is_read_as_go_writes_it() {
        assert_eq!(manifest(r#"{"Implements":["VolumeDriver","x"]}"#), ["VolumeDriver", "x"]);
        assert!(manifest(r#"{"Implements":null}"#).is_empty());
        assert!(manifest("{}").is_empty());
        assert_eq!(manifest(r#"{"implements":["x"],"Other":1}"#), ["x"]);
        let written = Manifest { implements: vec!["authz".to_owned()] };
        assert_eq!(serde_json::to_string(&written).unwrap(), r#"{"Implements":["authz"]}"#);
    }

    #[test]
    fn nothing_is_written_as_an_object_and_read_from_anything() {
        assert_eq!(serde_json::to_string(&Empty {}).unwrap(), "{}");
        for json in ["{}", "null", "[1]", r#"{"a":{"b":2}}"#, "\"x\""] {
            assert_eq!(serde_json::from_str::<Empty>(json).unwrap(), Empty {});
        }
    }

    #[test]
    fn only_an_err_that_says_something_is_a_refusal() {
        for (answer, words) in [
            (r#"{"Err":"no"}"#, "no"),
            (r#"{"err":"no"}"#, "no"),
            (r#"{"Err":"full","err":"full"}"#, "full"),
            (r#"{"Err":"","Other":[1],"err":"full"}"#, "full"),
            (r#"{"Err":{"code":7}}"#, r#"{"code":7}"#),
            (r#"{"Err":1}"#, "1"),
        ] {
            assert_eq!(Refusal::of(answer.as_bytes()).as_deref(), Some(words), "{answer}");
        }
        for answer in [
            &br#"{"Err":""}"#[..],
            b"{}",
            b"",
            b"<html>",
            b"[]",
            br#"{"Err":null}"#,
            br#"{"Err":"","err":null}"#,
            b"null",
        ] {
            assert_eq!(Refusal::of(answer), None);
        }
    }

    #[test]
    fn causes_are_told_in_one_line_and_once() {
        let cause = std::io::Error::other("the disk is full");
        let error = std::io::Error::other(Passed(cause));
        assert_eq!(in_one_line(&error), "cannot write: the disk is full");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("cannot write")]
    struct Passed(#[source] std::io::Error);
}
