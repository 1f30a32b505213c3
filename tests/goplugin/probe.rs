//! Our plugin `probe`, as a test has it over go-plugin's wire.

use tonic::Status;
use trunkline::SubChannel;
use trunkline::host::Launch;
use trunkline::host::PluginHandle;

use crate::bin;
use crate::rust_host::Mode;
use crate::rust_host::prepare;
use crate::rust_host::speaks;
use crate::support::demo::GreetRequest;
use crate::support::demo::echo_client::EchoClient;
use crate::support::demo::greeter_client::GreeterClient;
use crate::support::system::within;

/// A launch of it.
pub fn prepared(mode: Mode) -> Launch {
    prepare(bin::plugin("probe"), mode)
}

/// It runs, and speaks what was asked for.
pub async fn started(launch: Launch, mode: Mode) -> PluginHandle {
    let plugin = within(launch.start()).await.expect("launched");
    speaks(&plugin, mode.mtls, mode.mux).expect(mode.name);
    plugin
}

pub async fn probe(mode: Mode) -> PluginHandle {
    started(prepared(mode), mode).await
}

/// Tells it what to do.
pub async fn tell(plugin: &PluginHandle, line: impl Into<String>) -> Result<String, Status> {
    let channel = plugin.open("demo.v1.Greeter").map_err(|error| error.to_status())?;
    let request = GreetRequest { name: line.into() };
    let reply = within(GreeterClient::new(channel).greet(request)).await?;
    Ok(reply.into_inner().text)
}

/// The same, and it does it.
pub async fn told(plugin: &PluginHandle, line: impl Into<String>) -> String {
    let line = line.into();
    tell(plugin, line.clone()).await.unwrap_or_else(|status| panic!("{line}: {status:?}"))
}

pub fn echo(plugin: &PluginHandle) -> EchoClient<SubChannel> {
    EchoClient::new(plugin.open("demo.v1.Echo").expect("it runs"))
}
