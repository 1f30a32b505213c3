//! What was brokered and is over leaves nothing, at either end; nor does a plugin.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use futures::future::try_join_all;
use trunkline::Stats;
use trunkline::host::PluginCommand;
use trunkline::host::PluginHandle;

use crate::bin::callback;
use crate::bin::callback::Callback;
use crate::contract::interop::DialManyRequest;
use crate::contract::interop::HandRequest;
use crate::contract::interop::Nothing;
use crate::contract::interop::Text;
use crate::peers::Version;
use crate::peers::peers;
use crate::probe::prepared;
use crate::probe::started;
use crate::probe::told;
use crate::rust_host::Mode;
use crate::rust_host::prepare;
use crate::rust_host::subject;
use crate::support::demo::Payload;
use crate::support::demo::echo_client::EchoClient;
use crate::support::echo::Echo;
use crate::support::system::alone;
use crate::support::system::assert_no_process;
use crate::support::system::children;
use crate::support::system::descriptors;
use crate::support::system::eventually;
use crate::support::system::threads;
use crate::support::system::until;
use crate::support::system::within;

/// How many are brokered in all, and how many at a time.
const MANY: usize = 300;
const AT_ONCE: usize = 100;

/// What this process holds.
fn held() -> BTreeMap<&'static str, usize> {
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    BTreeMap::from([
        ("descriptors", descriptors()),
        ("threads", threads("")),
        ("tasks", tasks),
        ("children", children().len()),
    ])
}

async fn assert_as_before(what: &str, before: &BTreeMap<&'static str, usize>) {
    // A moment before, something may have been about to end.
    eventually(&format!("{what} holds no more than {before:?}"), || {
        held().iter().all(|(what, count)| *count <= before[what]).then_some(())
    })
    .await;
}

fn files(folder: &PathBuf) -> usize {
    fs::read_dir(folder).expect("the folder of sockets").count()
}

