//! Who speaks what with whom: that is found out, and nobody has to say it.

use std::path::Path;

use rustix::process::Signal;
use trunkline::host::ClientError;
use trunkline::host::Clients;
use trunkline::host::Dialect;
use trunkline::host::GoPlugin;
use trunkline::host::LaunchError;
use trunkline::host::PluginCommand;
use trunkline::host::PluginHandle;
use trunkline::host::Sha256Pin;

use crate::bin;
use crate::go_host::GoHost;
use crate::other::Other;
use crate::peers::Version;
use crate::peers::peers;
use crate::probe::told;
use crate::rust_host::Mode;
use crate::rust_host::host;
use crate::rust_host::prepare;
use crate::scenarios;
use crate::support::system::is_running;
use crate::support::system::kill;
use crate::support::system::within;

const PLAIN: Dialect = Dialect::GoPlugin { multiplexed: false, tls: false };

/// Ours, by a launch that lets it choose.
async fn ours(go_plugin: GoPlugin) -> PluginHandle {
    let launch = host().launch("probe", bin::plugin("probe")).go_plugin(go_plugin);
    within(launch.start()).await.expect("launched")
}

#[tokio::test]
async fn two_of_ours_speak_their_own_dialect_and_agree_on_a_version() {
    for (mtls, mux) in [(false, false), (true, false), (false, true), (true, true)] {
        let plugin = ours(GoPlugin::new(bin::handshake()).auto_mtls(mtls).multiplex(mux)).await;
        assert_eq!(plugin.dialect(), Dialect::Native);
        assert_eq!(plugin.version(), Some(2));
        assert_eq!(told(&plugin, "version").await, "Some(2)");
        assert_eq!(plugin.reattach_config(), None);
        assert!(within(plugin.stop()).await.exit.is_some_and(|exit| exit.success()));
    }
}

#[tokio::test]
async fn the_version_is_the_highest_that_both_have_in_either_dialect() {
    for native in [false, true] {
        for offered in [&[1][..], &[2, 1, 9]] {
            let handshake = trunkline::goplugin::Handshake::new("TRUNKLINE_INTEROP", "bread");
            let handshake =
                offered.iter().fold(handshake, |handshake, version| handshake.version(*version));
            let expected = if offered.len() == 1 { 1 } else { 2 };
            let plugin = ours(GoPlugin::new(handshake).native(native)).await;
            assert_eq!(plugin.version(), Some(expected), "native {native}");
            assert_eq!(told(&plugin, "version").await, format!("Some({expected})"));
            within(plugin.stop()).await;
        }
    }
}

