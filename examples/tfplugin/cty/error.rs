//! What can be wrong with types and with encoded values.

use thiserror::Error;

use super::number::ParseNumberError;
use super::path::Path;

/// Bytes that are no type of cty.
#[derive(Debug, Error)]
pub enum TypeError {
    #[error("a type of cty is JSON, this is not")]
    Json(#[source] serde_json::Error),
}

/// An encoded value that does not fit its type: who sent it is at fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the value{path} {problem}")]
pub struct DecodeError {
    /// Where in the value. An element of a set is counted here, in the order it was sent.
    pub path: Path,
    pub problem: DecodeProblem,
}

/// What is wrong there.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeProblem {
    #[error("is not a number: {0}")]
    Number(ParseNumberError),
}

/// A value that cannot be encoded as its type: this program is at fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the value{path} {problem}")]
pub struct EncodeError {
    /// Where in the value.
    pub path: Path,
    pub problem: EncodeProblem,
}

/// What is wrong there.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EncodeProblem {
    #[error("is not known, which JSON cannot say")]
    Unknown,
}
