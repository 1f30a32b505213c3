//! The client of Docker's daemon with plugins of ours.

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::ReadBuf;
use tokio::sync::Notify;
use trunkline::docker::Body;
use trunkline::docker::ClientAuth;
use trunkline::docker::Empty;
use trunkline::docker::TlsOptions;
use trunkline::docker::serve::Failure;
use trunkline::docker::serve::Plugin;
use trunkline::docker::serve::Received;
use trunkline::docker::serve::TcpEndpoint;
use trunkline::docker::serve::UnixEndpoint;

use crate::certificates::Certificates;
use crate::peers::Home;
use crate::peers::peers;
use crate::served::Served;
use crate::support::go;
use crate::support::system::within;
use crate::volumes::volume_driver;

/// Serves on a socket in a home, with a spec file there that the daemon's client finds.
async fn serve(home: &Home, plugin: Plugin) -> Served {
    let endpoint = UnixEndpoint::at(home.path("ours.sock")).spec(home.specs(), "ours");
    Served::start(plugin, endpoint.bind().await.unwrap())
}

fn find(plugin: &str) -> Value {
    json!({"Do": "find", "Plugin": plugin, "Implements": "VolumeDriver"})
}

fn call(method: &str, body: Value) -> Value {
    json!({"Do": "call", "Method": format!("VolumeDriver.{method}"), "Body": body})
}

/// Bytes of which each place has its own.
fn pattern(length: usize) -> Vec<u8> {
    (0..251_u8).cycle().take(length).collect()
}

#[tokio::test]
async fn the_daemons_client_finds_our_plugin_and_calls_its_every_method() {
    let Some(peers) = peers() else { return };
    let home = Home::new();
    let served = serve(&home, volume_driver()).await;
    let (name, mount) = (json!({"Name": "dätä"}), json!({"Name": "dätä", "ID": "one"}));
    let steps = [
        find("ours"),
        call("Capabilities", json!({})),
        call("Create", json!({"Name": "dätä", "Opts": {"size": "<1>"}})),
        call("Mount", mount.clone()),
        call("Path", name.clone()),
        call("Get", name.clone()),
        call("List", json!({})),
        call("Unmount", mount),
        call("Remove", name),
        call("List", json!({})),
    ];
    let mountpoint = json!({"Mountpoint": "/srv/volumes/dätä"});
    let volume = json!({
        "Name": "dätä",
        "Mountpoint": "/srv/volumes/dätä",
        "CreatedAt": "2020-02-29T12:34:56Z",
        "Status": {"size": "<1>"},
    });
    let expected = [
        json!({"Implements": ["VolumeDriver"]}),
        json!({"Answer": {"Capabilities": {"Scope": "global"}}}),
        json!({"Answer": {}}),
        json!({"Answer": mountpoint}),
        json!({"Answer": mountpoint}),
        json!({"Answer": {"Volume": volume}}),
        json!({"Answer": {"Volumes": [volume]}}),
        json!({"Answer": {}}),
        json!({"Answer": {}}),
        json!({"Answer": {"Volumes": []}}),
    ];
    assert_eq!(home.client(&peers, &steps).await, expected);
    within(served.stop()).await.unwrap();
    assert!(fs::read_dir(home.specs()).unwrap().next().is_none());
}

#[tokio::test]
async fn the_daemons_client_is_told_what_fails_in_our_words() {
    let Some(peers) = peers() else { return };
    let home = Home::new();
    let driver = volume_driver()
        .method("VolumeDriver.Panic", |_: Empty| async { panics() })
        .method("VolumeDriver.Gone", |_: Empty| async {
            Err::<Empty, _>(Failure::not_found("<gone> & \"gone\""))
        });
    let served = serve(&home, driver).await;
    let name = json!({"Name": "data"});
    let steps = [
        json!({"Do": "connect", "Address": served.address.to_string()}),
        call("Get", name.clone()),
        call("Create", name.clone()),
        call("Mount", json!({"Name": "data", "ID": "one"})),
        call("Remove", name.clone()),
        call("Unmount", json!({"Name": "data", "ID": "two"})),
        call("Gone", json!({})),
        call("Snapshot", name),
        call("Panic", json!({})),
        call("Get", json!({"Name": 1})),
        json!({"Do": "call", "Method": "VolumeDriver.Get"}),
        json!({"Do": "stream", "Method": "VolumeDriver.Snapshot"}),
        json!({"Do": "find", "Plugin": "ours", "Implements": "NetworkDriver"}),
        call("List", json!({})),
    ];
    let told = home.client(&peers, &steps).await;
    let error = |at: usize| told[at]["Error"].as_str().unwrap_or_default();
    let missing = |at: usize| told[at]["NotFound"] == true;
    assert_eq!(told[0], json!({}));
    assert_eq!(error(1), "VolumeDriver.Get: there is no volume \"data\"");
    assert!(!missing(1));
    assert_eq!(error(4), "VolumeDriver.Remove: data is mounted by one");
    assert_eq!(error(5), "VolumeDriver.Unmount: data is not mounted by two");
    assert_eq!(error(6), "VolumeDriver.Gone: <gone> & \"gone\"");
    assert!(missing(6) && missing(7) && missing(11));
    assert!(error(7).contains("no method \"VolumeDriver.Snapshot\""), "{}", error(7));
    assert_eq!(
        error(8),
        "VolumeDriver.Panic: the method VolumeDriver.Panic of the plugin panicked"
    );
    for at in [9, 10] {
        assert!(error(at).contains("not the JSON that the method takes"), "{}", error(at));
    }
    assert_eq!(told[12]["NotImplemented"], true);
    // All of it was one plugin, which has survived it.
    assert_eq!(told[13]["Answer"]["Volumes"][0]["Name"], "data");
}

