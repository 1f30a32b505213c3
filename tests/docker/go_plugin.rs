//! Our client with a volume plugin in Go, on Docker's own library for plugins.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use parking_lot::Mutex;
use serde_json::Value;
use serde_json::json;
use trunkline::docker::CallError;
use trunkline::docker::Client;
use trunkline::docker::Directories;
use trunkline::docker::Empty;
use trunkline::docker::GetError;
use trunkline::docker::MAX_MESSAGE;
use trunkline::docker::Registry;
use trunkline::docker::RetryPolicy;

use crate::certificates::Certificates;
use crate::peers::GoPlugin;
use crate::peers::peers;
use crate::served::Folder;
use crate::support::capture::Capture;
use crate::support::system::LONG;
use crate::support::system::eventually;
use crate::support::system::within;

/// Calls a method of the driver; nothing of it may take for ever.
async fn ask(client: &Client, method: &str, args: Value) -> Result<Value, CallError> {
    within(client.call(&format!("VolumeDriver.{method}"), &args)).await
}

async fn done(client: &Client, method: &str, args: Value) -> Value {
    ask(client, method, args).await.unwrap()
}

async fn refused(client: &Client, method: &str, args: Value) -> (u16, String) {
    match ask(client, method, args).await.unwrap_err() {
        CallError::Refused { status, message, .. } => (status.as_u16(), message),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_plugin_in_go_is_found_by_its_socket_and_by_spec_files_of_each_kind() {
    let Some(peers) = peers() else { return };
    let folder = Folder::new();
    for new in ["sockets", "specs/nested"] {
        fs::create_dir_all(folder.path(new)).unwrap();
    }
    let plugin = GoPlugin::on_socket(&peers, &folder.path("sockets/socket.sock")).await;
    let address = plugin.address().to_string();
    let json = json!({"Name": "another", "Addr": address});
    fs::write(folder.path("specs/text.spec"), &address).unwrap();
    fs::write(folder.path("specs/json.json"), json.to_string()).unwrap();
    fs::write(folder.path("specs/nested/nested.spec"), format!(" {address}\n")).unwrap();

    let directories = Directories::new(folder.path("sockets"), [folder.path("specs")]);
    let registry = Registry::new(directories);
    let told = Arc::<Mutex<Vec<String>>>::default();
    let tell = told.clone();
    registry.handle("VolumeDriver", move |plugin| tell.lock().push(plugin.name().to_owned()));
    for name in ["text", "json", "nested", "socket"] {
        let plugin = within(registry.get(name, "VolumeDriver")).await.unwrap();
        assert_eq!((plugin.name(), plugin.interfaces()), (name, &["VolumeDriver".to_owned()][..]));
        done(plugin.client(), "Create", json!({"Name": name})).await;
    }
    // It is one plugin that has heard all four.
    let client = Client::new(&plugin.address()).unwrap();
    let listed = done(&client, "List", json!({})).await;
    let names: Vec<_> = listed["Volumes"].as_array().unwrap().iter().map(|v| &v["Name"]).collect();
    assert_eq!(names, ["json", "nested", "socket", "text"]);

    let all = within(registry.get_all("VolumeDriver")).await.unwrap();
    let all: Vec<_> = all.iter().map(|plugin| plugin.name()).collect();
    // Sockets stand before spec files.
    assert_eq!(all, ["socket", "json", "nested", "text"]);
    assert_eq!(*told.lock(), ["text", "json", "nested", "socket"]);
    let other = within(registry.get("text", "NetworkDriver")).await.unwrap_err();
    assert!(matches!(other, GetError::NotImplemented { .. }), "{other}");
}

#[tokio::test]
async fn every_method_of_a_volume_driver_in_go_is_called() {
    let Some(peers) = peers() else { return };
    let folder = Folder::new();
    let plugin = GoPlugin::on_socket(&peers, &folder.path("a.sock")).await;
    let client = Client::new(&plugin.address()).unwrap();
    assert!(within(client.activate()).await.unwrap().has("VolumeDriver"));
    let scope = done(&client, "Capabilities", json!({})).await;
    assert_eq!(scope, json!({"Capabilities": {"Scope": "global"}}));
    // Go writes a list without anything in it as `null`.
    assert_eq!(done(&client, "List", json!({})).await, json!({"Volumes": null}));

    let name = json!({"Name": "dätä"});
    let mount = json!({"Name": "dätä", "ID": "one"});
    let created = json!({"Name": "dätä", "Opts": {"filler": "3"}});
    assert_eq!(done(&client, "Create", created).await, json!({}));
    assert_eq!(done(&client, "Path", name.clone()).await, json!({"Mountpoint": ""}));
    let mountpoint = json!({"Mountpoint": "/srv/volumes/dätä"});
    assert_eq!(done(&client, "Mount", mount.clone()).await, mountpoint);
    assert_eq!(done(&client, "Path", name.clone()).await, mountpoint);
    let volume = json!({
        "Name": "dätä",
        "Mountpoint": "/srv/volumes/dätä",
        "CreatedAt": "2020-02-29T12:34:56Z",
        "Status": {"filler": "xxx"},
    });
    assert_eq!(done(&client, "Get", name.clone()).await, json!({"Volume": volume}));
    assert_eq!(done(&client, "List", json!({})).await, json!({"Volumes": [volume]}));
    assert_eq!(done(&client, "Unmount", mount).await, json!({}));
    assert_eq!(done(&client, "Remove", name).await, json!({}));
    assert_eq!(done(&client, "List", json!({})).await, json!({"Volumes": null}));
}

#[tokio::test]
async fn what_a_plugin_in_go_refuses_is_told_in_its_own_words() {
    let Some(peers) = peers() else { return };
    let folder = Folder::new();
    let plugin = GoPlugin::on_socket(&peers, &folder.path("a.sock")).await;
    let client = Client::new(&plugin.address()).unwrap();
    let name = json!({"Name": "data"});
    let missing = (500, "there is no volume \"data\"".to_owned());
    for method in ["Get", "Path", "Mount", "Unmount", "Remove"] {
        assert_eq!(refused(&client, method, name.clone()).await, missing);
    }
    done(&client, "Create", name.clone()).await;
    for id in ["two", "one"] {
        done(&client, "Mount", json!({"Name": "data", "ID": id})).await;
    }
    let mounted = (500, "the volume \"data\" is mounted by one, two".to_owned());
    assert_eq!(refused(&client, "Remove", name.clone()).await, mounted);
    let other = json!({"Name": "data", "Opts": {"filler": "1"}});
    let (status, message) = refused(&client, "Create", other).await;
    assert_eq!((status, &*message), (500, "the volume \"data\" is there with other options"));

    // These are not the driver's words but those of the library.
    assert_eq!(refused(&client, "Get", Value::Null).await, (400, "EOF".to_owned()));
    assert_eq!(refused(&client, "Get", json!([])).await.0, 400);
    let error = ask(&client, "Snapshot", name).await.unwrap_err();
    assert!(error.is_not_found() && trunkline::docker::is_not_found(&error), "{error}");
    assert_eq!(error.to_string(), "VolumeDriver.Snapshot: 404 page not found");
}

#[tokio::test]
async fn a_method_that_panics_in_go_has_no_answer_and_is_not_called_again() {
    let Some(peers) = peers() else { return };
    let folder = Folder::new();
    let plugin = GoPlugin::on_socket(&peers, &folder.path("a.sock")).await;
    let client = Client::new(&plugin.address()).unwrap();
    let error = ask(&client, "Get", json!({"Name": "panics"})).await.unwrap_err();
    assert!(matches!(error, CallError::Lost { attempts: 1, .. }), "{error:?}");
    // The plugin lives on, and what it was holding is free.
    done(&client, "Create", json!({"Name": "data"})).await;
}

#[tokio::test]
async fn fifty_calls_at_once_each_have_their_answer_from_go() {
    let Some(peers) = peers() else { return };
    let folder = Folder::new();
    let plugin = GoPlugin::on_socket(&peers, &folder.path("a.sock")).await;
    let client = &Client::new(&plugin.address()).unwrap();
    let fifty = |method| {
        join_all((10..60).map(|number| async move {
            let args = json!({"Name": format!("v{number}"), "ID": "one"});
            done(client, method, args).await
        }))
    };
    assert!(fifty("Create").await.iter().all(|answer| *answer == json!({})));
    for (number, answer) in (10..60).zip(fifty("Mount").await) {
        assert_eq!(answer, json!({"Mountpoint": format!("/srv/volumes/v{number}")}));
    }
    let listed = done(client, "List", json!({})).await;
    assert_eq!(listed["Volumes"].as_array().unwrap().len(), 50);
}

#[tokio::test]
async fn a_slow_method_in_go_holds_up_no_other_and_may_be_given_up() {
    let Some(peers) = peers() else { return };
    let folder = Folder::new();
    let mut plugin = GoPlugin::on_socket(&peers, &folder.path("a.sock")).await;
    let client = Client::new(&plugin.address()).unwrap();
    let slow = tokio::spawn({
        let client = client.clone();
        async move { ask(&client, "Get", json!({"Name": "slow"})).await }
    });
    assert_eq!(plugin.line().await, "waiting");
    done(&client, "Create", json!({"Name": "slow"})).await;
    let hasty = client.clone().with_timeout(Duration::from_millis(50));
    let error = ask(&hasty, "Get", json!({"Name": "slow"})).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { attempts: 1, .. }), "{error:?}");
    assert!(!slow.is_finished());
    done(&client, "Create", json!({"Name": "hurry"})).await;
    let slow = slow.await.unwrap().unwrap();
    assert_eq!(slow["Volume"]["Name"], "slow");
}

