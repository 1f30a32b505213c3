//! What a method answers when it fails.

use std::error::Error;
use std::fmt;

use http::StatusCode;

use crate::docker::wire::in_one_line;

/// Why a method failed, in words that are shown to people: `Err` of the answer.
///
/// Any error becomes one by `?`, with its causes. It is no error itself, which is what makes
/// that possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    status: StatusCode,
    message: String,
}

impl Failure {
    /// A failure with status 500, which is what Docker's own plugins answer.
    pub fn new(message: impl Into<String>) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, message: message.into() }
    }

    /// A failure with status 404. Docker takes it to say that there is no such *method*; it
    /// is seldom right for a volume that is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(message).with_status(StatusCode::NOT_FOUND)
    }

    /// The same with another status. One of success is not sent: what fails must not look as
    /// if it had not, so it is 500.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        let is_failure = status.is_client_error() || status.is_server_error();
        self.status = if is_failure { status } else { StatusCode::INTERNAL_SERVER_ERROR };
        self
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The words.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(in_one_line(&error))
    }
}