/// Descriptors of another process.
fn descriptors_of(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// Private folders of sockets that are there.
fn folders() -> Vec<PathBuf> {
    let all = fs::read_dir(std::env::temp_dir()).expect("the temporary folder");
    let paths = all.filter_map(|entry| Some(entry.ok()?.path()));
    paths.filter(|path| path.file_name().is_some_and(|it| is_ours(&it.to_string_lossy()))).collect()
}

fn is_ours(name: &str) -> bool {
    name.starts_with("trunkline-") || name.starts_with("plugin")
}

async fn host_is_empty(plugin: &PluginHandle) {
    eventually("the host's end holds nothing", || {
        (plugin.broker().stats() == Stats::default()).then_some(())
    })
    .await;
}

async fn brokered_both_ways(plugin: &PluginHandle) {
    // The host registers: dialled, and not.
    for _ in 0..MANY / AT_ONCE {
        let made: Vec<_> =
            (0..AT_ONCE).map(|_| plugin.broker().register(Echo::default().server())).collect();
        let ids: Vec<_> = made.iter().map(|made| made.number().to_string()).collect();
        told(plugin, format!("dial {}", ids.join(" "))).await;
        drop(made);
    }
    for _ in 0..MANY {
        let registration = plugin.broker().register(Echo::default().server());
        let _ = registration.number();
    }
    // The plugin does.
    for _ in 0..MANY / AT_ONCE {
        let ids = told(plugin, format!("hand {AT_ONCE}")).await;
        let calls = ids.split(' ').map(|id| {
            let id: u32 = id.parse().expect("a number");
            let mut client = EchoClient::new(plugin.broker().dial(id).expect("it runs"));
            async move { client.unary(Payload { seq: id.into(), data: Vec::new() }).await }
        });
        within(try_join_all(calls)).await.expect("answered");
        told(plugin, "forget").await;
    }
    told(plugin, format!("hand {MANY}")).await;
    told(plugin, "forget").await;
}

async fn our_plugin(mode: Mode) {
    // A runtime makes some things once.
    let first = started(prepared(mode), mode).await;
    within(first.stop()).await;
    drop(first);
    eventually("the first is gone", || {
        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        (tasks == 0 && threads("trunkline") == 0).then_some(())
    })
    .await;
    let nothing = (held(), folders());
    let plugin = started(prepared(mode), mode).await;
    let folder = PathBuf::from(told(&plugin, "env PLUGIN_UNIX_SOCKET_DIR").await);
    assert!(folders().contains(&folder), "{folder:?}");
    host_is_empty(&plugin).await;
    let before = (held(), files(&folder), descriptors_of(plugin.pid()));
    let plugins_stats = told(&plugin, "stats").await;
    brokered_both_ways(&plugin).await;
    host_is_empty(&plugin).await;
    assert_as_before("the host", &before.0).await;
    let mut now = String::new();
    until("the plugin's end is empty", async || {
        now = told(&plugin, "stats").await;
        now == plugins_stats
    })
    .await;
    eventually("the sockets are gone", || (files(&folder) == before.1).then_some(())).await;
    eventually("the plugin's descriptors are closed", || {
        (descriptors_of(plugin.pid()) == before.2).then_some(())
    })
    .await;
    let pid = plugin.pid();
    let end = within(plugin.stop()).await;
    assert!(end.exit.is_some_and(|exit| exit.success()), "{end:?}");
    drop(plugin);
    assert_no_process(pid);
    assert_eq!(folders(), nothing.1);
    assert_as_before("after the plugin", &nothing.0).await;
}

/// The plugin lets go of what it has registered only with itself.
async fn brokered_with_go(plugin: &PluginHandle, count: u32) {
    for number in 0..count {
        let handed = subject(plugin).expect("open").hand(HandRequest { number }).await;
        let id = handed.expect("handed").into_inner().service_id;
        let mut client = callback::client(plugin.broker().dial(id).expect("it runs"));
        within(client.declare(Nothing {})).await.expect("declared");
    }
}

async fn plugin_in_go(mode: Mode) {
    let Some(peers) = peers(Version::V1_8_0) else { return };
    let launch = async || {
        let launch = prepare(PluginCommand::new(&peers.plugin), mode);
        within(launch.start()).await.expect("launched")
    };
    let first = launch().await;
    within(first.stop()).await;
    drop(first);
    eventually("the first is gone", || {
        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        (tasks == 0 && threads("trunkline") == 0).then_some(())
    })
    .await;
    let nothing = (held(), folders());
    let plugin = launch().await;
    let mut client = subject(&plugin).expect("open");
    let folder = client.env(Text { text: "PLUGIN_UNIX_SOCKET_DIR".into() }).await.expect("told");
    let folder = PathBuf::from(folder.into_inner().value);
    drop(client);
    // go-plugin answers the broker's call only with its first message.
    brokered_with_go(&plugin, 1).await;
    host_is_empty(&plugin).await;
    let before = (held(), files(&folder));
    for _ in 0..MANY / AT_ONCE {
        let made: Vec<_> =
            (0..AT_ONCE).map(|_| plugin.broker().register(Callback::default().server())).collect();
        let service_ids = made.iter().map(|made| made.number()).collect();
        let mut client = subject(&plugin).expect("open");
        let reply = within(client.dial_many(DialManyRequest { service_ids })).await;
        let failures = reply.expect("answered").into_inner().failures;
        assert!(failures.is_empty(), "{failures:?}");
    }
    for _ in 0..MANY {
        let registration = plugin.broker().register(Callback::default().server());
        let _ = registration.number();
    }
    host_is_empty(&plugin).await;
    assert_as_before("the host", &before.0).await;
    eventually("the sockets are gone", || (files(&folder) == before.1).then_some(())).await;
    brokered_with_go(&plugin, 20).await;
    host_is_empty(&plugin).await;
    assert_as_before("the host", &before.0).await;
    let pid = plugin.pid();
    within(plugin.stop()).await;
    drop(plugin);
    assert_no_process(pid);
    assert_eq!(folders(), nothing.1);
    assert_as_before("after the plugin", &nothing.0).await;
}

/// In a temporary folder of its own, for others have sockets, too.
fn apart(name: &str, test: impl Future<Output = ()>) {
    const INNER: &str = "TEST_OWN_TEMPORARY_FOLDER";
    if std::env::var_os(INNER).is_some() {
        return alone(name, test);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let this = std::env::current_exe().expect("the path of this test program");
    let mut command = std::process::Command::new(this);
    command.args(["--exact", name, "--nocapture"]).env(INNER, "1").env("TMPDIR", folder.path());
    let output = command.output().expect("this program starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let passed = output.status.success() && said.contains("1 passed");
    assert!(passed, "{name}: {said}{}", String::from_utf8_lossy(&output.stderr));
    let left: Vec<_> = fs::read_dir(&folder).expect("the folder").collect();
    assert!(left.is_empty(), "{left:?}");
}

macro_rules! lives {
    ($($name:ident: $life:expr;)*) => {
        $(#[test]
        fn $name() {
            apart(concat!("leaks::", stringify!($name)), $life);
        })*
    };
}

lives! {
    what_our_plugin_and_its_host_broker_leaves_nothing: our_plugin(Mode::PLAIN);
    what_our_plugin_and_its_host_broker_leaves_nothing_with_auto_mtls: our_plugin(Mode::MTLS);
    what_our_plugin_and_its_host_broker_leaves_nothing_with_mux: our_plugin(Mode::MUX);
    what_our_plugin_and_its_host_broker_leaves_nothing_with_mux_and_auto_mtls: our_plugin(Mode::MUX_MTLS);
    what_a_plugin_in_go_brokers_leaves_nothing_in_the_host: plugin_in_go(Mode::PLAIN);
    what_a_plugin_in_go_brokers_leaves_nothing_in_the_host_with_auto_mtls: plugin_in_go(Mode::MTLS);
    what_a_plugin_in_go_brokers_leaves_nothing_in_the_host_with_mux: plugin_in_go(Mode::MUX);
}
