//! What can be wrong with types and with encoded values.

use std::error::Error;
use std::fmt;

use thiserror::Error;

use super::DEPTH_LIMIT;
use super::ELEMENT_LIMIT;
use super::number::ParseNumberError;
use super::path::Path;
use super::path::Step;
use super::refinement::PAYLOAD_LIMIT;

/// JSON that is no type of cty: who sent it is at fault.
#[derive(Debug, Error)]
pub enum TypeError {
    #[error("a type is written in JSON, this is none")]
    Json(#[source] serde_json::Error),
    #[error("there is no type {0:?}")]
    Unknown(String),
    #[error("a type is a name, or an array of a kind and what it is made of")]
    Shape,
    #[error("the attribute {0:?} is optional, but the object does not have it")]
    Optional(String),
    #[error("the type is nested deeper than {DEPTH_LIMIT} levels")]
    TooDeep,
    #[error("the type has more than {ELEMENT_LIMIT} parts")]
    TooMany,
}

/// An encoded value that does not fit its type: who sent or wrote it is at fault.
#[derive(Debug)]
pub struct DecodeError {
    /// Where in the value. Elements of a set are counted here, in the order they came in.
    pub path: Path,
    pub problem: DecodeProblem,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the value{} {}", self.path, self.problem)
    }
}

/// Its cause is what lies behind the problem: the problem itself is in its message.
impl Error for DecodeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.problem.source()
    }
}

/// What is wrong there.
#[derive(Debug, Error)]
pub enum DecodeProblem {
    #[error("ends in the middle")]
    Truncated,
    #[error("is followed by {bytes} bytes more")]
    Trailing { bytes: usize },
    #[error("should be {expected}, and is {found}")]
    Kind { expected: &'static str, found: &'static str },
    #[error("should have {expected} elements, and has {found}")]
    Length { expected: usize, found: usize },
    #[error("lacks the attribute {0:?}")]
    Missing(String),
    #[error("has {0:?}, which its type does not have")]
    Unexpected(String),
    #[error("has {0:?} twice")]
    Duplicate(String),
    #[error("is text that is not UTF-8")]
    NotUtf8,
    #[error("should be a bool, and is a text other than true and false")]
    NotABool,
    #[error("should be a number")]
    Number(#[source] ParseNumberError),
    #[error("is not a number")]
    NaN,
    #[error("comes with something that is no type")]
    Type(#[source] TypeError),
    #[error("is unknown, with a refinement of {bytes} bytes; the most is {PAYLOAD_LIMIT}")]
    LongRefinement { bytes: usize },
    #[error("is unknown, with a refinement that {of} cannot have")]
    Refinement {
        of: &'static str,
        #[source]
        problem: Box<Self>,
    },
    #[error("has the key {0}, which is about other types")]
    Inapplicable(i64),
    #[error("is not JSON")]
    Json(#[source] serde_json::Error),
    #[error("is nested deeper than {DEPTH_LIMIT} levels")]
    TooDeep,
    #[error("is where the whole exceeds {ELEMENT_LIMIT} elements, the most there may be")]
    TooMany,
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
    #[error("should be {expected}, and is {found}")]
    Kind { expected: &'static str, found: &'static str },
    #[error("should have {expected} elements, and has {found}")]
    Length { expected: usize, found: usize },
    #[error("has {0:?}, which its type does not have")]
    Unexpected(String),
    #[error("is not known, which JSON cannot say")]
    Unknown,
    #[error("is infinite, which JSON cannot say")]
    Infinite,
    #[error("is longer than msgpack can say, 4 GiB")]
    TooLong,
    #[error("is nested deeper than {DEPTH_LIMIT} levels")]
    TooDeep,
}

/// An error that finds out where it happened on its way out.
pub trait Inside {
    /// The same error, seen from one step further out.
    fn inside(self, step: Step) -> Self;
}

impl Inside for DecodeError {
    fn inside(mut self, step: Step) -> Self {
        self.path.0.insert(0, step);
        self
    }
}

impl Inside for EncodeError {
    fn inside(mut self, step: Step) -> Self {
        self.path.0.insert(0, step);
        self
    }
}

impl From<DecodeProblem> for DecodeError {
    fn from(problem: DecodeProblem) -> Self {
        Self { path: Path::default(), problem }
    }
}

impl From<EncodeProblem> for EncodeError {
    fn from(problem: EncodeProblem) -> Self {
        Self { path: Path::default(), problem }
    }
}
