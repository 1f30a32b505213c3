//! Our examples: with each other, with a host of Trunkline, and with Docker's own code.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::OnceLock;

use rustix::process::Pid;
use rustix::process::Signal;
use serde_json::Value;
use serde_json::json;
use tokio::process::Child;
use tokio::process::Command;
use trunkline::docker::Client;
use trunkline::docker::Directories;
use trunkline::docker::Empty;
use trunkline::docker::Registry;
use trunkline::docker::serve::Failure;
use trunkline::docker::serve::Plugin;
use trunkline::docker::serve::UnixEndpoint;
use trunkline::host::Host;
use trunkline::host::PluginCommand;
use trunkline::host::PluginHandle;
use trunkline::services::state::MemoryStore;
use trunkline::services::state::RedbStore;
use trunkline::services::state::State;
use trunkline::services::state::StateService;

use crate::peers::GoPlugin;
use crate::peers::Home;
use crate::peers::peers;
use crate::raw::Raw;
use crate::support::system::within;

/// One of our own examples. Cargo builds them with all tests, but not with this one alone.
fn example(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let this = env::current_exe().expect("the path of this test program");
        let built = this.parent().and_then(Path::parent).expect("target/<profile>/deps");
        let target = built.parent().expect("target/<profile>");
        let profile = match built.file_name().and_then(OsStr::to_str) {
            None | Some("debug") => "dev",
            Some(profile) => profile,
        };
        let mut cargo = std::process::Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--profile", profile]);
        cargo.args(["--example", "docker_client", "--example", "docker_volume_plugin"]);
        let status = cargo.arg("--target-dir").arg(target).status().expect("cargo runs");
        assert!(status.success(), "our examples are not built");
        built.join("examples")
    });
    folder.join(name)
}

/// The volume plugin, run by hand, on a socket in this folder.
async fn by_hand(home: &Home) -> Child {
    let mut command = Command::new(example("docker_volume_plugin"));
    command.args(arguments(home)).arg("--store").arg(home.path("volumes.redb"));
    command.stderr(Stdio::null()).kill_on_drop(true);
    command.spawn().expect("it runs")
}

/// What the volume plugin is told in either life.
fn arguments(home: &Home) -> [PathBuf; 7] {
    let socket = home.path("folders.sock");
    let [root, at, spec] = ["--root", "--socket", "--spec"].map(PathBuf::from);
    let specs = home.specs();
    [root, home.path("volumes"), at, socket, spec, specs, "folders".into()]
}

/// What the client prints, and its exit code.
async fn client(home: &Home, arguments: &[&str]) -> (String, i32) {
    let sockets = home.path("sockets");
    let specs = home.specs();
    let mut all: Vec<&OsStr> = vec!["--sockets".as_ref(), sockets.as_ref()];
    // The plugin may not be up yet.
    all.extend::<[&OsStr; 4]>([
        "--specs".as_ref(),
        specs.as_ref(),
        "--wait".as_ref(),
        "30".as_ref(),
    ]);
    all.extend(arguments.iter().map(OsStr::new));
    let mut command = Command::new(example("docker_client"));
    let output = within(command.args(&all).kill_on_drop(true).output()).await.expect("it runs");
    let code = output.status.code().expect("not killed");
    let said = if code == 0 { output.stdout } else { output.stderr };
    (String::from_utf8(said).expect("text").trim_end().to_owned(), code)
}

async fn done(home: &Home, arguments: &[&str]) -> String {
    let (said, code) = client(home, arguments).await;
    assert_eq!(code, 0, "{arguments:?}: {said}");
    said
}

#[tokio::test]
async fn the_two_examples_do_all_that_is_done_with_volumes() {
    let home = Home::new();
    let mut plugin = by_hand(&home).await;
    let done = async |arguments: &[&str]| done(&home, arguments).await;
    assert_eq!(done(&["activate", "folders"]).await, "VolumeDriver");
    assert!(done(&["plugins"]).await.starts_with("folders\tVolumeDriver\tunix:///"));
    assert_eq!(done(&["capabilities", "folders"]).await, "local");
    assert_eq!(done(&["create", "folders", "data", "--opt", "label=a=b"]).await, "");
    // Once more is no error, and no other volume.
    assert_eq!(done(&["create", "folders", "data", "--opt", "label=a=b"]).await, "");
    assert_eq!(fs::read_dir(home.path("volumes")).unwrap().count(), 1);

    let place = PathBuf::from(done(&["mount", "folders", "data", "--id", "one"]).await);
    fs::write(place.join("file"), "kept").unwrap();
    let got: Value =
        serde_json::from_str(&done(&["--json", "inspect", "folders", "data"]).await).expect("JSON");
    assert_eq!(got["Status"], json!({"Opts": {"label": "a=b"}, "Users": {"one": 1}}));
    let used = client(&home, &["remove", "folders", "data"]).await;
    let words = "docker_client: VolumeDriver.Remove: the volume \"data\" is used";
    assert_eq!(used, (words.to_owned(), 1));

    // It is told to end, and leaves no files but its volumes; another takes over.
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let pid = plugin.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        rustix::process::kill_process(pid.expect("it runs"), signal).unwrap();
        assert!(within(plugin.wait()).await.unwrap().success(), "{signal:?}");
        assert_eq!(home.0.names(), [".local", "volumes", "volumes.redb"]);
        plugin = by_hand(&home).await;
        done(&["activate", "folders"]).await;
    }
    assert_eq!(PathBuf::from(done(&["path", "folders", "data"]).await), place);
    assert_eq!(fs::read_to_string(place.join("file")).unwrap(), "kept");
    done(&["unmount", "folders", "data", "--id", "one"]).await;
    done(&["remove", "folders", "data"]).await;
    assert!(!place.exists());
    assert_eq!(done(&["list", "folders"]).await, "");
}

