//! What a plugin answers, without a socket.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::StreamExt;
use futures::stream;
use http::Method;
use http::Request;
use http::Response;
use http::StatusCode;
use http_body_util::BodyExt;
use http_body_util::StreamBody;
use parking_lot::Mutex;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::listener::Accepted;
use super::server::IDLE_TIME;
use super::server::serve_connection;
use super::*;
use crate::docker::body::Body;
use crate::docker::body::BoxError;
use crate::docker::wire::Empty;
use crate::docker::wire::MEDIA_TYPE;
use crate::docker::wire::Manifest;

fn plugin() -> Plugin {
    Plugin::new()
        .implements("Arithmetic")
        .implements("Crimes")
        .implements("Arithmetic")
        .method(
            "Arithmetic.Sum",
            |numbers: Vec<u64>| async move { Ok(numbers.iter().sum::<u64>()) },
        )
        .method("Arithmetic.None", |_: Empty| async { Ok(Empty {}) })
        .method("Crimes.Fail", |text: Option<String>| async move {
            Err::<Empty, _>(Failure::new(text.unwrap_or_default()))
        })
        .method("Crimes.Parse", |text: String| async move { Ok(text.parse::<u8>()?) })
        .method("Crimes.Panic", |_: Empty| async { never() })
        .method("Crimes.Unwritable", |_: Empty| async { Ok(HashMap::from([((1, 2), 3)])) })
        .stream("Arithmetic.Count", |to: u64| async move {
            Ok(Body::from_reader(std::io::Cursor::new(vec![b'x'; usize::try_from(to)?])))
        })
        .receive("Arithmetic.Length", |received: Received| async move {
            let query = received.query().map(str::to_owned);
            let mut all = Vec::new();
            received.into_reader().read_to_end(&mut all).await?;
            Ok((all.len(), query))
        })
        .max_request(100)
}

fn never() -> Result<Empty, Failure> {
    panic!("on purpose")
}

fn request(path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(path).body(body.into()).unwrap()
}

async fn read(answer: Response<Body>) -> (u16, String) {
    assert_eq!(answer.headers()["content-type"], MEDIA_TYPE);
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn ask(path: &str, body: &'static str) -> (u16, String) {
    read(plugin().answer(request(path, Bytes::from(body))).await).await
}

#[tokio::test]
async fn a_plugin_says_what_it_implements_each_once() {
    let (status, manifest) = ask("/Plugin.Activate", "").await;
    assert_eq!(status, 200);
    let manifest: Manifest = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest.implements, ["Arithmetic", "Crimes"]);
}

#[tokio::test]
async fn a_method_answers_with_a_line_of_json() {
    assert_eq!(ask("/Arithmetic.Sum", "[1, 2]\n").await, (200, "3\n".to_owned()));
    for nothing in ["", "{}", "null"] {
        assert_eq!(ask("/Arithmetic.None", nothing).await, (200, "{}\n".to_owned()));
    }
}

