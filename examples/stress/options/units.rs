//! Numbers with units, as the command line has them.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The longest piece of a message, in bytes: both ends keep twice as much content.
const LONGEST_PIECE: usize = 64 << 20;

/// The longest time that can be asked for.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// The highest rate, in calls a second.
const FASTEST: f64 = 1e7;

/// The lowest rate, in calls a second.
const SLOWEST: f64 = 1e-3;

/// A time such as `800ms`, `30s`, `10m` or `1h`; a bare number is of seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text)?;
    let millis = match unit {
        "ms" => 1,
        "s" | "" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(format!("{unit:?} is not one of ms, s, m, h")),
    };
    let duration = number.checked_mul(millis).map(Duration::from_millis);
    match duration.filter(|duration| *duration <= LONGEST) {
        Some(Duration::ZERO) => Err("must be above 0".to_owned()),
        Some(duration) => Ok(duration),
        None => Err("must be at most a week (168h)".to_owned()),
    }
}

/// One size, or the least and the most with `..` between them.
pub fn sizes(text: &str) -> Result<RangeInclusive<usize>, String> {
    let (least, most) = text.split_once("..").unwrap_or((text, text));
    let (least, most) = (size(least)?, size(most)?);
    if least > most {
        return Err("the shortest is longer than the longest".to_owned());
    }
    Ok(least..=most)
}

fn size(text: &str) -> Result<usize, String> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => return Err(format!("{unit:?} is not one of B, KiB, MiB")),
    };
    let bytes = number.checked_mul(factor).and_then(|bytes| usize::try_from(bytes).ok());
    let bytes = bytes.filter(|bytes| *bytes <= LONGEST_PIECE);
    bytes.ok_or_else(|| format!("must be at most {} MiB", LONGEST_PIECE >> 20))
}

/// Calls a second.
pub fn rate(text: &str) -> Result<f64, String> {
    let rate = text.trim().parse().map_err(|_| format!("{text:?} is not a number"))?;
    if (SLOWEST..=FASTEST).contains(&rate) {
        Ok(rate)
    } else {
        Err(format!("must be from {SLOWEST} to {FASTEST} calls a second"))
    }
}

fn split(text: &str) -> Result<(u64, &str), String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let number =
        number.parse().map_err(|_| format!("{text:?} does not begin with a number that fits"))?;
    Ok((number, unit.trim()))
}
