//! What a plugin has answered: read within limits, and understood.

use std::fmt;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use futures::Stream;
use futures::TryStreamExt;
use http::Response;
use http::StatusCode;
use http_body::Body as HttpBody;
use serde::de::DeserializeOwned;
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;

use crate::docker::body::Body;
use crate::docker::body::Whole;
use crate::docker::body::read_whole;
use crate::docker::error::CallError;
use crate::docker::wire::Refusal;
use crate::docker::wire::excerpt;

/// The most that is read of an answer that says no, in bytes: 64 KiB. It is for people.
const MAX_REFUSAL: usize = 64 * 1024;

/// The most of an answer that is repeated in an error, in characters.
const EXCERPT: usize = 200;

/// The answer if it is one of success, or else why it is not.
pub(super) async fn accepted(
    method: &str,
    answer: Response<Body>,
) -> Result<Response<Body>, CallError> {
    let status = answer.status();
    if status == StatusCode::OK {
        return Ok(answer);
    }
    let message = match read_whole(&mut answer.into_body(), MAX_REFUSAL).await {
        Whole::Read(text) => Refusal::of(&text).unwrap_or_else(|| excerpt(&text, EXCERPT)),
        Whole::TooLong => format!("more than {MAX_REFUSAL} bytes of text"),
        Whole::Broken(error) => format!("the text broke off: {error}"),
    };
    let message = match message.as_str() {
        "" => status.to_string(),
        // It does not say by itself what it is.
        _ if message.starts_with('<') => format!("{status}: {message}"),
        _ => message,
    };
    Err(CallError::Refused { method: method.to_owned(), status, message })
}

/// The whole body of an answer.
pub(super) async fn whole(method: &str, mut body: Body, limit: usize) -> Result<Bytes, CallError> {
    let method = || method.to_owned();
    match read_whole(&mut body, limit).await {
        Whole::Read(bytes) => Ok(bytes),
        Whole::TooLong => Err(CallError::TooLong { method: method(), limit }),
        Whole::Broken(source) => Err(CallError::Broken { method: method(), source }),
    }
}

/// What an answer of success says. Nothing at all is `null`.
pub(super) fn decode<T: DeserializeOwned>(method: &str, answer: &[u8]) -> Result<T, CallError> {
    if let Some(message) = Refusal::of(answer) {
        let (method, status) = (method.to_owned(), StatusCode::OK);
        return Err(CallError::Refused { method, status, message });
    }
    let json = if answer.is_empty() { b"null" } else { answer };
    serde_json::from_slice(json).map_err(|source| CallError::Malformed {
        method: method.to_owned(),
        excerpt: excerpt(answer, EXCERPT),
        source,
    })
}

/// The body of an answer as it arrives: a stream of pieces, in order.
///
/// It is not bounded, in size or time: its reader decides. What is not read is not sent.
/// Dropping it before its end closes the connection, which the plugin notices.
pub struct Download {
    method: String,
    body: Body,
}

impl Download {
    pub(super) fn new(method: &str, body: Body) -> Self {
        Self { method: method.to_owned(), body }
    }

    /// As a reader. Its errors have a [`CallError`] in them.
    pub fn into_reader(self) -> impl AsyncRead + Send + Unpin {
        StreamReader::new(self.map_err(std::io::Error::other))
    }
}

impl Stream for Download {
    type Item = Result<Bytes, CallError>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, CallError>>> {
        loop {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers are nothing that the protocol has.
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Poll::Ready(Some(Err(source))) => {
                    let method = self.method.clone();
                    return Poll::Ready(Some(Err(CallError::Broken { method, source })));
                }
            }
        }
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download").field("method", &self.method).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    async fn refusal(status: u16, body: impl Into<Bytes>) -> String {
        let mut answer = Response::new(Body::from(body.into()));
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        accepted("X.Y", answer).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn a_refusal_is_told_in_the_words_of_the_plugin() {
        assert_eq!(refusal(500, r#"{"Err":"no such volume"}"#).await, "X.Y: no such volume");
        assert_eq!(refusal(404, "404 page not found\n").await, "X.Y: 404 page not found");
        assert_eq!(refusal(500, r#"{"Err":""}"#).await, r#"X.Y: {"Err":""}"#);
        assert_eq!(refusal(204, "").await, "X.Y: 204 No Content");
    }

    #[tokio::test]
    async fn html_is_cut_short_and_has_its_status_beside_it() {
        let page = format!("<html>\n <h1>Bad\tGateway</h1>\x1b[2J {}</html>", "x".repeat(1000));
        let told = refusal(502, page).await;
        let begin = "X.Y: 502 Bad Gateway: <html> <h1>Bad Gateway</h1>\u{fffd}[2J xxx";
        assert!(told.starts_with(begin), "{told}");
        assert!(told.ends_with("x…") && told.chars().count() < 250, "{told}");
    }

    #[tokio::test]
    async fn a_refusal_without_end_is_not_read_to_its_end() {
        assert_eq!(
            refusal(500, vec![b'x'; MAX_REFUSAL + 1]).await,
            "X.Y: more than 65536 bytes of text"
        );
    }

    #[test]
    fn an_answer_of_success_that_says_err_is_a_refusal() {
        let error = decode::<Value>("X.Y", br#"{"Mountpoint":"","Err":"full"}"#).unwrap_err();
        assert_eq!(error.to_string(), "X.Y: full");
        assert_eq!(error.status(), Some(StatusCode::OK));
        assert!(decode::<Value>("X.Y", br#"{"Err":""}"#).is_ok());
    }

    #[test]
    fn the_words_of_a_refusal_are_shown_cleaned_and_cut_and_kept_as_they_are() {
        let words = format!("\x1b[2Jno\nroom {}", "x".repeat(5000));
        let answer = serde_json::json!({ "Err": words }).to_string();
        let error = decode::<Value>("X.Y", answer.as_bytes()).unwrap_err();
        let shown = error.to_string();
        assert!(shown.starts_with("X.Y: \u{fffd}[2Jno room xxx"), "{shown}");
        assert!(shown.ends_with("x…") && shown.chars().count() < 1100, "{shown}");
        assert!(matches!(error, CallError::Refused { message, .. } if message == words));
    }

    #[test]
    fn no_answer_is_null() {
        decode::<()>("X.Y", b"").unwrap();
        assert_eq!(decode::<Option<u8>>("X.Y", b"").unwrap(), None);
        assert!(matches!(decode::<Vec<u8>>("X.Y", b""), Err(CallError::Malformed { .. })));
    }

    #[test]
    fn half_an_answer_and_other_bytes_are_shown() {
        let half = decode::<Value>("X.Y", br#"{"Volumes":[{"Na"#).unwrap_err();
        assert!(half.to_string().ends_with(r#"expected: {"Volumes":[{"Na"#), "{half}");
        let other = decode::<Value>("X.Y", &[0xff, 0, b'a']).unwrap_err();
        assert!(other.to_string().ends_with("expected: \u{fffd}\u{fffd}a"), "{other}");
    }

    #[test]
    fn an_excerpt_is_cut_between_characters() {
        let long = "é".repeat(EXCERPT + 1);
        assert_eq!(excerpt(long.as_bytes(), EXCERPT).chars().count(), EXCERPT + 1);
        assert_eq!(excerpt("é".repeat(EXCERPT).as_bytes(), EXCERPT).chars().count(), EXCERPT);
        assert!(excerpt(&vec![0xff; 100 * EXCERPT], EXCERPT).ends_with('…'));
    }
}