#[tokio::test]
async fn nothing_outside_the_root_is_removed_whatever_the_store_says() {
    let home = Home::new();
    fs::create_dir(home.path("mine")).unwrap();
    let outside = [home.path("mine").display().to_string(), "../mine".into(), ".".into()];
    let store = Arc::new(RedbStore::open(home.path("volumes.redb")).await.unwrap());
    let state = State::new(StateService::new(store, "volumes"));
    for (n, folder) in outside.iter().enumerate() {
        let record = json!({"folder": folder, "created": "", "opts": {}, "users": {}});
        state.put(format!("volume/v{n}"), record.to_string().into_bytes()).await.unwrap();
    }
    drop(state);
    let _plugin = by_hand(&home).await;
    for n in 0..outside.len() {
        let (said, code) = client(&home, &["remove", "folders", &format!("v{n}")]).await;
        assert!(said.contains("the store is wrong"), "{said}");
        assert_eq!(code, 1);
    }
    assert!(home.path("mine").is_dir());
    assert!(home.path("volumes").is_dir());
}

#[tokio::test]
async fn a_volume_is_used_until_it_was_unmounted_as_often_as_mounted() {
    let home = Home::new();
    let _plugin = by_hand(&home).await;
    let done = async |action: &str| done(&home, &[action, "folders", "data"]).await;
    for action in ["create", "mount", "mount", "unmount"] {
        done(action).await;
    }
    assert_eq!(client(&home, &["remove", "folders", "data"]).await.1, 1);
    done("unmount").await;
    done("remove").await;
}

#[tokio::test]
async fn a_second_remove_finishes_what_the_first_has_left() {
    let home = Home::new();
    let _plugin = by_hand(&home).await;
    done(&home, &["create", "folders", "data"]).await;
    let place = done(&home, &["path", "folders", "data"]).await;
    // It cannot be removed as a folder can.
    fs::remove_dir(&place).unwrap();
    fs::write(&place, "").unwrap();
    for action in ["remove", "mount", "create", "remove"] {
        assert_eq!(client(&home, &[action, "folders", "data"]).await.1, 1, "{action}");
    }
    fs::remove_file(&place).unwrap();
    done(&home, &["remove", "folders", "data"]).await;
    assert_eq!(done(&home, &["list", "folders"]).await, "");
}

#[tokio::test]
async fn a_volume_that_cannot_be_noted_leaves_no_folder() {
    let home = Home::new();
    // It offers no state.
    let host = Host::new("tests", "1");
    let (handle, client) = launched(&host, &home).await;
    let data = json!({"Name": "data"});
    within(client.call::<_, Empty>("VolumeDriver.Create", &data)).await.unwrap_err();
    assert_eq!(fs::read_dir(home.path("volumes")).unwrap().count(), 0);
    within(handle.stop()).await;
}

#[tokio::test]
async fn a_root_that_docker_cannot_be_told_is_refused() {
    let home = Home::new();
    let mut command = Command::new(example("docker_volume_plugin"));
    let root = home.path(".").join(OsStr::from_bytes(b"\xff"));
    command.arg("--root").arg(root).arg("--socket").arg(home.path("folders.sock"));
    command.arg("--store").arg(home.path("volumes.redb")).kill_on_drop(true);
    let output = within(command.output()).await.expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not in UTF-8"));
}

#[tokio::test]
async fn the_folder_of_a_volume_is_for_everybody_whatever_the_umask() {
    let home = Home::new();
    let mut command = Command::new("sh");
    command.args(["-c", "umask 077; exec \"$0\" \"$@\""]).arg(example("docker_volume_plugin"));
    command.args(arguments(&home)).arg("--store").arg(home.path("volumes.redb"));
    let _plugin = command.stderr(Stdio::null()).kill_on_drop(true).spawn().expect("it runs");
    done(&home, &["create", "folders", "data"]).await;
    let place = done(&home, &["path", "folders", "data"]).await;
    assert_eq!(fs::metadata(place).unwrap().permissions().mode() & 0o777, 0o755);
}

