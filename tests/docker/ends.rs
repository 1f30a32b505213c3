//! How a plugin ends, and how connections to it do.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use trunkline::docker::CallError;
use trunkline::docker::Client;
use trunkline::docker::Empty;
use trunkline::docker::RetryPolicy;
use trunkline::docker::serve::UnixEndpoint;

use crate::served::Folder;
use crate::served::Signals;
use crate::served::plugin;

#[tokio::test]
async fn a_plugin_that_stops_ends_what_it_is_doing_and_takes_nothing_new() {
    let folder = Folder::new();
    let signals = Signals::default();
    let served = folder.serve(plugin(&signals)).await;
    let client = served.client().with_retry(RetryPolicy::never());
    let idle = served.client();
    assert_eq!(idle.call::<_, u8>("Test.Echo", &1).await.unwrap(), 1);
    let waits = tokio::spawn({
        let client = client.clone();
        async move { client.call::<_, Empty>("Test.Wait", &()).await }
    });
    signals.begun.notified().await;
    let stopped = served.stop();
    while !folder.names().is_empty() {
        tokio::task::yield_now().await;
    }
    let refused = client.call::<_, u8>("Test.Echo", &1).await.unwrap_err();
    assert!(matches!(refused, CallError::Unreachable { .. }), "{refused:?}");
    assert!(!stopped.is_finished());
    signals.end.notify_one();
    waits.await.unwrap().unwrap();
    stopped.await.unwrap();
}

#[tokio::test]
async fn a_method_that_does_not_end_in_time_is_dropped() {
    let folder = Folder::new();
    let signals = Signals::default();
    let served = folder.serve(plugin(&signals).grace(Duration::ZERO)).await;
    let client = served.client();
    let waits = tokio::spawn(async move { client.call::<_, Empty>("Test.Wait", &()).await });
    signals.begun.notified().await;
    served.stop().await.unwrap();
    signals.dropped.notified().await;
    let error = waits.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Lost { attempts: 1, .. }), "{error:?}");
}

#[tokio::test]
async fn a_plugin_that_is_dropped_leaves_nothing() {
    let folder = Folder::new();
    let signals = Signals::default();
    let listener = UnixEndpoint::at(folder.path("a.sock")).bind().await.unwrap();
    let client = Client::new(listener.address()).unwrap();
    let serving = tokio::spawn(plugin(&signals).serve(listener));
    let waits = tokio::spawn(async move { client.call::<_, Empty>("Test.Wait", &()).await });
    signals.begun.notified().await;
    serving.abort();
    signals.dropped.notified().await;
    waits.await.unwrap().unwrap_err();
    assert!(folder.names().is_empty());
}

#[tokio::test]
async fn connections_beyond_their_number_wait_for_one_that_ends() {
    let folder = Folder::new();
    let signals = Signals::default();
    let served = folder.serve(plugin(&signals).max_connections(1)).await;
    let (first, second) = (served.client(), served.client());
    let waits = tokio::spawn(async move { first.call::<_, Empty>("Test.Wait", &()).await });
    signals.begun.notified().await;
    let short = second.clone().with_timeout(Duration::from_millis(50));
    let error = short.call::<_, u8>("Test.Echo", &1).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { .. }), "{error:?}");
    signals.end.notify_one();
    // Its client goes, and its connection with it.
    waits.await.unwrap().unwrap();
    assert_eq!(second.call::<_, u8>("Test.Echo", &1).await.unwrap(), 1);
}

#[tokio::test]
async fn requests_beyond_their_number_wait_for_one_that_ends() {
    let folder = Folder::new();
    let signals = Signals::default();
    let served = folder.serve(plugin(&signals)).await;
    let client = Client::builder(&served.address).max_requests(1).build().unwrap();
    let waits = tokio::spawn({
        let client = client.clone();
        async move { client.call::<_, Empty>("Test.Wait", &()).await }
    });
    signals.begun.notified().await;
    let mut echo = Box::pin(client.call::<_, u8>("Test.Echo", &1));
    let short = tokio::time::timeout(Duration::from_millis(50), &mut echo).await;
    assert!(short.is_err(), "there was a place for it");
    signals.end.notify_one();
    assert_eq!(echo.await.unwrap(), 1);
    waits.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused_and_half_a_request_harms_nobody() {
    let folder = Folder::new();
    let served = folder.serve(plugin(&Signals::default()).grace(Duration::ZERO)).await;
    let mut half = UnixStream::connect(folder.path("test.sock")).await.unwrap();
    half.write_all(b"POST /Test.Echo HTTP/1.1\r\nConte").await.unwrap();

    let mut long = UnixStream::connect(folder.path("test.sock")).await.unwrap();
    let head = format!("POST /Test.Echo HTTP/1.1\r\nX: {}", "x".repeat(1024 * 1024));
    // It is not taken to its end.
    let _ = long.write_all(head.as_bytes()).await;
    let mut answer = String::new();
    let _ = long.read_to_string(&mut answer).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");

    assert_eq!(served.client().call::<_, u8>("Test.Echo", &1).await.unwrap(), 1);
    served.stop().await.unwrap();
}
