//! Hosts that the tests start, to kill them.

use std::sync::Arc;

use trunkline::host::Host;
use trunkline::services::state::RedbStore;

use super::plugin;
use crate::harness::Capture;
use crate::harness::host;
use crate::harness::tell;

/// Launches a plugin, does something with it, says its process id, and waits to be
/// killed; or does something with the durable store in a file, and dies at once.
pub async fn main(kind: &str) -> i32 {
    let (kind, rest) = kind.split_once(' ').unwrap_or((kind, ""));
    let host = match kind {
        "put" | "get" => durable(rest).await,
        _ => host(),
    };
    let launch = host.launch("good", plugin("good")).grant_state();
    let handle = launch.start().await.expect("launched");
    match kind {
        "waits" => {}
        "blocks-its-plugin" => {
            let capture = Capture::start();
            tokio::select! {
                answer = tell(&handle, "block") => panic!("it answered: {answer:?}"),
                _ = capture.line("blocked") => {}
            }
        }
        "put" => {
            tell(&handle, "put key kept").await.expect("written");
        }
        "get" => println!("got {}", tell(&handle, "get key").await.expect("read")),
        other => panic!("no such host: {other}"),
    }
    println!("plugin {}", handle.pid());
    if matches!(kind, "put" | "get") {
        // As hard as it can die.
        let this = rustix::process::getpid();
        rustix::process::kill_process(this, rustix::process::Signal::KILL).expect("killed");
    }
    std::future::pending().await
}

async fn durable(file: &str) -> Host {
    let store = RedbStore::open(file).await.expect("a store");
    host().state(Arc::new(store))
}