#[tokio::test]
async fn what_fails_answers_with_err_as_dockers_plugins_do() {
    let failed = |status, text: &str| (status, format!("{{\"Err\":\"{text}\"}}\n"));
    assert_eq!(ask("/Crimes.Fail", r#""full""#).await, failed(500, "full"));
    let parsed = ask("/Crimes.Parse", r#""300""#).await;
    assert_eq!(parsed, failed(500, "number too large to fit in target type"));
    assert_eq!(ask("/Crimes.Panic", "").await.0, 500);
    assert_eq!(ask("/Crimes.Unwritable", "").await.0, 500);
    let (status, text) = ask("/Crimes.None", "").await;
    assert_eq!((status, text.contains("Crimes.None")), (404, true));
    let (status, text) = ask("/Arithmetic.Sum", "{").await;
    assert_eq!((status, text.starts_with("{\"Err\":\"the arguments are not")), (400, true));
}

#[tokio::test]
async fn only_a_post_calls_a_method() {
    let mut get = request("/Crimes.Panic", Bytes::new());
    *get.method_mut() = Method::GET;
    let answer = plugin().answer(get).await;
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers()["allow"], "POST");
}

#[tokio::test]
async fn arguments_that_are_too_long_are_not_read_to_their_end() {
    let endless = stream::repeat(Bytes::from_static(b"[[[["));
    let endless = endless.map(|bytes| Ok::<_, BoxError>(http_body::Frame::data(bytes)));
    let body = Body::new(StreamBody::new(endless));
    let (status, text) = read(plugin().answer(request("/Arithmetic.Sum", body)).await).await;
    assert_eq!(status, 413);
    assert!(text.contains("100 bytes"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn arguments_that_do_not_arrive_are_not_waited_for() {
    let began = Instant::now();
    let never = stream::pending::<Result<http_body::Frame<Bytes>, BoxError>>();
    let body = Body::new(StreamBody::new(never));
    let (status, _) = read(plugin().answer(request("/Arithmetic.Sum", body)).await).await;
    assert_eq!((status, began.elapsed()), (408, Duration::from_secs(30)));
}

#[tokio::test]
async fn streams_go_both_ways_and_are_not_bounded() {
    let (status, counted) = ask("/Arithmetic.Count", "1000").await;
    assert_eq!((status, counted.len()), (200, 1000));
    let long = Bytes::from(vec![b'x'; 1000]);
    let answer = plugin().answer(request("/Arithmetic.Length?id=%31&x", long)).await;
    assert_eq!(read(answer).await, (200, "[1000,\"id=%31&x\"]\n".to_owned()));
}

#[tokio::test]
async fn a_caller_that_gives_up_drops_the_method() {
    let dropped = Arc::<Mutex<bool>>::default();
    struct Notes(Arc<Mutex<bool>>);
    impl Drop for Notes {
        fn drop(&mut self) {
            *self.0.lock() = true;
        }
    }
    let notes = dropped.clone();
    let plugin = Plugin::new().method("Crimes.Hang", move |_: Empty| {
        let notes = Notes(notes.clone());
        async move {
            std::future::pending::<()>().await;
            drop(notes);
            Ok(Empty {})
        }
    });
    let mut answer = Box::pin(plugin.answer(request("/Crimes.Hang", Bytes::new())));
    assert!((&mut answer).now_or_never().is_none());
    assert!(!*dropped.lock());
    drop(answer);
    assert!(*dropped.lock());
}

/// A connection to a plugin, in memory, and the task that serves it.
fn connect(plugin: Plugin) -> (DuplexStream, JoinHandle<()>) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let accepted = Accepted::Ready(Box::new(theirs));
    let served = serve_connection(accepted, Arc::new(plugin), CancellationToken::new());
    let served = tokio::spawn(async {
        // How it ends is for the log.
        let _ = served.await;
    });
    (ours, served)
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_nothing_is_asked_ends_after_a_minute() {
    for said in ["", "POST /Arithmetic.None HTTP/1.1\r\nConte"] {
        let began = Instant::now();
        let (mut connection, served) = connect(plugin());
        connection.write_all(said.as_bytes()).await.unwrap();
        served.await.unwrap();
        assert_eq!(began.elapsed(), IDLE_TIME, "{said:?}");
    }
    // Also after an answer.
    let began = Instant::now();
    let (mut connection, served) = connect(plugin());
    let request = b"POST /Arithmetic.None HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
    connection.write_all(request).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n{}\n"),
        "{answer}"
    );
    served.await.unwrap();
    assert_eq!(began.elapsed(), IDLE_TIME);
}

#[tokio::test(start_paused = true)]
async fn a_method_may_take_longer_than_a_connection_may_be_idle() {
    let slow = Plugin::new().method("Slow.Down", |_: Empty| async {
        tokio::time::sleep(IDLE_TIME * 10).await;
        Ok(Empty {})
    });
    let (mut connection, _served) = connect(slow);
    connection.write_all(b"POST /Slow.Down HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("\r\n\r\n{}\n"), "{answer}");
}

#[test]
fn a_failure_never_looks_like_success() {
    let failure = Failure::new("full").with_status(StatusCode::OK);
    assert_eq!(failure.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(Failure::not_found("gone").status(), StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_stays_locked_is_not_waited_for_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let held = std::fs::File::open(folder.path()).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let endpoint = UnixEndpoint::at(folder.path().join("a.sock"));
    let bound = endpoint.clone().bind().await;
    assert!(
        matches!(&bound, Err(ListenError::Locked { folder: named, .. }) if named == folder.path()),
        "{bound:?}"
    );
    let (bound, ()) = tokio::join!(endpoint.bind(), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(held);
    });
    bound.unwrap();
}

#[tokio::test]
async fn a_group_that_no_system_has_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bound = UnixEndpoint::at(folder.path().join("a.sock")).group(u32::MAX).bind().await;
    assert!(matches!(bound, Err(ListenError::Group { gid: u32::MAX })), "{bound:?}");
}

/// The removal is made to fail, which is told while it is tried: then there is time to look.
#[tokio::test]
async fn files_are_removed_while_somebody_still_listens() {
    let folder = tempfile::tempdir().unwrap();
    let [before, after] = ["before", "after"].map(|name| folder.path().join(name));
    let listener = UnixEndpoint::at(before.join("a.sock")).bind().await.unwrap();
    std::fs::rename(&before, &after).unwrap();
    std::fs::write(&before, "in the way").unwrap();
    let connected = Arc::new(Mutex::new(Vec::new()));
    let seen = connected.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || {
            let connection = std::os::unix::net::UnixStream::connect(after.join("a.sock"));
            seen.lock().push(connection.is_ok());
            std::io::sink()
        })
        .finish();
    tracing::subscriber::with_default(subscriber, || drop(listener));
    assert_eq!(*connected.lock(), [true]);
}
