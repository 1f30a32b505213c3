//! Hosts that the tests start, to kill them.

use std::io::Write;
use std::process::ExitCode;

use trunkline::goplugin::Reattach;
use trunkline::host::PluginCommand;

use crate::probe;
use crate::rust_host::Mode;
use crate::rust_host::launch;
use crate::rust_host::prepare;

/// Launches a plugin in a mode, says how to find it, and waits to be killed.
pub async fn main(kind: &str) -> ExitCode {
    let (mode, program) = kind.split_once(' ').expect("mode and program");
    let mode = Mode::ALL.into_iter().find(|it| it.name.replace(' ', "") == mode).expect("a mode");
    let plugin = if program.starts_with('/') {
        launch(PluginCommand::new(program), mode).await.expect("launched")
    } else {
        let plugin = prepare(super::plugin(program), mode).start().await.expect("launched");
        probe::told(&plugin, "connect").await;
        plugin
    };
    println!("plugin {}", plugin.pid());
    if let Some(reattach) = plugin.reattach_config() {
        say(&reattach);
    }
    let _ = std::io::stdout().flush();
    std::future::pending().await
}

/// Says how to find a plugin.
pub fn say(reattach: &Reattach) {
    let text = serde_json::to_string(reattach).expect("JSON");
    println!("reattach {text}");
    let _ = std::io::stdout().flush();
}
