//! What the two ends of Docker's plugin protocol agree on.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de::IgnoredAny;

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
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Refusal {
    #[serde(rename = "Err", alias = "err")]
    pub(super) err: String,
}

impl Refusal {
    /// What the plugin says went wrong, if this is an answer that says so.
    pub(super) fn of(answer: &[u8]) -> Option<String> {
        let refusal: Self = serde_json::from_slice(answer).ok()?;
        (!refusal.err.is_empty()).then_some(refusal.err)
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
        assert_eq!(Refusal::of(br#"{"Err":"no"}"#), Some("no".to_owned()));
        for answer in [
            &br#"{"Err":""}"#[..],
            b"{}",
            b"",
            b"<html>",
            br#"{"Err":1}"#,
            br#"{"Err":null}"#,
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
