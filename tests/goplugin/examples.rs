//! go-plugin's own published examples, as they stand in its module; and ours, which are
//! their counterparts.

use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::OnceLock;

use tokio::process::Command;
use trunkline::goplugin::Handshake;
use trunkline::host::GoPlugin;
use trunkline::host::LaunchError;
use trunkline::host::PluginCommand;
use trunkline::host::PluginHandle;

use crate::bin;
use crate::contract::counter;
use crate::contract::counter::SumRequest;
use crate::contract::counter::SumResponse;
use crate::contract::counter::add_helper_server;
use crate::contract::counter::add_helper_server::AddHelperServer;
use crate::contract::counter::counter_client::CounterClient;
use crate::contract::kv;
use crate::contract::kv::kv_client::KvClient;
use crate::peers::Peers;
use crate::peers::Version;
use crate::peers::peers;
use crate::rust_host::host;
use crate::support::system::within;

/// The versions that there are programs for, each with a folder for their files.
fn each() -> impl Iterator<Item = (Peers, tempfile::TempDir)> {
    let peers = Version::ALL.into_iter().filter_map(peers);
    peers.map(|peers| (peers, tempfile::tempdir().expect("a folder")))
}

async fn try_launch(
    program: &Path,
    folder: &Path,
    handshake: Handshake,
) -> Result<PluginHandle, LaunchError> {
    let command = PluginCommand::new(program).current_dir(folder);
    within(host().launch("example", command).go_plugin(GoPlugin::new(handshake)).start()).await
}

async fn put_and_get(plugin: &PluginHandle) -> String {
    let mut client = KvClient::new(plugin.open("proto.KV").expect("open"));
    let put = kv::PutRequest { key: "hello".into(), value: b"world".into() };
    within(client.put(put)).await.expect("put");
    let get = kv::GetRequest { key: "hello".into() };
    let got = within(client.get(get)).await.expect("got").into_inner();
    String::from_utf8(got.value).expect("text")
}

/// What the example's host adds with.
struct Adder;

#[tonic::async_trait]
impl add_helper_server::AddHelper for Adder {
    async fn sum(
        &self,
        request: tonic::Request<SumRequest>,
    ) -> Result<tonic::Response<SumResponse>, tonic::Status> {
        let SumRequest { a, b } = request.into_inner();
        Ok(tonic::Response::new(SumResponse { r: a + b }))
    }
}

#[tokio::test]
async fn our_host_drives_the_plugin_of_the_example_grpc() {
    for (peers, folder) in each() {
        let program = peers.example("grpc/plugin-go-grpc");
        let handshake = bin::handshake_of_examples(1);
        let plugin = try_launch(&program, folder.path(), handshake).await.expect("launched");
        let got = put_and_get(&plugin).await;
        assert!(got.starts_with("world") && got.contains("plugin-go-grpc"), "{got}");
        within(plugin.stop()).await;
    }
}

#[tokio::test]
async fn our_host_drives_the_plugin_of_the_example_bidirectional() {
    for (peers, folder) in each() {
        let program = peers.example("bidirectional/plugin-go-grpc");
        let handshake = bin::handshake_of_examples(1);
        let plugin = try_launch(&program, folder.path(), handshake).await.expect("launched");
        let mut client = CounterClient::new(plugin.open("proto.Counter").expect("open"));
        for (value, expected) in [(1, 1), (41, 42)] {
            // As the example does: a service for each call.
            let adder = plugin.broker().register(AddHelperServer::new(Adder));
            let add_server = adder.number();
            let put = counter::PutRequest { add_server, key: "n".into(), value };
            within(client.put(put)).await.expect("put");
            let get = counter::GetRequest { key: "n".into() };
            let got = within(client.get(get)).await.expect("got").into_inner();
            assert_eq!(got.value, expected);
        }
        within(plugin.stop()).await;
    }
}

#[tokio::test]
async fn our_host_negotiates_with_the_plugin_of_the_example_negotiated() {
    for (peers, folder) in each() {
        let program = peers.example("negotiated/plugin-go");
        let handshake = bin::handshake_of_examples(2).version(3);
        let plugin = try_launch(&program, folder.path(), handshake).await.expect("launched");
        assert_eq!(plugin.version(), Some(3));
        let got = put_and_get(&plugin).await;
        assert!(got.contains("Read by plugin version 3"), "{got}");
        within(plugin.stop()).await;
    }
}

#[tokio::test]
async fn a_plugin_of_an_example_that_speaks_net_rpc_is_refused_with_an_error_that_says_so() {
    for (peers, folder) in each() {
        let version_2_is_net_rpc = bin::handshake_of_examples(2);
        let cases = [
            ("grpc/plugin-go-netrpc", bin::handshake_of_examples(1)),
            ("negotiated/plugin-go", version_2_is_net_rpc),
        ];
        for (example, handshake) in cases {
            let error = try_launch(&peers.example(example), folder.path(), handshake).await;
            let error = crate::table::causes(&error.expect_err("refused"));
            assert!(error.contains("net/rpc"), "{example}: {error}");
        }
    }
}

