//! What the tests of real processes share: hosts, plugins, and looking at the system.

use std::time::Duration;

use tonic::Status;
use trunkline::SubChannel;
use trunkline::host::Host;
use trunkline::host::PluginEnd;
use trunkline::host::PluginHandle;
use trunkline::host::StopPolicy;

use crate::bin;
pub use crate::support::capture::Capture;
use crate::support::demo::GreetRequest;
use crate::support::demo::Payload;
use crate::support::demo::echo_client::EchoClient;
use crate::support::demo::greeter_client::GreeterClient;
pub use crate::support::system::LONG;
pub use crate::support::system::alone;
pub use crate::support::system::assert_no_process;
pub use crate::support::system::children;
pub use crate::support::system::descriptors;
pub use crate::support::system::eventually;
pub use crate::support::system::is_running;
pub use crate::support::system::kill;
pub use crate::support::system::state;
pub use crate::support::system::threads;
pub use crate::support::system::until;
pub use crate::support::system::within;

/// A host that offers nothing but the log, which goes nowhere.
pub fn host() -> Host {
    Host::new("tests", "1")
}

/// Launches the plugin that behaves.
pub async fn good() -> PluginHandle {
    host().launch("good", bin::plugin("good")).start().await.expect("launched")
}

/// Launches a plugin that is going to break the protocol, with little patience.
pub async fn criminal(crime: &str) -> PluginHandle {
    let launch = host().launch("criminal", bin::plugin(&format!("raw:{crime}")));
    launch.stop_policy(impatient()).start().await.expect("launched")
}

/// Steps that a plugin which does not obey gets through in no time.
pub fn impatient() -> StopPolicy {
    let step = Duration::from_millis(50);
    StopPolicy { drain: step, grace: step, terminate: step, ..StopPolicy::default() }
}

/// Steps that a plugin must not need.
pub fn patient() -> StopPolicy {
    StopPolicy { drain: LONG, grace: LONG, terminate: LONG, exit_report: LONG }
}

pub fn echo(plugin: &PluginHandle) -> EchoClient<SubChannel> {
    let channel = plugin.open("demo.v1.Echo").expect("the trunk is open");
    EchoClient::new(channel).max_decoding_message_size(usize::MAX)
}

/// Tells the plugin that behaves what to do.
pub async fn tell(plugin: &PluginHandle, line: impl Into<String>) -> Result<String, Status> {
    let channel = plugin.open("demo.v1.Greeter").map_err(|error| error.to_status())?;
    let request = GreetRequest { name: line.into() };
    Ok(GreeterClient::new(channel).greet(request).await?.into_inner().text)
}

/// A call that comes back proves that the plugin and its trunk are well.
pub async fn assert_works(plugin: &PluginHandle) {
    let sent = Payload { seq: 7, data: vec![7; 1000] };
    let reply = within(echo(plugin).unary(sent.clone())).await.expect("answered");
    assert_eq!(reply.into_inner(), sent);
}

/// Stops a plugin that behaves, which ends with success.
pub async fn stop(plugin: PluginHandle) -> PluginEnd {
    let end = within(plugin.stop()).await;
    assert_eq!(end.exit.and_then(|exit| exit.code), Some(0), "{end:?}");
    assert_no_process(plugin.pid());
    end
}
