//! debugging
use trunkline::goplugin::Handshake;
use trunkline::host::{GoPlugin, Host, PluginCommand};
#[tokio::main(flavor = "current_thread")]
async fn main() {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let path = std::env::args().nth(1).unwrap();
    let h = Handshake::new("TRUNKLINE_INTEROP", "bread").version(1).version(2);
    let plugin = Host::new("x", "1")
        .launch("s", PluginCommand::new(path))
        .go_plugin(GoPlugin::new(h).native(false))
        .start()
        .await
        .unwrap();
    plugin.log().set_level(tracing::level_filters::LevelFilter::TRACE);
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    plugin.stop().await;
}
