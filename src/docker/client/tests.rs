//! Clients on a transport in memory, with the clock paused.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ::http::Request;
use ::http::Response;
use ::http::StatusCode;
use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::future::pending;
use futures::stream;
use http_body::Frame;
use http_body_util::BodyExt;
use http_body_util::StreamBody;
use parking_lot::Mutex;
use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use super::*;
use crate::docker::body::BoxError;
use crate::docker::error::Fault;
use crate::docker::wire::Empty;

const SECOND: Duration = Duration::from_secs(1);

type Answer = Result<Response<Body>, TransportError>;

/// What a plugin does with the attempt of this number, from 1 on.
type Script = dyn Fn(usize, Request<Body>) -> BoxFuture<'static, Answer> + Send + Sync;

/// A plugin that is a function, and what reached it.
#[derive(Clone)]
struct Scripted {
    script: Arc<Script>,
    attempts: Arc<Mutex<Vec<Duration>>>,
    began: Instant,
}

impl Scripted {
    fn new<F>(script: impl Fn(usize, Request<Body>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let script = move |attempt, request| -> BoxFuture<'static, Answer> {
            Box::pin(script(attempt, request))
        };
        Self { script: Arc::new(script), attempts: Arc::default(), began: Instant::now() }
    }

    fn client(&self) -> Client {
        Client::over(self.clone()).with_retry(RetryPolicy::default().jitter(0.0))
    }

    /// When it was tried, in whole seconds.
    fn attempts(&self) -> Vec<u64> {
        self.attempts.lock().iter().map(Duration::as_secs).collect()
    }
}

impl Transport for Scripted {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Answer> {
        let attempt = {
            let mut attempts = self.attempts.lock();
            attempts.push(self.began.elapsed());
            attempts.len()
        };
        (self.script)(attempt, request)
    }
}

fn refused() -> TransportError {
    TransportError::connecting(io::Error::from(io::ErrorKind::ConnectionRefused))
}

fn lost() -> TransportError {
    TransportError::sent(io::Error::from(io::ErrorKind::ConnectionReset))
}

fn answer(body: impl Into<Bytes>) -> Answer {
    Ok(Response::new(Body::from(body.into())))
}

async fn echo(request: Request<Body>) -> Answer {
    let body = request.into_body().collect().await.map_err(TransportError::sent)?;
    answer(body.to_bytes())
}

/// moby's TestFailedConnection.
#[tokio::test(start_paused = true)]
async fn a_plugin_that_cannot_be_reached_is_tried_five_times_in_fifteen_seconds() {
    let plugin = Scripted::new(|_, _| async { Err(refused()) });
    let error = plugin.client().stream("Service.Method", &()).await.unwrap_err();
    assert_eq!(plugin.attempts(), [0, 1, 3, 7, 15]);
    assert_eq!(plugin.began.elapsed(), SECOND * 15);
    assert!(matches!(error, CallError::Unreachable { attempts: 5, .. }), "{error:?}");
    assert!(error.has_not_begun());
    assert_eq!(error.fault(), Fault::Connection);
}

