//! Decimal digits with a point among them: what numbers are beyond integers and floats.

use std::cmp::Ordering;
use std::fmt;
use std::num::IntErrorKind;
use std::str::FromStr;

use super::number::DIGITS_LIMIT;
use super::number::ParseNumberError;

/// A decimal number, each in only one way: as `0.d₁d₂d₃… × 10^exponent`, where neither the
/// first nor the last digit is 0. Zero has no digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    exponent: i64,
    digits: String,
}

impl Decimal {
    /// The number that stands there: the digits before the point, those after it, and an
    /// exponent.
    fn new(negative: bool, integer: &str, fraction: &str, exponent: i64) -> Self {
        let all = [integer, fraction].concat();
        let digits = all.trim_start_matches('0');
        let zeros = all.len() - digits.len();
        let digits = digits.trim_end_matches('0');
        if digits.is_empty() {
            return Self { negative: false, exponent: 0, digits: String::new() };
        }
        let exponent = exponent.saturating_add(integer.len() as i64 - zeros as i64);
        Self { negative, exponent, digits: digits.to_owned() }
    }

    /// All the digits of a float. An infinite one is farther than everything else.
    pub fn from_f64(float: f64) -> Self {
        // As many digits as it has: none of them is rounded away.
        let digits = fraction_bits(float);
        let infinite =
            || Self { negative: float < 0.0, exponent: i64::MAX, digits: "1".to_owned() };
        format!("{float:.digits$}").parse().unwrap_or_else(|_| infinite())
    }

    /// As an integer, if it is one that fits.
    pub fn as_i64(&self) -> Option<i64> {
        // No i64 has more digits than 19; do not write out the zeros of what is longer.
        (self.fraction_digits() == 0 && self.exponent <= 19)
            .then(|| self.to_string().parse().ok())
            .flatten()
    }

    /// As a float, if it is one, digit by digit.
    pub fn as_f64(&self) -> Option<f64> {
        let float = self.to_f64();
        // With another number of digits behind the point it is another number: no need to
        // write out the digits of the float, of which there may be a thousand.
        let same_length = fraction_bits(float) as i64 == self.fraction_digits();
        (same_length && Self::from_f64(float) == *self).then_some(float)
    }

    /// The nearest float.
    pub fn to_f64(&self) -> f64 {
        let sign = if self.negative { "-" } else { "" };
        let text = format!("{sign}0.{}e{}", self.digits, self.exponent);
        // Every text like this is a float to the standard library, if only 0 or infinite.
        text.parse().unwrap_or(f64::NAN)
    }

    /// The digits behind the point, without zeros at the end.
    fn fraction_digits(&self) -> i64 {
        (self.digits.len() as i64).saturating_sub(self.exponent).max(0)
    }

    /// -1, 0 or 1.
    fn sign(&self) -> i8 {
        match self.digits.is_empty() {
            true => 0,
            false if self.negative => -1,
            false => 1,
        }
    }
}

/// How many binary digits a float has behind the point: it has as many decimal ones.
fn fraction_bits(float: f64) -> usize {
    const MANTISSA: u32 = f64::MANTISSA_DIGITS - 1;
    let bits = float.to_bits();
    let exponent = (bits >> MANTISSA & 0x7ff) as i64;
    let fraction = bits & ((1 << MANTISSA) - 1);
    // Below the normal floats the exponent stays, and the leading 1 is gone.
    let mantissa = if exponent == 0 { fraction } else { fraction | 1 << MANTISSA };
    let unit = exponent.max(1) - 1075;
    if mantissa == 0 || !float.is_finite() {
        return 0;
    }
    usize::try_from(-unit - i64::from(mantissa.trailing_zeros())).unwrap_or(0)
}

impl From<i64> for Decimal {
    fn from(integer: i64) -> Self {
        Self::new(integer < 0, &integer.unsigned_abs().to_string(), "", 0)
    }
}

impl From<u64> for Decimal {
    fn from(integer: u64) -> Self {
        Self::new(false, &integer.to_string(), "", 0)
    }
}

/// Reads `-12.5e+3`. Digits are needed on one side of the point only.
impl FromStr for Decimal {
    type Err = ParseNumberError;

    fn from_str(text: &str) -> Result<Self, ParseNumberError> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (unsigned, None),
        };
        let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let some = !integer.is_empty() || !fraction.is_empty();
        if !some || !are_digits(integer) || !are_digits(fraction) {
            return Err(ParseNumberError::Syntax);
        }
        let exponent = match exponent.map_or(Ok(0), str::parse::<i64>) {
            Ok(exponent) => exponent,
            Err(error) => {
                return Err(match error.kind() {
                    IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => {
                        ParseNumberError::TooLong
                    }
                    _ => ParseNumberError::Syntax,
                });
            }
        };
        let decimal = Self::new(text.starts_with('-'), integer, fraction, exponent);
        let longest = decimal.exponent.max(decimal.fraction_digits());
        if longest > DIGITS_LIMIT as i64 {
            return Err(ParseNumberError::TooLong);
        }
        Ok(decimal)
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let magnitudes = || (self.exponent, &self.digits).cmp(&(other.exponent, &other.digits));
        self.sign()
            .cmp(&other.sign())
            .then_with(|| if self.negative { magnitudes().reverse() } else { magnitudes() })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Without an exponent, and with a digit before the point.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        // Both are below the limit of digits: nothing is cut.
        let before = usize::try_from(self.exponent).unwrap_or(0);
        let leading = usize::try_from(-self.exponent).unwrap_or(0);
        let Some((integer, fraction)) = self.digits.split_at_checked(before) else {
            return write!(f, "{sign}{:0<before$}", self.digits);
        };
        let integer = if integer.is_empty() { "0" } else { integer };
        if fraction.is_empty() {
            return write!(f, "{sign}{integer}");
        }
        write!(f, "{sign}{integer}.{:0>leading$}{fraction}", "")
    }
}