fn panics() -> Result<Empty, Failure> {
    panic!("on purpose")
}

#[tokio::test]
async fn fifty_calls_of_the_daemons_client_at_once_each_have_their_answer() {
    let Some(peers) = peers() else { return };
    let home = Home::new();
    let _served = serve(&home, volume_driver()).await;
    let fifty = |method: &str| {
        let mut step = call(method, json!({"Name": "v#", "ID": "one"}));
        step["Times"] = 50.into();
        step
    };
    let told = home.client(&peers, &[find("ours"), fifty("Create"), fifty("Mount")]).await;
    assert_eq!(told.len(), 101);
    assert!(told[1..51].iter().all(|told| *told == json!({"Answer": {}})), "{told:?}");
    for (number, told) in told[51..].iter().enumerate() {
        let mountpoint = format!("/srv/volumes/v{number}");
        assert_eq!(*told, json!({"Answer": {"Mountpoint": mountpoint}}));
    }
}

#[tokio::test]
async fn a_file_and_a_stream_of_the_daemons_client_are_whole() {
    const LENGTH: usize = 5 * 1024 * 1024 + 3;
    let Some(peers) = peers() else { return };
    let home = Home::new();
    let driver = volume_driver()
        .receive("VolumeDriver.Sum", |file: Received| async move {
            let mut read = Vec::new();
            file.into_reader().read_to_end(&mut read).await?;
            Ok((read.len(), crc32fast::hash(&read)))
        })
        .stream("VolumeDriver.Pattern", |length: usize| async move {
            Ok(Body::from_reader(Cursor::new(pattern(length))))
        })
        .stream("VolumeDriver.Refused", |_: Empty| async { Err(Failure::new("no stream")) });
    let _served = serve(&home, driver).await;
    let stream = |method: &str, body: Value| json!({"Do": "stream", "Method": format!("VolumeDriver.{method}"), "Body": body});
    let send = |bytes: usize| json!({"Do": "send", "Method": "VolumeDriver.Sum", "Bytes": bytes});
    let steps = [
        find("ours"),
        send(LENGTH),
        send(0),
        stream("Pattern", LENGTH.into()),
        stream("Pattern", 0.into()),
        stream("Refused", json!({})),
    ];
    let sum = crc32fast::hash(&pattern(LENGTH));
    let expected = [
        json!({"Implements": ["VolumeDriver"]}),
        json!({"Answer": [LENGTH, sum]}),
        json!({"Answer": [0, 0]}),
        json!({"Bytes": LENGTH, "Sum": sum}),
        json!({}),
        json!({"Error": "VolumeDriver.Refused: no stream"}),
    ];
    assert_eq!(home.client(&peers, &steps).await, expected);
}

/// Zeros without end, and who is told when nobody reads them any more.
struct Endless(Arc<Notify>);

