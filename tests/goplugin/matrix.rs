//! Every pair of host and plugin, in every mode, through every scenario.

use futures::future::LocalBoxFuture;
use trunkline::host::PluginCommand;
use trunkline::host::PluginHandle;

use crate::bin;
use crate::go_host::GoHost;
use crate::peers::Version;
use crate::peers::peers;
use crate::rust_host::Mode;
use crate::rust_host::launch;
use crate::rust_host::speaks;
use crate::scenarios;
use crate::scenarios::Outcome;
use crate::support::capture::Capture;
use crate::support::system::within;
use crate::table::Cell;
use crate::table::Row;
use crate::table::record;

/// Whom a row is about, beside the mode.
#[derive(Clone, Copy, Debug)]
enum Pair {
    RustHostGoPlugin(Version),
    GoHostRustPlugin(Version),
    RustAndRust,
}

fn row(pair: Pair, mode: Mode) -> Row {
    let rust = || "Trunkline".to_owned();
    let go = |version: Version| format!("go-plugin {}", version.name());
    let (place, host, plugin) = match pair {
        Pair::RustHostGoPlugin(version) => (version as usize, rust(), go(version)),
        Pair::GoHostRustPlugin(version) => (10 + version as usize, go(version), rust()),
        Pair::RustAndRust => (20, rust(), rust()),
    };
    let nth = Mode::ALL.iter().position(|other| *other == mode);
    let order = place * Mode::ALL.len() + nth.unwrap_or_default();
    Row { order, host, plugin, mode: mode.name }
}

/// What is done with a plugin that runs.
type Scenario = for<'a> fn(&'a PluginHandle) -> LocalBoxFuture<'a, Outcome>;

/// Our host, with a plugin that is launched as often as it has to die.
async fn rust_host(pair: Pair, mode: Mode, command: PluginCommand, mux: bool) {
    let capture = Capture::start();
    let start = async || {
        let plugin = launch(command.clone(), mode).await?;
        speaks(&plugin, mode.mtls, mux)?;
        Outcome::Ok(plugin)
    };
    let first = start().await;
    let alive = async |scenario: Scenario| -> Cell {
        let outcome = match &first {
            Ok(plugin) => within(scenario(plugin)).await,
            Err(error) => Err(format!("not launched: {error}").into()),
        };
        outcome.into()
    };
    let call = alive(|plugin| Box::pin(scenarios::call(plugin))).await;
    let callback = alive(|plugin| Box::pin(scenarios::calls_back(plugin))).await;
    let streaming = alive(|plugin| Box::pin(scenarios::streams_back(plugin))).await;
    let many = alive(|plugin| Box::pin(scenarios::many(plugin))).await;
    let big = alive(|plugin| Box::pin(scenarios::big(plugin))).await;
    let kill = async { scenarios::stops(first?).await }.await.into();
    let crash = async { scenarios::crashes(start().await?).await }.await.into();
    let reattach = if mode.mtls || mux {
        Cell::NotApplicable
    } else {
        async { scenarios::reattaches(start().await?).await }.await.into()
    };
    let cells = [call, callback, streaming, many, big, kill, crash, reattach];
    if cells.iter().any(|cell| matches!(cell, Cell::Failed(_))) {
        // A test that fails shows it.
        for event in capture.all() {
            println!("{} {}: {:?}", event.level, event.target, event.fields);
        }
    }
    record(row(pair, mode), cells);
}

/// The host in Go, with our plugin.
async fn go_host(version: Version, mode: Mode) {
    let Some(peers) = peers(version) else { return };
    let run = async |scenarios: &[&str]| -> Cell {
        for scenario in scenarios {
            if let Err(error) = GoHost::new(&peers, "subject", mode, scenario).run().await {
                return Cell::Failed(error.to_string());
            }
        }
        Cell::Held
    };
    let cells = [
        run(&["call", "versions", "ping"]).await,
        run(&["callback", "handed"]).await,
        run(&["streaming"]).await,
        run(&["many"]).await,
        run(&["big"]).await,
        run(&["kill"]).await,
        run(&["crash"]).await,
        if mode.mtls || mode.mux { Cell::NotApplicable } else { run(&["reattach"]).await },
    ];
    record(row(Pair::GoHostRustPlugin(version), mode), cells);
}

async fn rust_host_and_go_plugin(version: Version, mode: Mode) {
    let Some(peers) = peers(version) else { return };
    let command = PluginCommand::new(&peers.plugin);
    // An old plugin does not hear that it should multiplex, and all else works.
    let mux = mode.mux && version.multiplexes();
    rust_host(Pair::RustHostGoPlugin(version), mode, command, mux).await;
}

