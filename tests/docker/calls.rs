//! Our client with our plugins.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use trunkline::docker::CallError;
use trunkline::docker::Client;
use trunkline::docker::Empty;
use trunkline::docker::RetryPolicy;
use trunkline::docker::Upload;
use trunkline::docker::serve::Plugin;
use trunkline::docker::serve::Received;
use trunkline::docker::serve::UnixEndpoint;

use crate::raw::Raw;
use crate::served::Folder;
use crate::served::Served;
use crate::served::Signals;
use crate::served::plugin;

#[tokio::test]
async fn json_goes_there_and_back() {
    let folder = Folder::new();
    let served = folder.serve(plugin(&Signals::default())).await;
    let client = served.client();
    assert_eq!(client.activate().await.unwrap().implements, ["Test"]);
    let sent = json!({"Name": "é", "Opts": {"size": 1}, "List": [null, true]});
    assert_eq!(client.call::<_, Value>("Test.Echo", &sent).await.unwrap(), sent);
    assert_eq!(client.call::<_, Value>("/Test.Echo", &()).await.unwrap(), Value::Null);
    let long = "x".repeat(5 * 1024 * 1024);
    assert_eq!(client.call::<_, String>("Test.Echo", &long).await.unwrap(), long);
}

#[tokio::test]
async fn what_fails_at_the_plugin_is_told_here() {
    let folder = Folder::new();
    let served = folder.serve(plugin(&Signals::default())).await;
    let client = served.client();
    let failed = client.call::<_, Empty>("Test.Fail", "no such volume").await.unwrap_err();
    assert_eq!(failed.to_string(), "Test.Fail: no such volume");
    let missing = client.call::<_, Empty>("Test.None", &()).await.unwrap_err();
    assert!(missing.is_not_found() && trunkline::docker::is_not_found(&missing), "{missing}");
    let panicked = client.call::<_, Empty>("Test.Panic", &()).await.unwrap_err();
    assert_eq!(panicked.status().unwrap(), 500);
    // It has survived all that.
    assert_eq!(client.call::<_, u8>("Test.Echo", &1).await.unwrap(), 1);
}

