//! Between HTTP's header maps and the metadata of frames.
//!
//! What every gRPC message has is left out and put back: `te: trailers`,
//! `content-type: application/grpc`, `grpc-timeout` (the head has a field for it)
//! and `grpc-status` of trailers (so has the end).

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use http::header::TE;

use crate::broker::protocol::End;
use crate::broker::protocol::Entry;
use crate::broker::protocol::Metadata;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Names and values that HTTP does not allow.
#[derive(Debug)]
pub(super) struct NotHttp;

/// The metadata of a request, and its timeout.
pub(super) fn of_request(headers: &HeaderMap) -> (Metadata, Option<Duration>) {
    let timeout = headers.get(GRPC_TIMEOUT).and_then(parse_timeout);
    let left_out = |name: &HeaderName, value: &HeaderValue| {
        *name == TE || *name == GRPC_TIMEOUT || is_usual(name, value)
    };
    (of_headers(headers, left_out), timeout)
}

pub(super) fn of_response(headers: &HeaderMap) -> Metadata {
    of_headers(headers, is_usual)
}

pub(super) fn of_trailers(trailers: &HeaderMap) -> End {
    let status = trailers.get(GRPC_STATUS).and_then(|value| value.to_str().ok()?.parse().ok());
    let left_out = |name: &HeaderName, _: &HeaderValue| status.is_some() && *name == GRPC_STATUS;
    End { trailers: of_headers(trailers, left_out), grpc_status: status }
}

/// The content type that every message has.
fn is_usual(name: &HeaderName, value: &HeaderValue) -> bool {
    *name == CONTENT_TYPE && *value == GRPC
}

fn of_headers(
    headers: &HeaderMap,
    left_out: impl Fn(&HeaderName, &HeaderValue) -> bool,
) -> Metadata {
    let kept = headers.iter().filter(|(name, value)| !left_out(name, value));
    let entry = |(name, value): (&HeaderName, &HeaderValue)| Entry {
        name: name.as_str().to_owned(),
        value: Bytes::copy_from_slice(value.as_bytes()),
    };
    Metadata(kept.map(entry).collect())
}

/// The headers of a request as a handler expects them.
pub(super) fn to_request(
    metadata: Metadata,
    timeout: Option<Duration>,
) -> Result<HeaderMap, NotHttp> {
    let mut headers = to_response(metadata)?;
    headers.insert(TE, TRAILERS);
    if let Some(timeout) = timeout {
        headers.insert(GRPC_TIMEOUT, format_timeout(timeout));
    }
    Ok(headers)
}

pub(super) fn to_response(metadata: Metadata) -> Result<HeaderMap, NotHttp> {
    let mut headers = to_headers(metadata)?;
    headers.entry(CONTENT_TYPE).or_insert(GRPC);
    Ok(headers)
}

/// The trailers, if the end has any.
pub(super) fn to_trailers(end: End) -> Result<Option<HeaderMap>, NotHttp> {
    if end.trailers.0.is_empty() && end.grpc_status.is_none() {
        return Ok(None);
    }
    let mut trailers = to_headers(end.trailers)?;
    if let Some(status) = end.grpc_status {
        trailers.insert(GRPC_STATUS, HeaderValue::from(status));
    }
    Ok(Some(trailers))
}

/// The timeout of a request.
#[cfg(feature = "goplugin")]
pub(super) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    headers.get(GRPC_TIMEOUT).and_then(parse_timeout)
}

#[cfg(feature = "goplugin")]
pub(super) fn set_timeout(headers: &mut HeaderMap, timeout: Duration) {
    headers.insert(GRPC_TIMEOUT, format_timeout(timeout));
}

fn to_headers(metadata: Metadata) -> Result<HeaderMap, NotHttp> {
    let fields = metadata.0.len() + 2;
    let mut headers = HeaderMap::try_with_capacity(fields).map_err(|_| NotHttp)?;
    for entry in metadata.0 {
        let name = HeaderName::try_from(entry.name).map_err(|_| NotHttp)?;
        let value = HeaderValue::from_maybe_shared(entry.value).map_err(|_| NotHttp)?;
        headers.try_append(name, value).map_err(|_| NotHttp)?;
    }
    Ok(headers)
}

/// Reads `grpc-timeout`: at most eight digits and a unit (gRPC over HTTP/2,
/// "Timeout"). What cannot be read counts as absent, as in tonic.
fn parse_timeout(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

fn format_timeout(timeout: Duration) -> HeaderValue {
    const DIGITS: u128 = 99_999_999;
    let text = [(timeout.as_micros(), "u"), (timeout.as_millis(), "m")]
        .into_iter()
        .find(|(number, _)| *number <= DIGITS)
        .unwrap_or((u128::from(timeout.as_secs()).min(DIGITS), "S"));
    let text = format!("{}{}", text.0, text.1);
    // Digits and a letter are always a header value.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("0u"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_in_every_unit_and_nothing_else_is() {
        let read = |text: &'static str| parse_timeout(&HeaderValue::from_static(text));
        assert_eq!(read("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(read("3M"), Some(Duration::from_secs(180)));
        assert_eq!(read("4S"), Some(Duration::from_secs(4)));
        assert_eq!(read("5m"), Some(Duration::from_millis(5)));
        assert_eq!(read("6u"), Some(Duration::from_micros(6)));
        assert_eq!(read("7n"), Some(Duration::from_nanos(7)));
        assert_eq!(read("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for wrong in ["", "S", "1", "123456789S", "-1S", "1x", "1.5S"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_timeout_survives_being_written() {
        for timeout in [0, 1, 1500, 99_999_999, 100_000_000_000, 86_400_000_000] {
            let timeout = Duration::from_micros(timeout);
            assert_eq!(parse_timeout(&format_timeout(timeout)), Some(timeout));
        }
    }

    #[test]
    fn repeated_and_binary_metadata_keeps_its_order() {
        let mut headers = HeaderMap::new();
        headers.append("k", HeaderValue::from_static("1"));
        headers.append("k", HeaderValue::from_static("2"));
        headers.append("b-bin", HeaderValue::from_static("AAEC"));
        let metadata = of_response(&headers);
        let mut back = to_response(metadata).expect("valid");
        assert_eq!(back.remove(CONTENT_TYPE), Some(GRPC));
        assert_eq!(back, headers);
    }

    #[test]
    fn trailers_carry_their_status_apart() {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("5"));
        trailers.insert("grpc-message", HeaderValue::from_static("gone"));
        let end = of_trailers(&trailers);
        assert_eq!(end.grpc_status, Some(5));
        assert_eq!(end.trailers.0.len(), 1);
        assert_eq!(to_trailers(end).expect("valid"), Some(trailers));
    }

    #[test]
    fn names_and_values_that_http_forbids_are_refused() {
        for (name, value) in [("a b", "x"), ("", "x"), ("k", "a\nb")] {
            let entry = Entry { name: name.into(), value: value.into() };
            assert!(to_response(Metadata(vec![entry])).is_err(), "{name:?}: {value:?}");
        }
    }
}
