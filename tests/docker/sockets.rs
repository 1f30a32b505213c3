//! The files of sockets and specs: made safely, and removed if they are ours.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener as StdListener;

use trunkline::docker::Directories;
use trunkline::docker::serve::ListenError;
use trunkline::docker::serve::TcpEndpoint;
use trunkline::docker::serve::UnixEndpoint;

use crate::served::Folder;
use crate::served::Signals;
use crate::served::plugin;

#[tokio::test]
async fn a_socket_is_for_its_user_or_for_a_group() {
    let folder = Folder::new();
    let mode = |file: &str| {
        let metadata = fs::metadata(folder.path(file)).unwrap();
        assert!(metadata.file_type().is_socket());
        metadata.permissions().mode() & 0o7777
    };
    let _alone = UnixEndpoint::at(folder.path("alone.sock")).bind().await.unwrap();
    assert_eq!(mode("alone.sock"), 0o600);
    let ours = fs::metadata(folder.path("alone.sock")).unwrap().gid();
    let shared = UnixEndpoint::at(folder.path("deep/er/shared.sock")).group(ours);
    let _shared = shared.bind().await.unwrap();
    assert_eq!(mode("deep/er/shared.sock"), 0o660);
}

#[tokio::test]
async fn a_socket_goes_with_its_listener_and_leaves_nothing() {
    let folder = Folder::new();
    let endpoint = UnixEndpoint::at(folder.path("a.sock")).spec(folder.path("."), "a");
    let listener = endpoint.bind().await.unwrap();
    assert_eq!(folder.names(), ["a.sock", "a.spec"]);
    drop(listener);
    assert!(folder.names().is_empty());
}

#[tokio::test]
async fn a_socket_that_somebody_listens_on_is_not_taken() {
    let folder = Folder::new();
    let served = folder.serve(plugin(&Signals::default())).await;
    let again = UnixEndpoint::at(folder.path("test.sock")).bind().await;
    assert!(matches!(again, Err(ListenError::InUse { .. })), "{again:?}");
    assert_eq!(served.client().call::<_, u8>("Test.Echo", &1).await.unwrap(), 1);
    assert_eq!(folder.names(), ["test.sock"]);
}

#[tokio::test]
async fn of_many_that_start_at_once_one_listens() {
    let folder = Folder::new();
    let binds = (0..20).map(|_| {
        let endpoint = UnixEndpoint::at(folder.path("a.sock"));
        tokio::spawn(endpoint.bind())
    });
    let bound = futures::future::join_all(binds).await;
    let bound: Vec<_> = bound.into_iter().map(Result::unwrap).collect();
    assert_eq!(bound.iter().filter(|bound| bound.is_ok()).count(), 1);
    for failed in bound.iter().filter_map(|bound| bound.as_ref().err()) {
        assert!(matches!(failed, ListenError::InUse { .. }), "{failed}");
    }
    assert_eq!(folder.names(), ["a.sock"]);
}

#[tokio::test]
async fn a_socket_that_a_dead_plugin_has_left_is_replaced() {
    let folder = Folder::new();
    drop(StdListener::bind(folder.path("test.sock")).unwrap());
    let served = folder.serve(plugin(&Signals::default())).await;
    assert_eq!(served.client().call::<_, u8>("Test.Echo", &1).await.unwrap(), 1);
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let folder = Folder::new();
    fs::write(folder.path("a.sock"), "precious").unwrap();
    let bound = UnixEndpoint::at(folder.path("a.sock")).bind().await;
    assert!(matches!(bound, Err(ListenError::Occupied { .. })), "{bound:?}");
    assert_eq!(fs::read_to_string(folder.path("a.sock")).unwrap(), "precious");
    assert_eq!(folder.names(), ["a.sock"]);
}

#[tokio::test]
async fn what_has_taken_the_place_of_a_socket_is_not_removed() {
    let folder = Folder::new();
    let listener = UnixEndpoint::at(folder.path("a.sock")).spec(folder.path("."), "a").bind();
    let listener = listener.await.unwrap();
    for file in ["a.sock", "a.spec"] {
        fs::remove_file(folder.path(file)).unwrap();
        fs::write(folder.path(file), "another's").unwrap();
    }
    drop(listener);
    assert_eq!(folder.names(), ["a.sock", "a.spec"]);
}

#[tokio::test]
async fn a_path_that_is_too_long_for_a_socket_is_told_before_anything_is_made() {
    let folder = Folder::new();
    let long = folder.path(&format!("{}/a.sock", "x".repeat(120)));
    let bound = UnixEndpoint::at(long).bind().await;
    assert!(matches!(bound, Err(ListenError::Address(_))), "{bound:?}");
    assert!(folder.names().is_empty());
}

#[tokio::test]
async fn a_spec_file_leads_to_the_plugin() {
    let folder = Folder::new();
    let directories = Directories::new("/nonexistent", [folder.path("specs")]);
    let socket = UnixEndpoint::at(folder.path("so cket")).spec(folder.path("specs"), "a");
    let socket = socket.bind().await.unwrap();
    assert_eq!(directories.find("a").unwrap().address(), socket.address());
    let spec = fs::metadata(folder.path("specs/a.spec")).unwrap();
    assert_eq!(spec.permissions().mode() & 0o777, 0o644);

    let any: std::net::SocketAddr = "[::]:0".parse().unwrap();
    let port = TcpEndpoint::at(any).spec(folder.path("specs"), "b").bind().await.unwrap();
    let text = fs::read_to_string(folder.path("specs/b.spec")).unwrap();
    assert!(text.starts_with("tcp://[::1]:") && text.ends_with('\n'), "{text}");
    assert_eq!(directories.find("b").unwrap().address(), port.address());
    assert_eq!(directories.scan().unwrap(), ["a", "b"]);

    let none = UnixEndpoint::at(folder.path("c.sock")).spec(folder.path("specs"), "../c");
    assert!(matches!(none.bind().await, Err(ListenError::Name { .. })));
    let none = UnixEndpoint::named("../c").bind().await;
    assert!(matches!(none, Err(ListenError::Name { .. })));
    drop((socket, port));
    assert_eq!(folder.names(), ["specs"]);
    assert!(directories.scan().unwrap().is_empty());
}