#[tokio::test]
async fn a_plugin_in_go_that_is_killed_and_comes_up_again_is_waited_for() {
    let Some(peers) = peers() else { return };
    let folder = Folder::new();
    let socket = folder.path("a.sock");
    let mut plugin = GoPlugin::on_socket(&peers, &socket).await;
    let client = Client::new(&plugin.address()).unwrap();
    done(&client, "Create", json!({"Name": "data"})).await;

    // What was asked before it died may have been done: it is not asked again.
    let slow = tokio::spawn({
        let client = client.clone();
        async move { ask(&client, "Get", json!({"Name": "slow"})).await }
    });
    assert_eq!(plugin.line().await, "waiting");
    plugin.kill();
    let lost = slow.await.unwrap().unwrap_err();
    assert!(matches!(lost, CallError::Lost { attempts: 1, .. }), "{lost:?}");

    // What is asked now has certainly not been.
    let once = client.clone().with_retry(RetryPolicy::never());
    let dead = ask(&once, "List", json!({})).await.unwrap_err();
    assert!(matches!(dead, CallError::Unreachable { attempts: 1, .. }), "{dead:?}");
    let often = RetryPolicy::default().first_delay(Duration::from_millis(1));
    let often = often.longest_delay(Duration::from_millis(20)).give_up_after(LONG);
    let patient = client.with_retry(often);
    let capture = Capture::start();
    let calls = join_all((0..20).map(|number| {
        let patient = patient.clone();
        tokio::spawn(async move {
            done(&patient, "Create", json!({"Name": format!("v{number}")})).await
        })
    }));
    eventually("each call has failed, and some of them twice", || {
        let events = capture.all();
        let failed = events.iter().filter(|event| event.message() == "a plugin does not answer");
        (failed.count() > 20).then_some(())
    })
    .await;
    let _again = GoPlugin::on_socket(&peers, &socket).await;
    for call in within(calls).await {
        assert_eq!(call.unwrap(), json!({}));
    }
    let listed = done(&patient, "List", json!({})).await;
    assert_eq!(listed["Volumes"].as_array().unwrap().len(), 20);
}