async fn rust_and_rust(mode: Mode) {
    rust_host(Pair::RustAndRust, mode, bin::plugin("subject"), mode.mux).await;
}

macro_rules! rows {
    ($($name:ident: $row:expr;)*) => {
        $(#[tokio::test]
        async fn $name() {
            $row.await;
        })*
    };
}

rows! {
    our_host_drives_a_plugin_of_go_plugin_1_4_4: rust_host_and_go_plugin(Version::V1_4_4, Mode::PLAIN);
    our_host_drives_a_plugin_of_go_plugin_1_4_4_with_auto_mtls: rust_host_and_go_plugin(Version::V1_4_4, Mode::MTLS);
    our_host_falls_back_with_a_plugin_of_go_plugin_1_4_4: rust_host_and_go_plugin(Version::V1_4_4, Mode::MUX);
    our_host_falls_back_with_a_plugin_of_go_plugin_1_4_4_with_auto_mtls: rust_host_and_go_plugin(Version::V1_4_4, Mode::MUX_MTLS);
    our_host_drives_a_plugin_of_go_plugin_1_6_3: rust_host_and_go_plugin(Version::V1_6_3, Mode::PLAIN);
    our_host_drives_a_plugin_of_go_plugin_1_6_3_with_auto_mtls: rust_host_and_go_plugin(Version::V1_6_3, Mode::MTLS);
    our_host_drives_a_plugin_of_go_plugin_1_6_3_with_mux: rust_host_and_go_plugin(Version::V1_6_3, Mode::MUX);
    our_host_drives_a_plugin_of_go_plugin_1_6_3_with_mux_and_auto_mtls: rust_host_and_go_plugin(Version::V1_6_3, Mode::MUX_MTLS);
    our_host_drives_a_plugin_of_go_plugin_1_8_0: rust_host_and_go_plugin(Version::V1_8_0, Mode::PLAIN);
    our_host_drives_a_plugin_of_go_plugin_1_8_0_with_auto_mtls: rust_host_and_go_plugin(Version::V1_8_0, Mode::MTLS);
    our_host_drives_a_plugin_of_go_plugin_1_8_0_with_mux: rust_host_and_go_plugin(Version::V1_8_0, Mode::MUX);
    our_host_drives_a_plugin_of_go_plugin_1_8_0_with_mux_and_auto_mtls: rust_host_and_go_plugin(Version::V1_8_0, Mode::MUX_MTLS);

    a_host_of_go_plugin_1_4_4_drives_our_plugin: go_host(Version::V1_4_4, Mode::PLAIN);
    a_host_of_go_plugin_1_4_4_drives_our_plugin_with_auto_mtls: go_host(Version::V1_4_4, Mode::MTLS);
    a_host_of_go_plugin_1_6_3_drives_our_plugin: go_host(Version::V1_6_3, Mode::PLAIN);
    a_host_of_go_plugin_1_6_3_drives_our_plugin_with_auto_mtls: go_host(Version::V1_6_3, Mode::MTLS);
    a_host_of_go_plugin_1_6_3_drives_our_plugin_with_mux: go_host(Version::V1_6_3, Mode::MUX);
    a_host_of_go_plugin_1_6_3_drives_our_plugin_with_mux_and_auto_mtls: go_host(Version::V1_6_3, Mode::MUX_MTLS);
    a_host_of_go_plugin_1_8_0_drives_our_plugin: go_host(Version::V1_8_0, Mode::PLAIN);
    a_host_of_go_plugin_1_8_0_drives_our_plugin_with_auto_mtls: go_host(Version::V1_8_0, Mode::MTLS);
    a_host_of_go_plugin_1_8_0_drives_our_plugin_with_mux: go_host(Version::V1_8_0, Mode::MUX);
    a_host_of_go_plugin_1_8_0_drives_our_plugin_with_mux_and_auto_mtls: go_host(Version::V1_8_0, Mode::MUX_MTLS);

    our_host_drives_our_plugin_over_go_plugins_wire: rust_and_rust(Mode::PLAIN);
    our_host_drives_our_plugin_over_go_plugins_wire_with_auto_mtls: rust_and_rust(Mode::MTLS);
    our_host_drives_our_plugin_over_go_plugins_wire_with_mux: rust_and_rust(Mode::MUX);
    our_host_drives_our_plugin_over_go_plugins_wire_with_mux_and_auto_mtls: rust_and_rust(Mode::MUX_MTLS);
}