#[tokio::test]
async fn the_client_that_is_made_is_that_of_the_version_in_common_in_either_dialect() {
    let clients = Clients::new()
        .version(1, |plugin| Ok((1, plugin.open("trunkline.probe.Probe")?)))
        .version(2, |plugin| Ok((2, plugin.open("trunkline.probe.Probe")?)));
    for native in [true, false] {
        let handshake = trunkline::goplugin::Handshake::new("TRUNKLINE_INTEROP", "bread");
        let plugin = ours(GoPlugin::new(clients.handshake(handshake)).native(native)).await;
        let (version, _) = clients.of(&plugin).expect("a client");
        assert_eq!(version, 2);

        let older = Clients::new().version(1, |_| Ok(()));
        let error = older.of(&plugin).expect_err("they speak version 2");
        let ClientError::Version { version, known } = error else { panic!("{error:?}") };
        assert_eq!((version, known), (Some(2), vec![1]));

        within(plugin.kill()).await;
        let error = clients.of(&plugin).expect_err("it is gone");
        assert!(matches!(error, ClientError::Open { version: 2, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_version_that_ours_has_not_is_refused_in_either_dialect() {
    for native in [false, true] {
        let handshake = trunkline::goplugin::Handshake::new("TRUNKLINE_INTEROP", "bread");
        let go_plugin = GoPlugin::new(handshake.version(7)).native(native);
        let launch = host().launch("probe", bin::plugin("probe")).go_plugin(go_plugin);
        let error = within(launch.start()).await.expect_err("no common version");
        let LaunchError::ApplicationVersion { theirs: 1, ours, .. } = error else {
            panic!("native {native}: {error:?}");
        };
        assert_eq!(ours.into_iter().collect::<Vec<_>>(), [7]);
    }
}

#[tokio::test]
async fn ours_speaks_go_plugins_dialect_where_its_own_is_not_wanted() {
    let plugin = ours(GoPlugin::new(bin::handshake()).native(false)).await;
    assert_eq!(plugin.dialect(), PLAIN);
    assert_eq!(plugin.version(), Some(2));
    assert!(plugin.reattach_config().is_some());
    within(plugin.stop()).await;
}

#[tokio::test]
async fn ours_speaks_its_own_dialect_under_a_host_that_knows_nothing_of_go_plugin() {
    let launch = host().launch("probe", bin::plugin("probe"));
    let plugin = within(launch.start()).await.expect("launched");
    assert_eq!(plugin.dialect(), Dialect::Native);
    assert_eq!(plugin.version(), None);
    told(&plugin, "stats").await;
    within(plugin.stop()).await;
}

#[tokio::test]
async fn a_plugin_in_go_speaks_go_plugins_dialect_also_where_both_are_wanted() {
    for version in Version::ALL {
        let Some(peers) = peers(version) else { return };
        let go_plugin = GoPlugin::new(bin::handshake());
        let command = PluginCommand::new(&peers.plugin);
        let launch = host().launch("subject", command).go_plugin(go_plugin);
        let plugin = within(launch.start()).await.expect("launched");
        assert_eq!(plugin.dialect(), PLAIN);
        scenarios::call(&plugin).await.expect("it works");
        scenarios::calls_back(&plugin).await.expect("it works");
        within(plugin.stop()).await;
    }
}

#[tokio::test]
async fn a_plugin_in_go_refuses_a_host_that_knows_nothing_of_go_plugin_in_its_own_words() {
    for version in Version::ALL {
        let Some(peers) = peers(version) else { return };
        let launch = host().launch("subject", PluginCommand::new(&peers.plugin));
        let error = within(launch.start()).await.expect_err("no cookie");
        let LaunchError::ExitedBeforeHello { stderr_tail, .. } = &error else {
            panic!("{error:?}");
        };
        assert!(stderr_tail.contains("This binary is a plugin"), "{stderr_tail}");
    }
}

#[tokio::test]
async fn a_plugin_in_go_that_has_its_cookie_by_chance_is_known_for_what_it_is() {
    let Some(peers) = peers(Version::V1_8_0) else { return };
    let command = PluginCommand::new(&peers.plugin).env("TRUNKLINE_INTEROP", "bread");
    let error = within(host().launch("subject", command).start()).await.expect_err("go-plugin");
    assert!(matches!(error, LaunchError::IsGoPlugin { .. }), "{error:?}");
}

fn pinned(program: &Path, of: &Path) -> PluginCommand {
    PluginCommand::new(program).pin(Sha256Pin::of_file(of).expect("readable"))
}

#[tokio::test]
async fn a_pinned_plugin_in_go_works_and_another_is_refused() {
    for version in Version::ALL {
        let Some(peers) = peers(version) else { return };
        let launch = prepare(pinned(&peers.plugin, &peers.plugin), Mode::MTLS);
        let plugin = within(launch.start()).await.expect("launched");
        scenarios::calls_back(&plugin).await.expect("it works");
        within(plugin.stop()).await;
        let launch = prepare(pinned(&peers.plugin, &peers.host), Mode::MTLS);
        let error = within(launch.start()).await.expect_err("another");
        assert!(matches!(error, LaunchError::PinMismatch { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn hosts_of_either_language_attach_to_ours_one_after_another() {
    for version in Version::ALL {
        let Some(peers) = peers(version) else { return };
        let mut ours = Other::start("standalone");
        let reattach = ours.reattach().await;
        assert!(reattach.is_test());
        let pid = reattach.pid();
        for _ in 0..2 {
            let launch = host().reattach("subject", reattach.clone());
            let plugin = within(launch.start()).await.expect("attached");
            assert_eq!(plugin.dialect(), PLAIN);
            scenarios::call(&plugin).await.expect("it works");
            scenarios::calls_back(&plugin).await.expect("it works");
            drop(plugin);
            let text = serde_json::to_string(&reattach).expect("JSON");
            let host = GoHost::new(&peers, "subject", Mode::PLAIN, "reattach");
            host.option("-reattach", &text).run().await.expect("the scenario held");
            assert!(is_running(pid), "it is left to who started it");
        }
        kill(pid, Signal::INT);
        assert!(within(ours.child.wait()).await.expect("waited for").success());
        assert!(!Path::new(&reattach.address()).exists());
    }
}