/// One command of an example's host, with our plugin.
async fn example_host(program: &Path, folder: &Path, plugin: &str, arguments: &[&str]) -> String {
    let [flag, script, this] = bin::arguments();
    // The examples give this to a shell.
    let launched = format!(r#"exec {} {} "$TEST_SCRIPT" "$TEST_THIS""#, bin::SHELL, flag.display());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).kill_on_drop(true);
    command.env("KV_PLUGIN", &launched).env("KV_PROTO", "grpc").env("COUNTER_PLUGIN", &launched);
    command.env("TEST_SCRIPT", script).env("TEST_THIS", this).env(bin::PROGRAM, plugin);
    let output = within(command.output()).await.expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{program:?} {arguments:?}: {output:?}");
    said
}

#[tokio::test]
async fn the_host_of_the_example_grpc_drives_our_plugin() {
    for (peers, folder) in each() {
        let program = peers.example("grpc");
        example_host(&program, folder.path(), "kv", &["put", "hello", "world"]).await;
        let said = example_host(&program, folder.path(), "kv", &["get", "hello"]).await;
        assert!(said.starts_with("world") && said.contains("Written from Rust"), "{said}");
    }
}

#[tokio::test]
async fn the_host_of_the_example_bidirectional_drives_our_plugin() {
    for (peers, folder) in each() {
        let program = peers.example("bidirectional");
        example_host(&program, folder.path(), "counter", &["put", "n", "1"]).await;
        example_host(&program, folder.path(), "counter", &["put", "n", "41"]).await;
        let said = example_host(&program, folder.path(), "counter", &["get", "n"]).await;
        assert_eq!(said.trim(), "42");
    }
}

#[tokio::test]
async fn the_host_of_the_example_negotiated_drives_our_plugin() {
    for (peers, folder) in each() {
        // It launches a file of this name. Written by another process: one that this
        // process had open for writing could not be executed for a moment.
        let plugin = folder.path().join("kv-plugin");
        let text = "#!/bin/sh\nexec /bin/sh -c \"$TEST_SCRIPT\" \"$TEST_THIS\"\n";
        let write = r#"printf '%s' "$1" > "$0" && chmod +x "$0""#;
        let mut shell = Command::new(bin::SHELL);
        let status = shell.args(["-c", write]).arg(&plugin).arg(text).status().await;
        assert!(status.expect("a shell").success());
        let program = peers.example("negotiated");
        example_host(&program, folder.path(), "kv3", &["put", "hello", "world"]).await;
        let said = example_host(&program, folder.path(), "kv3", &["get", "hello"]).await;
        assert!(said.contains("Written from Rust"), "{said}");
    }
}

/// One of our own examples. Cargo builds them with all tests, but not with this one alone.
fn ours(name: &str) -> PathBuf {
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
        cargo.args(["--example", "goplugin_host", "--example", "goplugin_plugin"]);
        let status = cargo.arg("--target-dir").arg(target).status().expect("cargo runs");
        assert!(status.success(), "our examples are not built");
        built.join("examples")
    });
    folder.join(name)
}

/// One command of our example's host. What it says on standard output, and what it logs.
async fn our_host(folder: &Path, arguments: &[&str]) -> (String, String) {
    let mut command = Command::new(ours("goplugin_host"));
    command.args(arguments).current_dir(folder).kill_on_drop(true);
    let output = within(command.output()).await.expect("it runs");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    let text = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// Both commands, with these options, and the log of the first.
async fn counts_to_42(folder: &Path, options: &[&str]) -> String {
    let run = async |arguments: &[&str]| our_host(folder, &[options, arguments].concat()).await;
    let (_, log) = run(&["put", "n", "43"]).await;
    run(&["put", "n", "-1"]).await;
    assert_eq!(run(&["get", "n"]).await.0, "42", "{options:?}");
    log
}

#[tokio::test]
async fn our_examples_speak_with_each_other_in_either_dialect() {
    for (options, dialect) in [
        (&[][..], "Native"),
        (&["--go"], "GoPlugin { multiplexed: false, tls: false }"),
        (&["--go", "--mux", "--mtls"], "GoPlugin { multiplexed: true, tls: true }"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let log = counts_to_42(folder.path(), options).await;
        assert!(log.contains(dialect) && log.contains("counted"), "{log}");
    }
}

#[tokio::test]
async fn our_examples_host_drives_the_plugin_of_the_example_bidirectional() {
    for (peers, folder) in each() {
        let plugin = peers.example("bidirectional/plugin-go-grpc").display().to_string();
        let log = counts_to_42(folder.path(), &["--plugin", &plugin, "--mtls"]).await;
        assert!(log.contains("GoPlugin { multiplexed: false, tls: true }"), "{log}");
    }
}

#[tokio::test]
async fn the_host_of_the_example_bidirectional_drives_our_examples_plugin() {
    for (peers, folder) in each() {
        let run = async |arguments: &[&str]| {
            let mut command = Command::new(peers.example("bidirectional"));
            command.args(arguments).current_dir(folder.path()).kill_on_drop(true);
            command.env("COUNTER_PLUGIN", ours("goplugin_plugin"));
            let output = within(command.output()).await.expect("it runs");
            assert!(output.status.success(), "{arguments:?}: {output:?}");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        run(&["put", "n", "43"]).await;
        run(&["put", "n", "-1"]).await;
        assert_eq!(run(&["get", "n"]).await.trim(), "42");
        // Both keep their counters in the same files.
        let plugin = peers.example("bidirectional/plugin-go-grpc").display().to_string();
        let (said, _) = our_host(folder.path(), &["--plugin", &plugin, "get", "n"]).await;
        assert_eq!(said, "42");
    }
}
