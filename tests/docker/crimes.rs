//! Our client with what is no good plugin.

use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use trunkline::docker::CallError;
use trunkline::docker::Client;
use trunkline::docker::Fault;
use trunkline::docker::MAX_MESSAGE;
use trunkline::docker::RetryPolicy;

use crate::raw::Raw;
use crate::raw::closed;
use crate::served::Folder;

/// What our client makes of these bytes, after which the connection is closed.
async fn told(answer: impl AsRef<[u8]>) -> CallError {
    let folder = Folder::new();
    let raw = Raw::at(&folder.path("raw.sock"));
    let client = Client::new(&raw.address).unwrap();
    let call = client.call::<_, Value>("X.Y", &());
    let says = async {
        let (mut stream, _) = raw.request().await;
        // It may have heard enough before the end.
        let _ = stream.write_all(answer.as_ref()).await;
    };
    tokio::join!(call, says).0.unwrap_err()
}

fn with_length(head: &str, length: usize, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\n\r\n{body}")
}

#[tokio::test]
async fn a_status_of_failure_is_told_with_the_plugins_words() {
    let error = told(with_length("500 Oh", 15, r#"{"Err": "full"}"#)).await;
    assert_eq!((error.to_string(), error.status().unwrap().as_u16()), ("X.Y: full".into(), 500));
    let error = told(with_length("404 Not Found", 19, "404 page not found\n")).await;
    assert!(error.is_not_found());
    let error = told(with_length("200 OK", 15, r#"{"Err": "full"}"#)).await;
    assert_eq!(error.to_string(), "X.Y: full");
}

#[tokio::test]
async fn html_is_no_answer_and_is_shown() {
    let page = "<html><body>Bad\n gateway</body></html>";
    let error = told(with_length("502 Bad Gateway", page.len(), page)).await;
    let shown = "X.Y: 502 Bad Gateway: <html><body>Bad gateway</body></html>";
    assert_eq!(error.to_string(), shown);
    let error = told(with_length("200 OK", page.len(), page)).await;
    assert!(matches!(error, CallError::Malformed { .. }), "{error:?}");
    assert!(error.to_string().ends_with("<html><body>Bad gateway</body></html>"), "{error}");
    assert_eq!(error.fault(), Fault::Plugin);
}

#[tokio::test]
async fn half_an_answer_is_none() {
    let error = told(with_length("200 OK", 100, r#"{"Volumes": ["#)).await;
    assert!(matches!(error, CallError::Broken { .. }), "{error:?}");
    let error = told("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n").await;
    assert!(matches!(error, CallError::Broken { .. }), "{error:?}");
    let error = told("HTTP/1.1 200 OK\r\nContent-Le").await;
    assert!(matches!(error, CallError::Lost { .. }), "{error:?}");
    let error = told(with_length("200 OK", 13, r#"{"Volumes": ["#)).await;
    assert!(matches!(error, CallError::Malformed { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_not_http_is_told_so() {
    for answer in ["SSH-2.0-OpenSSH_9.6\r\n", "\0\0\0\0", ""] {
        let error = told(answer).await;
        assert!(matches!(error, CallError::Lost { attempts: 1, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_head_without_end_is_not_read_to_its_end() {
    let error = told(format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(1024 * 1024))).await;
    assert!(matches!(error, CallError::Lost { .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_of_a_gigabyte_is_refused_at_its_head() {
    let folder = Folder::new();
    let raw = Raw::at(&folder.path("raw.sock"));
    let client = Client::new(&raw.address).unwrap();
    let call = client.call::<_, Value>("X.Y", &());
    let says = async {
        let (mut stream, _) = raw.request().await;
        let head = with_length("200 OK", 1024 * 1024 * 1024, "[0,");
        stream.write_all(head.as_bytes()).await.unwrap();
        closed(&mut stream).await;
    };
    let error = tokio::join!(call, says).0.unwrap_err();
    assert!(matches!(error, CallError::TooLong { limit: MAX_MESSAGE, .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_without_end_is_read_to_its_bound_and_no_further() {
    let folder = Folder::new();
    let raw = Raw::at(&folder.path("raw.sock"));
    let client = Client::new(&raw.address).unwrap();
    let call = client.call::<_, Value>("X.Y", &());
    let says = async {
        let (mut stream, _) = raw.request().await;
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let chunk = format!("10000\r\n{}\r\n", "0".repeat(0x10000));
        let mut sent = 0;
        while stream.write_all(chunk.as_bytes()).await.is_ok() {
            sent += 0x10000;
        }
        sent
    };
    let (error, sent) = tokio::join!(call, says);
    assert!(matches!(error, Err(CallError::TooLong { limit: MAX_MESSAGE, .. })));
    assert!(sent < MAX_MESSAGE + 4 * 1024 * 1024, "{sent} bytes of an endless answer were taken");
}

#[tokio::test]
async fn a_plugin_that_never_answers_is_given_up() {
    let folder = Folder::new();
    let raw = Raw::at(&folder.path("raw.sock"));
    let client = Client::new(&raw.address).unwrap().with_timeout(Duration::from_millis(50));
    let call = client.call::<_, Value>("X.Y", &());
    let says = async {
        let (mut stream, _) = raw.request().await;
        closed(&mut stream).await;
    };
    let error = tokio::join!(call, says).0.unwrap_err();
    assert!(matches!(error, CallError::Timeout { attempts: 1, .. }), "{error:?}");
    assert_eq!(error.fault(), Fault::Connection);
}

#[tokio::test]
async fn a_plugin_that_answers_half_and_then_never_is_given_up() {
    let folder = Folder::new();
    let raw = Raw::at(&folder.path("raw.sock"));
    let client = Client::new(&raw.address).unwrap().with_timeout(Duration::from_millis(50));
    let call = client.call::<_, Value>("X.Y", &());
    let says = async {
        let (mut stream, _) = raw.request().await;
        stream.write_all(with_length("200 OK", 10, "[").as_bytes()).await.unwrap();
        closed(&mut stream).await;
    };
    let error = tokio::join!(call, says).0.unwrap_err();
    assert!(matches!(error, CallError::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn a_request_that_was_lost_is_whole_when_it_is_made_again() {
    let folder = Folder::new();
    let raw = Raw::at(&folder.path("raw.sock"));
    let quick = RetryPolicy::default().first_delay(Duration::from_millis(1)).resend(true);
    let client = Client::new(&raw.address).unwrap().with_retry(quick);
    let call = client.call::<_, String>("X.Y", "body");
    let says = async {
        for _ in 0..3 {
            drop(raw.request().await);
        }
        let (mut stream, head) = raw.request().await;
        assert!(head.contains("content-length: 7\r\n"), "{head}");
        let mut body = [0; 7];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut body).await.unwrap();
        assert_eq!(&body, b"\"body\"\n");
        stream.write_all(with_length("200 OK", 4, r#""ok""#).as_bytes()).await.unwrap();
    };
    assert_eq!(tokio::join!(call, says).0.unwrap(), "ok");
}

#[tokio::test]
async fn a_redirection_is_not_followed() {
    let moved = "302 Found\r\nLocation: http://elsewhere/";
    let error = told(with_length(moved, 0, "")).await;
    assert_eq!(error.to_string(), "X.Y: 302 Found");
}