#[tokio::test]
async fn a_connection_that_a_killed_plugin_has_left_is_replaced() {
    let Some(peers) = peers() else { return };
    let folder = Folder::new();
    let socket = folder.path("a.sock");
    let mut plugin = GoPlugin::on_socket(&peers, &socket).await;
    let client = Client::new(&plugin.address()).unwrap().with_retry(RetryPolicy::never());
    for _ in 0..3 {
        done(&client, "Create", json!({"Name": "data"})).await;
        plugin.kill();
        plugin = GoPlugin::on_socket(&peers, &socket).await;
        assert_eq!(done(&client, "List", json!({})).await, json!({"Volumes": null}));
    }
}

#[tokio::test]
async fn an_answer_of_go_is_as_large_as_its_bound() {
    let Some(peers) = peers() else { return };
    let folder = Folder::new();
    let plugin = GoPlugin::on_socket(&peers, &folder.path("a.sock")).await;
    let client = Client::new(&plugin.address()).unwrap();
    let length = MAX_MESSAGE - 1000;
    for (name, length) in [("large", length), ("larger", MAX_MESSAGE)] {
        let opts = json!({"filler": length.to_string()});
        done(&client, "Create", json!({"Name": name, "Opts": opts})).await;
    }
    let large = done(&client, "Get", json!({"Name": "large"})).await;
    assert_eq!(large["Volume"]["Status"]["filler"].as_str().unwrap().len(), length);
    let larger = json!({"Name": "larger"});
    let error = ask(&client, "Get", larger.clone()).await.unwrap_err();
    assert!(matches!(error, CallError::TooLong { limit: MAX_MESSAGE, .. }), "{error:?}");
    let roomy = client.with_max_answer(2 * MAX_MESSAGE);
    let larger = done(&roomy, "Get", larger).await;
    assert_eq!(larger["Volume"]["Status"]["filler"].as_str().unwrap().len(), MAX_MESSAGE);
}