#[tokio::test]
async fn arguments_that_are_too_long_are_refused_with_the_limit() {
    let folder = Folder::new();
    let served = folder.serve(plugin(&Signals::default()).max_request(1024)).await;
    let long = "x".repeat(4 * 1024 * 1024);
    let refused = served.client().call::<_, Empty>("Test.Echo", &long).await.unwrap_err();
    match refused {
        CallError::Refused { status, message, .. } => {
            assert_eq!(status, 413);
            assert!(message.contains("1024 bytes"), "{message}");
        }
        // The plugin may close the connection while the rest is still being sent.
        CallError::Lost { .. } => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn many_calls_at_once_each_have_their_answer() {
    let folder = Folder::new();
    let served = folder.serve(plugin(&Signals::default()).max_connections(8)).await;
    let client = Client::builder(&served.address).max_requests(16).build().unwrap();
    let calls = (0..500_u32).map(|number| {
        let client = client.clone();
        async move { client.call::<_, u32>("Test.Echo", &number).await.unwrap() == number }
    });
    assert!(join_all(calls).await.into_iter().all(|same| same));
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let folder = Folder::new();
    let raw = Raw::at(&folder.path("raw.sock"));
    let client = Client::new(&raw.address).unwrap();
    let calls = async {
        for _ in 0..3 {
            let _: Empty = client.call("X.Y", &()).await.unwrap();
        }
    };
    let answers = async {
        let mut stream = raw.connection().await;
        for _ in 0..3 {
            let head = crate::raw::head(&mut stream).await.unwrap();
            assert!(head.starts_with("POST /X.Y HTTP/1.1\r\n"), "{head}");
            assert!(head.contains("host: plugin.moby.localhost\r\n"), "{head}");
            assert!(head.contains("accept: application/vnd.docker.plugins.v1.2+json\r\n"));
            assert!(!head.contains("content-type") && !head.contains("accept-encoding"), "{head}");
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
        }
    };
    tokio::join!(calls, answers);
}

#[tokio::test]
async fn a_restarted_plugin_is_called_without_an_error() {
    let folder = Folder::new();
    let mut served = folder.serve(plugin(&Signals::default())).await;
    let client = served.client().with_retry(RetryPolicy::never());
    for _ in 0..10 {
        // The connection that is kept from the last call has ended with the plugin.
        assert_eq!(client.call::<_, u8>("Test.Echo", &1).await.unwrap(), 1);
        served.stop().await.unwrap();
        served = folder.serve(plugin(&Signals::default())).await;
    }
}

#[tokio::test]
async fn a_stream_comes_as_it_is_read() {
    let folder = Folder::new();
    let served = folder.serve(plugin(&Signals::default())).await;
    let zeros: u64 = 20 * 1024 * 1024;
    let mut stream = served.client().stream("Test.Zeros", &zeros).await.unwrap();
    let mut read = 0;
    while let Some(piece) = stream.next().await {
        read += u64::try_from(piece.unwrap().len()).unwrap();
    }
    assert_eq!(read, zeros);
    // Without end, and given up: the place is free again.
    let client = Client::builder(&served.address).max_requests(1).build().unwrap();
    for _ in 0..3 {
        let stream = client.stream("Test.Zeros", &u64::MAX).await.unwrap();
        let mut some = vec![1; 100_000];
        stream.into_reader().read_exact(&mut some).await.unwrap();
        assert!(some.iter().all(|byte| *byte == 0));
    }
}

#[tokio::test]
async fn a_file_is_sent_and_never_held_whole() {
    let folder = Folder::new();
    let served = folder.serve(plugin(&Signals::default())).await;
    let length = 20 * 1024 * 1024;
    let file = Upload::once(tokio::io::repeat(7).take(length));
    assert_eq!(served.client().send_file::<u64>("Test.Length", file).await.unwrap(), length);
}

#[tokio::test]
async fn what_a_plugin_does_not_read_is_not_read_from_the_file() {
    let folder = Folder::new();
    let signals = Signals::default();
    let waits = signals.clone();
    let slow = Plugin::new().receive("Test.Slow", move |file: Received| {
        let signals = waits.clone();
        async move {
            signals.begun.notify_one();
            signals.end.notified().await;
            Ok(tokio::io::copy(&mut file.into_reader(), &mut tokio::io::sink()).await?)
        }
    });
    let served = folder.serve(slow).await;
    let length = 64 * 1024 * 1024;
    let read = Arc::new(AtomicU64::new(0));
    let counted = Counted { reader: tokio::io::repeat(7).take(length), read: read.clone() };
    let client = served.client();
    let send = tokio::spawn(async move {
        client.send_file::<u64>("Test.Slow", Upload::once(counted)).await.unwrap()
    });
    signals.begun.notified().await;
    // Everything moves that can.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    let held = read.load(Ordering::Relaxed);
    assert!(held < 4 * 1024 * 1024, "{held} bytes are on the way to a plugin that reads none");
    signals.end.notify_one();
    assert_eq!(send.await.unwrap(), length);
}

/// Counts what is read.
struct Counted<R> {
    reader: R,
    read: Arc<AtomicU64>,
}

impl<R: tokio::io::AsyncRead + Unpin> tokio::io::AsyncRead for Counted<R> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        into: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        let before = into.filled().len();
        let polled = std::pin::Pin::new(&mut self.reader).poll_read(cx, into);
        let more = u64::try_from(into.filled().len() - before).unwrap();
        self.read.fetch_add(more, Ordering::Relaxed);
        polled
    }
}

#[tokio::test]
async fn giving_up_a_call_drops_the_method() {
    let folder = Folder::new();
    let signals = Signals::default();
    let served = folder.serve(plugin(&signals)).await;
    let client = served.client();
    tokio::select! {
        called = client.call::<_, Empty>("Test.Wait", &()) => panic!("{called:?}"),
        () = signals.begun.notified() => {}
    }
    signals.dropped.notified().await;
}

#[tokio::test]
async fn a_method_that_takes_too_long_is_given_up_and_dropped() {
    let folder = Folder::new();
    let signals = Signals::default();
    let served = folder.serve(plugin(&signals)).await;
    let client = served.client().with_timeout(Duration::from_millis(50));
    let error = client.call::<_, Empty>("Test.Wait", &()).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { attempts: 1, .. }), "{error:?}");
    signals.dropped.notified().await;
}

/// The clock stands still until the plugin is up, and jumps to whatever is waited for.
#[tokio::test(start_paused = true)]
async fn a_plugin_that_comes_up_two_seconds_late_is_waited_for() {
    let folder = Folder::new();
    let path = folder.path("late.sock");
    let address = trunkline::docker::Address::unix(&path).unwrap();
    let client = Client::new(&address).unwrap().with_retry(RetryPolicy::default().jitter(0.0));
    let began = tokio::time::Instant::now();
    let comes_up = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let listener = UnixEndpoint::at(&path).bind().await.unwrap();
        let served = Served::start(plugin(&Signals::default()), listener);
        tokio::time::resume();
        served
    };
    let (called, _served) = tokio::join!(client.call::<_, u8>("Test.Echo", &1), comes_up);
    assert_eq!(called.unwrap(), 1);
    // At one second there was nobody, at three there was.
    assert!(began.elapsed() >= Duration::from_secs(3));
}
