//! Numbers, without loss.
//!
//! cty has one type of numbers: binary floats of any size, of which those that come from
//! text keep 512 bits. A number here keeps all of its digits; the two differ from the 155th
//! digit on, where go-cty rounds.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::decimal::Decimal;

/// A number of cty. It is exact, and compares by value: the float nearest to a tenth is not
/// equal to `0.1`.
///
/// Displayed as Terraform prints it: in decimal, without an exponent. That of a float has
/// just the digits that tell it from other floats.
#[derive(Clone, Debug)]
pub struct Number(Kind);

/// What no earlier kind can hold exactly, a later one does.
#[derive(Clone, Debug)]
enum Kind {
    Integer(i64),
    /// Has a fraction, was a float when it came from outside, or is infinite. Never NaN.
    Float(f64),
    Decimal(Box<Decimal>),
}

/// How a number is written in msgpack and in JSON.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Written {
    Integer(i64),
    Float(f64),
    /// In decimal, without an exponent.
    Text(String),
}

/// A text that is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ParseNumberError {
    /// It is not written like one.
    #[error("is not written like a decimal number")]
    Syntax,
    /// Without its exponent it has more than [`DIGITS_LIMIT`] digits on a side of the point.
    #[error("has more than {DIGITS_LIMIT} digits before or after the point")]
    TooLong,
}

/// The most digits on either side of the point. A float has 1074 at most; what is longer
/// would be a few bytes that print as gigabytes.
pub const DIGITS_LIMIT: usize = 4096;

impl Number {
    /// The number that the float is, exactly. None for NaN, which cty does not have.
    #[must_use]
    pub fn from_f64(float: f64) -> Option<Self> {
        // 2^63 and its negative are floats. The maximum of an i64 is none.
        const END: f64 = 9_223_372_036_854_775_808.0;
        let fits = float.fract() == 0.0 && (-END..END).contains(&float);
        match float {
            float if float.is_nan() => None,
            float if fits => Some(Self(Kind::Integer(float as i64))),
            float => Some(Self(Kind::Float(float))),
        }
    }

    /// As an integer, if it is one that fits.
    #[must_use]
    pub const fn as_i64(&self) -> Option<i64> {
        match self.0 {
            Kind::Integer(integer) => Some(integer),
            Kind::Float(_) | Kind::Decimal(_) => None,
        }
    }

    /// The nearest float; infinite for what is beyond all of them.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        match &self.0 {
            Kind::Integer(integer) => *integer as f64,
            Kind::Float(float) => *float,
            Kind::Decimal(decimal) => decimal.to_f64(),
        }
    }

    /// Whether it is beyond all numbers, and not only beyond all floats.
    #[must_use]
    pub const fn is_infinite(&self) -> bool {
        matches!(self.0, Kind::Float(float) if float.is_infinite())
    }

    /// How msgpack has it, by go-cty's rule: an integer if it fits, a float only if it has a
    /// fraction (or is infinite) and is exact, else text. A float beyond all `i64` thus turns
    /// into its shortest digits, which is not the same number.
    pub(super) fn in_msgpack(&self) -> Written {
        match &self.0 {
            Kind::Integer(integer) => Written::Integer(*integer),
            Kind::Float(float) if float.is_infinite() || float.fract() != 0.0 => {
                Written::Float(*float)
            }
            Kind::Float(_) | Kind::Decimal(_) => Written::Text(self.to_string()),
        }
    }

    /// How JSON has it: as a number if those who read floats print the same digits again,
    /// else as text, which cty takes for a number. None: infinite, which JSON has not.
    pub(super) fn in_json(&self) -> Option<Written> {
        let float = self.to_f64();
        match &self.0 {
            Kind::Integer(integer) => Some(Written::Integer(*integer)),
            Kind::Float(_) => float.is_finite().then_some(Written::Float(float)),
            Kind::Decimal(decimal) => {
                let read: Option<Decimal> = float.to_string().parse().ok();
                let survives = read.as_ref() == Some(&**decimal);
                let text = || Written::Text(decimal.to_string());
                Some(if survives { Written::Float(float) } else { text() })
            }
        }
    }

    fn from_decimal(decimal: Decimal) -> Self {
        if let Some(integer) = decimal.as_i64() {
            return Self(Kind::Integer(integer));
        }
        // Floats without a fraction are left to those that were floats before: they print
        // with fewer digits.
        if let Some(float) = decimal.as_f64().filter(|float| float.fract() != 0.0) {
            return Self(Kind::Float(float));
        }
        Self(Kind::Decimal(Box::new(decimal)))
    }

    /// All of its digits.
    fn exact(&self) -> Decimal {
        match &self.0 {
            Kind::Integer(integer) => Decimal::from(*integer),
            Kind::Float(float) => Decimal::from_f64(*float),
            Kind::Decimal(decimal) => (**decimal).clone(),
        }
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Kind::Integer(one), Kind::Integer(two)) => one.cmp(two),
            (Kind::Float(one), Kind::Float(two)) => one.total_cmp(two),
            (Kind::Decimal(one), Kind::Decimal(two)) => one.cmp(two),
            // The nearest floats are in the same order, where they differ: only where they
            // do not, all the digits of a float need be written out.
            _ => match self.to_f64().partial_cmp(&other.to_f64()) {
                Some(order @ (Ordering::Less | Ordering::Greater)) => order,
                Some(Ordering::Equal) | None => self.exact().cmp(&other.exact()),
            },
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number {}

impl From<i64> for Number {
    fn from(integer: i64) -> Self {
        Self(Kind::Integer(integer))
    }
}

impl From<i32> for Number {
    fn from(integer: i32) -> Self {
        Self::from(i64::from(integer))
    }
}

impl From<u64> for Number {
    fn from(integer: u64) -> Self {
        Self::from_decimal(Decimal::from(integer))
    }
}

/// Reads decimal text, with an exponent or without, and `Inf`.
impl FromStr for Number {
    type Err = ParseNumberError;

    fn from_str(text: &str) -> Result<Self, ParseNumberError> {
        match text {
            "Inf" | "inf" | "+Inf" | "+inf" => Ok(Self(Kind::Float(f64::INFINITY))),
            "-Inf" | "-inf" => Ok(Self(Kind::Float(f64::NEG_INFINITY))),
            text => text.parse().map(Self::from_decimal),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Integer(integer) => write!(f, "{integer}"),
            Kind::Float(float) if float.is_infinite() => {
                f.write_str(if *float > 0.0 { "+Inf" } else { "-Inf" })
            }
            Kind::Float(float) => write!(f, "{float}"),
            Kind::Decimal(decimal) => write!(f, "{decimal}"),
        }
    }
}