#[tokio::test]
async fn a_plugin_in_go_on_a_port_is_found_by_its_spec_file() {
    let Some(peers) = peers() else { return };
    let folder = Folder::new();
    let plugin = GoPlugin::start(&peers, &["tcp", "127.0.0.1:0"]).await;
    fs::write(folder.path("port.spec"), format!("tcp://{}", plugin.at)).unwrap();
    let registry = Registry::new(Directories::new("/nonexistent", [folder.path(".")]));
    let found = within(registry.get("port", "VolumeDriver")).await.unwrap();
    let _: Empty = within(found.client().call("VolumeDriver.List", &Empty {})).await.unwrap();
}

#[tokio::test]
async fn a_plugin_in_go_with_tls_takes_our_certificate_and_we_take_its() {
    let Some(peers) = peers() else { return };
    let ours = Certificates::new();
    let [cert, key, ca] = ["server.pem", "server-key.pem", "ca.pem"].map(|file| ours.path(file));
    let plugin = GoPlugin::start(&peers, &["tcp", "127.0.0.1:0", &cert, &key, &ca]).await;
    let address = format!("https://{}", plugin.at);
    let mut spec = json!({"Addr": address, "TLSConfig": {"CAFile": ca}});
    fs::write(ours.path("stranger.json"), spec.to_string()).unwrap();
    spec["TLSConfig"]["CertFile"] = ours.path("client.pem").into();
    spec["TLSConfig"]["KeyFile"] = ours.path("client-key.pem").into();
    fs::write(ours.path("known.json"), spec.to_string()).unwrap();

    let registry = Registry::new(Directories::new("/nonexistent", [ours.path(".")]));
    let registry = registry.with_retry(RetryPolicy::never());
    let found = within(registry.get("known", "VolumeDriver")).await.unwrap();
    done(found.client(), "Create", json!({"Name": "data"})).await;
    let stranger = within(registry.get("stranger", "VolumeDriver")).await.unwrap_err();
    assert!(matches!(stranger, GetError::Activate { .. }), "{stranger:?}");
}