impl AsyncRead for Endless {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        into.initialize_unfilled();
        into.advance(into.remaining());
        Poll::Ready(Ok(()))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn a_stream_that_the_daemons_client_closes_ends_here() {
    let Some(peers) = peers() else { return };
    let home = Home::new();
    let closed = Arc::<Notify>::default();
    let tells = closed.clone();
    let driver = volume_driver()
        .stream("VolumeDriver.Zeros", move |_: Empty| {
            let endless = Endless(tells.clone());
            async { Ok(Body::from_reader(endless)) }
        })
        .method("VolumeDriver.Closed", move |_: Empty| {
            let closed = closed.clone();
            async move {
                closed.notified().await;
                Ok(Empty {})
            }
        });
    let _served = serve(&home, driver).await;
    let steps = [
        find("ours"),
        json!({"Do": "stream", "Method": "VolumeDriver.Zeros", "Bytes": 100_000}),
        // It is the stream that has ended, and not yet the client with all its connections.
        call("Closed", json!({})),
    ];
    let zeros = vec![0; 100_000];
    let read = json!({"Bytes": zeros.len(), "Sum": crc32fast::hash(&zeros)});
    let expected = [json!({"Implements": ["VolumeDriver"]}), read, json!({"Answer": {}})];
    assert_eq!(home.client(&peers, &steps).await, expected);
}

#[tokio::test]
async fn the_daemons_client_finds_our_plugin_with_tls_by_a_json_file() {
    let Some(peers) = peers() else { return };
    let (home, ours) = (Home::new(), Certificates::new());
    let options = TlsOptions::new()
        .identity(ours.path("server.pem"), ours.path("server-key.pem"))
        .ca_file(ours.path("ca.pem"))
        .client_auth(ClientAuth::Required);
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    let listener = TcpEndpoint::at(any).tls(options).bind().await.unwrap();
    let served = Served::start(volume_driver(), listener);
    let spec = json!({
        "Name": "another",
        "Addr": served.address.to_string(),
        "TLSConfig": {
            "CAFile": ours.path("ca.pem"),
            "CertFile": ours.path("client.pem"),
            "KeyFile": ours.path("client-key.pem"),
        },
    });
    fs::write(home.specs().join("secure.json"), spec.to_string()).unwrap();
    let steps = [find("secure"), call("Create", json!({"Name": "data"}))];
    let expected = [json!({"Implements": ["VolumeDriver"]}), json!({"Answer": {}})];
    assert_eq!(home.client(&peers, &steps).await, expected);
}

#[tokio::test]
async fn the_daemons_client_finds_our_plugin_on_a_port_by_a_spec_file() {
    let Some(peers) = peers() else { return };
    let home = Home::new();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    let listener = TcpEndpoint::at(any).spec(home.specs(), "port").bind().await.unwrap();
    let _served = Served::start(volume_driver(), listener);
    let steps = [find("port"), call("List", json!({}))];
    let told = home.client(&peers, &steps).await;
    assert_eq!(told[1], json!({"Answer": {"Volumes": []}}));
}

/// The folder is the daemon's own, where there is one: this adds one socket and takes it away
/// again.
#[tokio::test]
async fn the_daemons_client_finds_our_plugin_by_its_socket() {
    const SOCKETS: &str = "/run/docker/plugins";
    let Some(peers) = peers() else { return };
    let probe = tempfile::Builder::new().prefix("trunkline-test-").tempfile_in(SOCKETS);
    let Ok(probe) = probe else {
        go::say(&format!("skipped: what needs to write into {SOCKETS}"));
        return;
    };
    let name = probe.path().file_name().unwrap().to_string_lossy().into_owned();
    let listener = UnixEndpoint::named(&name).bind().await.unwrap();
    let socket = Path::new(SOCKETS).join(format!("{name}.sock"));
    assert!(socket.exists());
    let served = Served::start(volume_driver(), listener);
    let steps = [find(&name), call("List", json!({}))];
    let told = Home::new().client(&peers, &steps).await;
    assert_eq!(told[1], json!({"Answer": {"Volumes": []}}));
    within(served.stop()).await.unwrap();
    assert!(!socket.exists());
}

#[tokio::test]
async fn the_daemon_keeps_its_volumes_with_our_driver() {
    let Some(peers) = peers() else { return };
    let home = Home::new();
    let _served = serve(&home, volume_driver()).await;
    let step = |action: &str| json!({"Do": action, "Name": "data", "ID": "one"});
    let steps = [
        step("scope"),
        step("get"),
        json!({"Do": "create", "Name": "data", "Opts": {"size": "1"}}),
        step("mount"),
        step("path"),
        step("get"),
        step("remove"),
        step("list"),
        step("unmount"),
        step("unmount"),
        step("remove"),
        step("list"),
    ];
    let expected = [
        json!({"Text": "global"}),
        json!({"Error": "VolumeDriver.Get: there is no volume \"data\""}),
        json!({"Text": "data"}),
        json!({"Text": "/srv/volumes/data"}),
        json!({"Text": "/srv/volumes/data"}),
        json!({"Text": "data", "Created": "2020-02-29T12:34:56Z", "Status": {"size": "1"}}),
        json!({"Error": "VolumeDriver.Remove: data is mounted by one"}),
        json!({"Names": ["data"]}),
        json!({}),
        json!({"Error": "VolumeDriver.Unmount: data is not mounted by one"}),
        json!({}),
        json!({}),
    ];
    assert_eq!(home.daemon(&peers, "ours", &steps).await, expected);
}
