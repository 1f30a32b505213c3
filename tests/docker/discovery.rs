//! From a directory to an answer: real files, real sockets.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use trunkline::docker::Directories;
use trunkline::docker::GetError;
use trunkline::docker::Registry;
use trunkline::docker::RetryPolicy;
use trunkline::docker::serve::TcpEndpoint;
use trunkline::docker::serve::UnixEndpoint;

use crate::served::Folder;
use crate::served::Served;
use crate::served::Signals;
use crate::served::plugin;

fn registry(folder: &Folder) -> Registry {
    let directories = Directories::new(folder.path("sockets"), [folder.path("specs")]);
    let quick = RetryPolicy::default().first_delay(Duration::from_millis(1));
    Registry::new(directories).with_retry(quick.give_up_after(Duration::from_millis(100)))
}

#[tokio::test]
async fn plugins_are_found_by_their_sockets_and_by_their_spec_files() {
    let folder = Folder::new();
    let registry = registry(&folder);
    let socket = UnixEndpoint::at(folder.path("sockets/socket.sock")).bind().await.unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    let port = TcpEndpoint::at(any).spec(folder.path("specs"), "port").bind().await.unwrap();
    let _served = [socket, port]
        .map(|listener| Served::start(plugin(&Signals::default()).implements("Other"), listener));
    fs::write(folder.path("specs/dead.spec"), "unix:///nonexistent/dead.sock").unwrap();
    fs::write(folder.path("specs/wrong.spec"), "nothing").unwrap();

    let told = Arc::<AtomicUsize>::default();
    let tell = told.clone();
    registry.handle("Other", move |_| {
        tell.fetch_add(1, Ordering::Relaxed);
    });
    for name in ["socket", "port"] {
        let plugin = registry.get(name, "Test").await.unwrap();
        assert_eq!(plugin.interfaces(), ["Test", "Other"]);
        assert_eq!(plugin.client().call::<_, u8>("Test.Echo", &1).await.unwrap(), 1);
    }
    let all = registry.get_all("Test").await.unwrap();
    assert_eq!(all.iter().map(|plugin| plugin.name()).collect::<Vec<_>>(), ["socket", "port"]);
    assert_eq!(told.load(Ordering::Relaxed), 2);

    let dead = registry.get("dead", "Test").await.unwrap_err();
    assert!(matches!(dead, GetError::Activate { .. }), "{dead}");
    let missing = registry.get("missing", "Test").await.unwrap_err();
    assert!(missing.is_not_found(), "{missing}");
}

#[tokio::test]
async fn a_plugin_that_moves_is_found_again_when_it_is_forgotten() {
    let folder = Folder::new();
    let registry = registry(&folder);
    let at = |socket: &str| {
        UnixEndpoint::at(folder.path(socket)).spec(folder.path("specs"), "moves").bind()
    };
    let first = Served::start(plugin(&Signals::default()), at("first").await.unwrap());
    registry.get("moves", "Test").await.unwrap();
    first.stop().await.unwrap();
    let _second = Served::start(plugin(&Signals::default()), at("second").await.unwrap());
    registry.forget("moves");
    let found = registry.get("moves", "Test").await.unwrap();
    assert_eq!(found.location().address().socket(), Some(folder.path("second").as_path()));
    assert_eq!(found.client().call::<_, u8>("Test.Echo", &1).await.unwrap(), 1);
}