#[tokio::test]
async fn the_client_says_by_its_exit_code_what_was_wrong() {
    let home = Home::new();
    let _plugin = by_hand(&home).await;
    done(&home, &["activate", "folders"]).await;
    let code = async |arguments: &[&str]| client(&home, arguments).await.1;
    assert_eq!(code(&["path", "folders", "nothing"]).await, 1);
    assert_eq!(code(&["create", "folders", "../x"]).await, 1);
    assert_eq!(code(&["create", "folders", "x", "--opt", "size=1"]).await, 1);
    assert_eq!(code(&["nonsense"]).await, 2);
    fs::write(home.specs().join("dead.spec"), "unix:///nobody").unwrap();
    assert_eq!(code(&["--wait", "0", "list", "dead"]).await, 3);
    assert_eq!(code(&["--wait", "0", "list", "nobody"]).await, 4);
    assert_eq!(code(&["--wait", "0", "list", "../folders"]).await, 4);
    assert_eq!(code(&["--help"]).await, 0);
}

/// What the client does with a plugin that answers this to everything but its activation.
async fn told(answer: &Value, arguments: &[&str]) -> (String, i32) {
    let home = Home::new();
    fs::create_dir(home.path("sockets")).unwrap();
    let answer = answer.clone();
    let answers = Arc::new(move |_: Value| {
        let answer = answer.clone();
        async move { Ok::<_, Failure>(answer) }
    });
    let mut plugin = Plugin::new().implements("VolumeDriver");
    for method in ["Get", "List", "Mount", "Path"] {
        let answers = Arc::clone(&answers);
        plugin = plugin.method(format!("VolumeDriver.{method}"), move |asked| answers(asked));
    }
    let listener = UnixEndpoint::at(home.path("sockets/p.sock")).bind().await.unwrap();
    tokio::select! {
        said = client(&home, arguments) => said,
        never = plugin.serve(listener) => match never {},
    }
}

#[tokio::test]
async fn an_answer_without_what_it_is_for_is_no_good_answer() {
    for arguments in [["inspect", "p", "data"], ["mount", "p", "data"]] {
        let (said, code) = told(&json!({}), &arguments).await;
        assert_eq!(code, 3, "{arguments:?}: {said}");
        let mut as_json = vec!["--json"];
        as_json.extend(arguments);
        assert_eq!(told(&json!({}), &as_json).await.1, 3, "{arguments:?}");
    }
    assert_eq!(told(&json!({}), &["path", "p", "data"]).await, (String::new(), 0));
}

#[tokio::test]
async fn no_plugin_steers_the_terminal_or_forges_lines() {
    let name = "a\tb\nc\u{1b}]0;x\u{7}\u{9b}2J\u{202e}\u{2028}\u{7f}";
    let volume = json!({"Name": name, "Mountpoint": name, "Status": {"x": name}});
    let answer = json!({"Volume": volume, "Volumes": [volume], "Mountpoint": name});
    let (failed, inspect) = (json!({"Err": name}), ["inspect", "p", "data"]);
    let shown = r"a\tb\nc\u{1b}]0;x\u{7}\u{9b}2J\u{202e}\u{2028}\u{7f}";
    assert_eq!(told(&answer, &["list", "p"]).await, (format!("{shown}\t{shown}"), 0));
    assert_eq!(told(&answer, &["mount", "p", "data"]).await, (shown.to_owned(), 0));
    let steers =
        |c: char| (c.is_control() && c != '\t' && c != '\n') || "\u{202e}\u{2028}".contains(c);
    let (said, _) = told(&answer, &inspect).await;
    assert!(!said.contains(steers), "{said:?}");
    assert_eq!(said.lines().count(), 3, "{said}");
    let (said, code) = told(&failed, &inspect).await;
    assert!(!said.contains(steers) && said.lines().count() == 1 && code == 1, "{said:?}");
    // What is JSON still means the same.
    let (said, _) = told(&answer, &["--json", "list", "p"]).await;
    assert!(!said.contains(steers) && said.is_ascii(), "{said:?}");
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap(), answer);
}

#[tokio::test]
async fn a_plugin_that_does_not_answer_is_not_activated_for_longer_than_was_said() {
    let home = Home::new();
    fs::create_dir(home.path("sockets")).unwrap();
    let _silent = Raw::at(&home.path("sockets/p.sock"));
    let now = ["--timeout", "0.05", "--wait", "0"];
    let (said, code) = client(&home, &[&now[..], &["activate", "p"]].concat()).await;
    assert!(said.contains("no answer in 50ms"), "{said}");
    assert_eq!(code, 3);
    assert!(done(&home, &[&now[..], &["plugins"]].concat()).await.contains("no answer in 50ms"));
}

