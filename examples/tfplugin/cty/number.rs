//! Numbers, without loss.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A number of cty. It is exact, whatever its size, and compares by value: the float nearest
/// to a tenth is not equal to `0.1`.
///
/// Displayed as Terraform prints it: in decimal, without an exponent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(i64);

/// A text that is no number.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParseNumberError {
    /// It is not written like one.
    #[error("a number is required, in decimal")]
    Syntax,
    /// It has more digits than [`DIGITS_LIMIT`] without an exponent.
    #[error("a number has at most {DIGITS_LIMIT} digits")]
    TooLong,
}

/// The most digits of a number that is written without an exponent. Every float has fewer
/// than 1100; what is longer would be a few bytes that print as gigabytes.
pub const DIGITS_LIMIT: usize = 4096;

impl Number {
    /// The number that the float is, exactly. None if it is not a number.
    #[must_use]
    pub fn from_f64(_float: f64) -> Option<Self> {
        unimplemented!()
    }

    /// As an integer, if it is one that fits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        unimplemented!()
    }

    /// The nearest float.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        unimplemented!()
    }
}

impl From<i64> for Number {
    fn from(_integer: i64) -> Self {
        unimplemented!()
    }
}

impl From<u64> for Number {
    fn from(_integer: u64) -> Self {
        unimplemented!()
    }
}

/// Reads decimal text, with an exponent or without.
impl FromStr for Number {
    type Err = ParseNumberError;

    fn from_str(_text: &str) -> Result<Self, ParseNumberError> {
        unimplemented!()
    }
}

impl fmt::Display for Number {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        unimplemented!()
    }
}