/// moby's TestFailOnce. There the second request is empty, and nobody looks.
#[tokio::test(start_paused = true)]
async fn a_request_that_is_made_again_is_whole() {
    let plugin = Scripted::new(|attempt, request| async move {
        let answer = echo(request).await;
        if attempt == 1 { Err(lost()) } else { answer }
    });
    let again = plugin.client().with_retry(RetryPolicy::default().resend(true).jitter(0.0));
    let answer: Value = again.call("Test.FailOnce", "body").await.unwrap();
    assert_eq!(answer, "body");
    assert_eq!(plugin.attempts(), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_done_is_not_done_twice() {
    let plugin = Scripted::new(|_, _| async { Err(lost()) });
    let error = plugin.client().call::<_, Value>("X.Y", &1).await.unwrap_err();
    assert!(matches!(error, CallError::Lost { attempts: 1, .. }), "{error:?}");
    assert!(!error.has_not_begun());
    assert_eq!(plugin.attempts(), [0]);
    // Activation changes nothing, however often it is asked for.
    plugin.client().activate().await.unwrap_err();
    assert_eq!(plugin.attempts().len(), 1 + 5);
}

/// moby's TestEchoInputOutput.
#[tokio::test]
async fn what_a_plugin_echoes_comes_back() {
    let plugin = Scripted::new(|_, request| async {
        assert_eq!(request.method(), "POST");
        assert_eq!(request.uri().path(), "/Test.Echo");
        echo(request).await
    });
    let manifest = Manifest { implements: vec!["VolumeDriver".into(), "NetworkDriver".into()] };
    let back: Manifest = plugin.client().call("Test.Echo", &manifest).await.unwrap();
    assert_eq!(back, manifest);
    let nothing: Option<u8> = plugin.client().call("Test.Echo", &()).await.unwrap();
    assert_eq!(nothing, None);
    let _: Empty = plugin.client().call("Test.Echo", &json!({"any": "thing"})).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_comes_up_late_is_waited_for() {
    let plugin = Scripted::new(|attempt, request| async move {
        if attempt < 3 { Err(refused()) } else { echo(request).await }
    });
    let back: u8 = plugin.client().call("X.Y", &7).await.unwrap();
    assert_eq!((back, plugin.attempts()), (7, vec![0, 1, 3]));
}

/// moby's TestNewClientWithTimeout and TestClientWithRequestTimeout.
#[tokio::test(start_paused = true)]
async fn a_plugin_that_does_not_answer_is_not_waited_for_beyond_the_timeout() {
    let plugin = Scripted::new(|_, _| pending());
    let client = plugin.client().with_timeout(SECOND * 2);
    let error = client.call::<_, Value>("X.Y", &()).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { attempts: 1, .. }), "{error:?}");
    assert!(!error.has_not_begun());
    assert_eq!(plugin.began.elapsed(), SECOND * 2);

    let again = client.with_retry(RetryPolicy::default().resend(true).jitter(0.0));
    let error = again.stream("X.Y", &()).await.unwrap_err();
    // At 0, 3, 7, 13 and 23 seconds; the next would be 41 seconds after the first.
    assert!(matches!(error, CallError::Timeout { attempts: 5, .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn the_timeout_is_that_of_the_whole_answer() {
    let plugin = Scripted::new(|_, _| async {
        let begin = stream::iter([Ok::<_, BoxError>(Frame::data(Bytes::from_static(b"{")))]);
        Ok(Response::new(Body::new(StreamBody::new(begin.chain(stream::pending())))))
    });
    let error = plugin.client().call::<_, Value>("X.Y", &()).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { after: DEFAULT_TIMEOUT, .. }), "{error:?}");
    // A stream has begun; how long it takes is for its reader to say.
    let mut stream = plugin.client().stream("X.Y", &()).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), "{");
    timeout(DEFAULT_TIMEOUT * 10, stream.next()).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_deadline_bounds_all_attempts_and_the_pauses_between() {
    let plugin = Scripted::new(|_, _| async { Err(refused()) });
    let client = plugin.client().with_deadline(SECOND * 5);
    let error = client.call::<_, Value>("X.Y", &()).await.unwrap_err();
    // The next attempt would begin after seven seconds, so there is nothing to wait for.
    assert_eq!(plugin.attempts(), [0, 1, 3]);
    assert_eq!(plugin.began.elapsed(), SECOND * 3);
    assert!(matches!(error, CallError::Unreachable { attempts: 3, .. }), "{error:?}");

    let slow = Scripted::new(|attempt, _| async move {
        if attempt == 1 { Err(refused()) } else { pending().await }
    });
    let client = slow.client().with_deadline(SECOND * 5);
    let error = client.call::<_, Value>("X.Y", &()).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { attempts: 2, .. }), "{error:?}");
    assert_eq!(slow.began.elapsed(), SECOND * 5);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_between_attempts_makes_no_other() {
    let plugin = Scripted::new(|_, _| async { Err(refused()) });
    let client = plugin.client();
    let call = client.call::<_, Value>("X.Y", &());
    timeout(SECOND * 2, call).await.unwrap_err();
    tokio::time::sleep(SECOND * 100).await;
    assert_eq!(plugin.attempts(), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_whatever_status_ends_it() {
    let plugin = Scripted::new(|_, _| async {
        let mut answer = Response::new(Body::from(Bytes::from_static(b"{\"Err\":\"not now\"}")));
        *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        Ok(answer)
    });
    let error = plugin.client().call::<_, Value>("X.Y", &()).await.unwrap_err();
    assert_eq!(error.to_string(), "X.Y: not now");
    assert_eq!(error.status(), Some(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(plugin.attempts(), [0]);
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_an_error_and_is_not_kept() {
    let plugin = Scripted::new(|_, _| async {
        let piece = Bytes::from(vec![b'x'; 1024 * 1024]);
        let pieces = stream::repeat(piece).map(|piece| Ok::<_, BoxError>(Frame::data(piece)));
        Ok(Response::new(Body::new(StreamBody::new(pieces))))
    });
    let error = plugin.client().call::<_, Value>("X.Y", &()).await.unwrap_err();
    assert!(matches!(error, CallError::TooLong { limit: MAX_MESSAGE, .. }), "{error:?}");
    let few = plugin.client().with_max_answer(10).call::<_, Value>("X.Y", &()).await;
    assert!(matches!(few, Err(CallError::TooLong { limit: 10, .. })));
}

/// moby's TestClientStream.
#[tokio::test]
async fn a_stream_is_the_answer_as_it_arrives() {
    let plugin = Scripted::new(|_, request| echo(request));
    let stream = plugin.client().stream("Test.Echo", &json!({"a": 1})).await.unwrap();
    let mut text = String::new();
    stream.into_reader().read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "{\"a\":1}\n");
    let mut nothing = plugin.client().stream("Test.Echo", &()).await.unwrap();
    assert_eq!(nothing.next().await.unwrap().unwrap(), "null\n");
    assert!(nothing.next().await.is_none());
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_not_taken_for_whole() {
    let plugin = Scripted::new(|_, _| async {
        let pieces = [Ok(Frame::data(Bytes::from_static(b"half"))), Err(BoxError::from("cut"))];
        Ok(Response::new(Body::new(StreamBody::new(stream::iter(pieces)))))
    });
    let mut stream = plugin.client().stream("X.Y", &()).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), "half");
    assert!(matches!(stream.next().await, Some(Err(CallError::Broken { .. }))));

    let reader = plugin.client().stream("X.Y", &()).await.unwrap().into_reader();
    let error = Box::pin(reader).read_to_end(&mut Vec::new()).await.unwrap_err();
    assert!(error.get_ref().unwrap().is::<CallError>());
    let error = plugin.client().call::<_, Value>("X.Y", &()).await.unwrap_err();
    assert!(matches!(error, CallError::Broken { .. }), "{error:?}");
}

/// moby's TestClientSendFile.
#[tokio::test]
async fn a_file_is_streamed_to_the_plugin() {
    let plugin = Scripted::new(|_, request| echo(request));
    let file = Upload::once(&br#"{"Implements":["VolumeDriver"]}"#[..]);
    let back: Manifest = plugin.client().send_file("Test.Echo", file).await.unwrap();
    assert_eq!(back.implements, ["VolumeDriver"]);
}

#[tokio::test(start_paused = true)]
async fn a_file_of_which_nothing_was_read_is_sent_again_and_is_whole() {
    let plugin = Scripted::new(|attempt, request| async move {
        if attempt == 1 { Err(refused()) } else { echo(request).await }
    });
    let back: u8 = plugin.client().send_file("X.Y", Upload::once(&b"7"[..])).await.unwrap();
    assert_eq!((back, plugin.attempts()), (7, vec![0, 1]));
}

#[tokio::test(start_paused = true)]
async fn a_file_of_which_something_was_read_is_sent_again_only_if_it_can_be_opened_anew() {
    let plugin = || {
        Scripted::new(|attempt, request| async move {
            let answer = echo(request).await;
            if attempt == 1 { Err(lost()) } else { answer }
        })
    };
    let resend = RetryPolicy::default().resend(true);
    let once = plugin();
    let client = once.client().with_retry(resend.clone());
    let error = client.send_file::<u8>("X.Y", Upload::once(&b"7"[..])).await.unwrap_err();
    assert!(matches!(error, CallError::Lost { attempts: 1, .. }), "{error:?}");

    let anew = plugin();
    let file = Upload::reopened(|| async { Ok(&b"7"[..]) });
    let back: u8 = anew.client().with_retry(resend).send_file("X.Y", file).await.unwrap();
    assert_eq!((back, anew.attempts()), (7, vec![0, 1]));
}

#[tokio::test]
async fn a_reader_that_fails_is_whose_fault_it_is() {
    let plugin = Scripted::new(|_, request| echo(request));
    let file = Upload::reopened(|| async { Err::<&[u8], _>(io::Error::other("no such file")) });
    let error = plugin.client().send_file::<u8>("X.Y", file).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Local);
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "no such file");
    assert_eq!(plugin.attempts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_file_may_take_as_long_as_it_moves() {
    let plugin = Scripted::new(|_, request| async move {
        let mut body = request.into_body();
        while body.frame().await.is_some() {
            tokio::time::sleep(DEFAULT_TIMEOUT - SECOND).await;
        }
        answer("1")
    });
    let (mut writer, reader) = tokio::io::duplex(1);
    let client = plugin.client();
    let sent = client.send_file::<u8>("X.Y", Upload::once(reader));
    let written = async {
        writer.write_all(b"12345").await.unwrap();
        // The plugin is not to blame for what takes long here.
        tokio::time::sleep(DEFAULT_TIMEOUT * 3).await;
        drop(writer);
    };
    let (sent, ()) = tokio::join!(sent, written);
    assert_eq!(sent.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_takes_no_more_of_a_file_is_given_up() {
    let plugin = Scripted::new(|_, request| async move {
        let mut body = request.into_body();
        body.frame().await.unwrap().unwrap();
        pending::<()>().await;
        drop(body);
        answer("")
    });
    let endless = Upload::once(tokio::io::repeat(7));
    let error = plugin.client().send_file::<u8>("X.Y", endless).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { after: DEFAULT_TIMEOUT, .. }), "{error:?}");
    assert_eq!(plugin.began.elapsed(), DEFAULT_TIMEOUT);
}

#[tokio::test]
async fn the_options_of_tls_are_for_addresses_that_have_it() {
    let tls = TlsOptions::new();
    for address in ["unix:///run/x.sock", "tcp://host:1", "http://host:1"] {
        let address = address.parse().unwrap();
        let error = Client::builder(&address).tls(&tls).build().unwrap_err();
        assert!(matches!(error, TlsError::NotEncrypted { .. }), "{error}");
        Client::new(&address).unwrap();
    }
    let insecure = TlsOptions::new().insecure_skip_verify();
    Client::builder(&"https://[::1]:1".parse().unwrap()).tls(&insecure).build().unwrap();
}
