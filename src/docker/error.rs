//! Why a call to a plugin failed, and whose fault it is.

use std::io;
use std::time::Duration;

use http::StatusCode;
use thiserror::Error;

use crate::docker::body::BoxError;
use crate::docker::client::TransportError;
use crate::docker::wire::excerpt;

/// The most that is shown of a plugin's own words, in characters: enough for an error with its
/// causes and paths, and not enough to fill a log.
const MAX_WORDS: usize = 1000;

/// Whose doing an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// This side's: what was asked cannot be sent.
    Local,
    /// The plugin's: it refused, or broke the protocol.
    Plugin,
    /// The connection's: there is none, or it was lost, or nothing came on it in time.
    Connection,
}

/// Why a call to a plugin failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CallError {
    /// The name of the method cannot be in a URL. It may have a query after it.
    #[error("{method:?} cannot be the name of a method: it may have letters, digits, . _ - and /")]
    Method {
        /// The name.
        method: String,
    },

    /// The arguments cannot be written as JSON.
    #[error("{method}: the arguments cannot be written as JSON")]
    Encode {
        /// The method.
        method: String,
        /// What is wrong with them.
        source: serde_json::Error,
    },

    /// What was to be sent could not be read.
    #[error("{method}: what was to be sent could not be read")]
    Upload {
        /// The method.
        method: String,
        /// Why not.
        source: io::Error,
    },

    /// The plugin could not be reached, as often as the policy allows. It has not got the
    /// request.
    #[error("{method}: the plugin cannot be reached (attempts: {attempts})")]
    Unreachable {
        /// The method.
        method: String,
        /// How often it was tried.
        attempts: u32,
        /// What went wrong the last time.
        source: TransportError,
    },

    /// The connection was lost before there was an answer. The plugin may have done what was
    /// asked.
    #[error("{method}: the connection was lost before an answer (attempts: {attempts})")]
    Lost {
        /// The method.
        method: String,
        /// How often it was tried.
        attempts: u32,
        /// What went wrong the last time.
        source: TransportError,
    },

    /// The plugin did not answer in time. It may have done what was asked.
    #[error("{method}: no answer in {after:?} (attempts: {attempts})")]
    Timeout {
        /// The method.
        method: String,
        /// How long the last attempt was waited for.
        after: Duration,
        /// How often it was tried.
        attempts: u32,
    },

    /// The plugin answered that it failed: with another status than 200, or with an `Err`.
    #[error("{method}: {}", excerpt(.message.as_bytes(), MAX_WORDS))]
    Refused {
        /// The method.
        method: String,
        /// The status. 200 if the plugin says in the answer alone that it failed.
        status: StatusCode,
        /// The plugin's own words (`Err`) as they came, or else the beginning of what it
        /// answered. They may have line ends and control characters in them: the error
        /// itself shows the first 1000 characters without those.
        message: String,
    },

    /// The answer broke off.
    #[error("{method}: the plugin broke off its answer")]
    Broken {
        /// The method.
        method: String,
        /// How.
        source: BoxError,
    },

    /// The answer is longer than it may be. Nothing of it was kept.
    #[error("{method}: the answer is longer than {limit} bytes")]
    TooLong {
        /// The method.
        method: String,
        /// The limit, in bytes.
        limit: usize,
    },

    /// The answer is not the JSON that was expected.
    #[error("{method}: the answer is not the JSON that was expected: {excerpt}")]
    Malformed {
        /// The method.
        method: String,
        /// The beginning of the answer.
        excerpt: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl CallError {
    /// The method that was called.
    #[must_use]
    pub fn method(&self) -> &str {
        match self {
            Self::Method { method }
            | Self::Encode { method, .. }
            | Self::Upload { method, .. }
            | Self::Unreachable { method, .. }
            | Self::Lost { method, .. }
            | Self::Timeout { method, .. }
            | Self::Refused { method, .. }
            | Self::Broken { method, .. }
            | Self::TooLong { method, .. }
            | Self::Malformed { method, .. } => method,
        }
    }

    /// Whose doing it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Method { .. } | Self::Encode { .. } | Self::Upload { .. } => Fault::Local,
            Self::Unreachable { .. } | Self::Lost { .. } | Self::Timeout { .. } => {
                Fault::Connection
            }
            Self::Refused { .. }
            | Self::Broken { .. }
            | Self::TooLong { .. }
            | Self::Malformed { .. } => Fault::Plugin,
        }
    }

    /// Whether the plugin has certainly not got the request, so that it can be made again.
    #[must_use]
    pub fn has_not_begun(&self) -> bool {
        matches!(self, Self::Method { .. } | Self::Encode { .. } | Self::Unreachable { .. })
    }

    /// The status that the plugin refused with, if it did.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the plugin answered that there is no such thing (status 404): as a rule, that
    /// it does not have the method.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(StatusCode::NOT_FOUND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: StatusCode) -> CallError {
        CallError::Refused { method: "X.Y".into(), status, message: "gone".into() }
    }

    #[test]
    fn a_refusal_is_told_as_docker_tells_it() {
        assert_eq!(refused(StatusCode::CONFLICT).to_string(), "X.Y: gone");
        assert_eq!(refused(StatusCode::CONFLICT).fault(), Fault::Plugin);
        assert!(!refused(StatusCode::CONFLICT).has_not_begun());
    }
}
