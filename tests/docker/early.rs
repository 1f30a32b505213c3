//! Answers that a plugin gives before it has taken the whole of a request.

use std::net::Ipv4Addr;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use trunkline::docker::Client;
use trunkline::docker::Empty;
use trunkline::docker::serve::TcpEndpoint;

use crate::raw::Raw;
use crate::served::Folder;
use crate::served::Served;
use crate::served::Signals;
use crate::served::plugin;

/// How often each is tried: which end is faster is a matter of chance.
const RUNS: usize = 20;

/// Arguments that no socket holds.
fn large() -> String {
    "x".repeat(8 * 1024 * 1024)
}

#[tokio::test]
async fn an_answer_is_read_although_the_arguments_are_not() {
    let folder = Folder::new();
    let raw = Raw::at(&folder.path("raw.sock"));
    let client = Client::new(&raw.address).unwrap();
    let large = large();
    for _ in 0..RUNS {
        let says = async {
            let (mut stream, _) = raw.request().await;
            let answer = b"HTTP/1.1 500 Oh\r\nContent-Length: 14\r\n\r\n{\"Err\":\"full\"}";
            stream.write_all(answer).await.unwrap();
        };
        let (told, ()) = tokio::join!(client.call::<_, Value>("X.Y", &large), says);
        assert_eq!(told.unwrap_err().to_string(), "X.Y: full");
    }
}

#[tokio::test]
async fn a_connection_that_is_closed_without_an_answer_is_lost_and_not_waited_for() {
    let folder = Folder::new();
    let raw = Raw::at(&folder.path("raw.sock"));
    let client = Client::new(&raw.address).unwrap();
    let large = large();
    for _ in 0..RUNS {
        let says = async { drop(raw.request().await) };
        let (told, ()) = tokio::join!(client.call::<_, Value>("X.Y", &large), says);
        let error = told.unwrap_err();
        assert!(matches!(error, trunkline::docker::CallError::Lost { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn arguments_that_are_much_too_long_are_refused_and_not_just_cut_off() {
    let folder = Folder::new();
    let served = folder.serve(plugin(&Signals::default()).max_request(100)).await;
    let client = served.client();
    let large = large();
    for _ in 0..RUNS {
        let told = client.call::<_, Empty>("Test.Echo", &large).await.unwrap_err();
        assert_eq!(told.status().map(|status| status.as_u16()), Some(413), "{told:?}");
    }
}

#[tokio::test]
async fn arguments_that_are_a_little_too_long_are_taken_before_they_are_refused() {
    let endpoint = TcpEndpoint::at((Ipv4Addr::LOCALHOST, 0));
    let listener = endpoint.bind().await.unwrap();
    let served = Served::start(plugin(&Signals::default()).max_request(100), listener);
    let client = served.client();
    let long = "x".repeat(1000 * 1000);
    for _ in 0..RUNS {
        let told = client.call::<_, Empty>("Test.Echo", &long).await.unwrap_err();
        assert_eq!(told.status().map(|status| status.as_u16()), Some(413), "{told:?}");
    }
}