#[tokio::test]
async fn a_reader_that_has_heard_enough_is_no_error() {
    let home = Home::new();
    let _plugin = by_hand(&home).await;
    done(&home, &["activate", "folders"]).await;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(example("docker_client"));
    command.arg("--specs").arg(home.specs()).args(["activate", "folders"]).stdout(writer);
    let output = within(command.kill_on_drop(true).output()).await.expect("it runs");
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

/// Launches the volume plugin as an application does that is built on Trunkline.
async fn launched(host: &Host, home: &Home) -> (PluginHandle, Client) {
    let command = PluginCommand::new(example("docker_volume_plugin")).args(arguments(home));
    let launch = host.launch("folders", command).grant_state();
    let handle = within(launch.start()).await.expect("launched");
    let specs = home.specs();
    let registry = Registry::new(Directories::new(home.path("sockets"), [specs]));
    let plugin = within(registry.get("folders", "VolumeDriver")).await.expect("it serves");
    (handle, plugin.client().clone())
}

#[tokio::test]
async fn a_volume_plugin_keeps_its_state_with_its_host() {
    let home = Home::new();
    let host = Host::new("tests", "1").state(Arc::new(MemoryStore::new()));
    let data = json!({"Name": "data"});

    let (handle, client) = launched(&host, &home).await;
    let _: Empty = within(client.call("VolumeDriver.Create", &data)).await.unwrap();
    let first: Value = within(client.call("VolumeDriver.Get", &data)).await.unwrap();
    within(handle.stop()).await;
    assert_eq!(home.0.names(), [".local", "volumes"]);

    // Another process, and the same host.
    let (handle, client) = launched(&host, &home).await;
    let again: Value = within(client.call("VolumeDriver.Get", &data)).await.unwrap();
    assert_eq!(again, first);
    within(handle.stop()).await;

    // Another host has another store.
    let other = Host::new("tests", "1").state(Arc::new(MemoryStore::new()));
    let (handle, client) = launched(&other, &home).await;
    let gone = within(client.call::<_, Value>("VolumeDriver.Get", &data)).await.unwrap_err();
    assert_eq!(gone.to_string(), "VolumeDriver.Get: there is no volume \"data\"");
    within(handle.stop()).await;
}

#[tokio::test]
async fn our_client_program_drives_a_plugin_in_go() {
    let Some(peers) = peers() else { return };
    let home = Home::new();
    fs::create_dir(home.path("sockets")).unwrap();
    let _plugin = GoPlugin::on_socket(&peers, &home.path("sockets/go.sock")).await;
    let done = async |arguments: &[&str]| done(&home, arguments).await;
    assert_eq!(done(&["capabilities", "go"]).await, "global");
    assert_eq!(done(&["list", "go"]).await, "");
    done(&["create", "go", "data"]).await;
    let place = done(&["mount", "go", "data"]).await;
    assert_eq!(done(&["path", "go", "data"]).await, place);
    assert_eq!(done(&["list", "go"]).await, format!("data\t{place}"));
    done(&["unmount", "go", "data"]).await;
    done(&["remove", "go", "data"]).await;
    assert_eq!(client(&home, &["inspect", "go", "data"]).await.1, 1);
}

#[tokio::test]
async fn the_daemon_keeps_its_volumes_with_our_example() {
    let Some(peers) = peers() else { return };
    let home = Home::new();
    let _plugin = by_hand(&home).await;
    done(&home, &["activate", "folders"]).await;
    let step = |action: &str| json!({"Do": action, "Name": "data", "ID": "one"});
    let create = json!({"Do": "create", "Name": "data", "Opts": {"label": "x"}});
    let actions = ["mount", "path", "get", "remove", "unmount", "list", "remove", "list", "get"];
    let mut steps = vec![step("scope"), create];
    steps.extend(actions.map(step));
    let told = home.daemon(&peers, "folders", &steps).await;
    assert_eq!(told[..2], [json!({"Text": "local"}), json!({"Text": "data"})]);
    let place = told[2]["Text"].as_str().unwrap();
    assert!(place.starts_with(home.path("volumes").to_str().unwrap()), "{place}");
    assert_eq!(told[3]["Text"], place);
    assert_eq!(told[4]["Status"], json!({"Opts": {"label": "x"}, "Users": {"one": 1}}));
    assert!(told[4]["Created"].is_string());
    assert_eq!(told[5]["Error"], "VolumeDriver.Remove: the volume \"data\" is used");
    let rest = [
        json!({}),
        json!({"Names": ["data"]}),
        json!({}),
        json!({}),
        json!({"Error": "VolumeDriver.Get: there is no volume \"data\""}),
    ];
    assert_eq!(told[6..], rest);
}
