//! Our host, with a plugin over go-plugin's wire.

use trunkline::SubChannel;
use trunkline::host::Dialect;
use trunkline::host::GoPlugin;
use trunkline::host::Host;
use trunkline::host::Launch;
use trunkline::host::PluginCommand;
use trunkline::host::PluginHandle;

use crate::bin;
use crate::contract::interop::subject_client::SubjectClient;
use crate::scenarios::Outcome;
use crate::scenarios::holds;
use crate::support::system::within;

/// What a host asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    pub name: &'static str,
    pub mtls: bool,
    pub mux: bool,
}

impl Mode {
    pub const PLAIN: Self = Self { name: "plain", mtls: false, mux: false };
    pub const MTLS: Self = Self { name: "AutoMTLS", mtls: true, mux: false };
    pub const MUX: Self = Self { name: "mux", mtls: false, mux: true };
    pub const MUX_MTLS: Self = Self { name: "mux + AutoMTLS", mtls: true, mux: true };
    pub const ALL: [Self; 4] = [Self::PLAIN, Self::MTLS, Self::MUX, Self::MUX_MTLS];
}

pub fn host() -> Host {
    Host::new("tests", "1")
}

/// go-plugin's wire, whatever the plugin can.
pub fn wire(mode: Mode) -> GoPlugin {
    let wire = GoPlugin::new(bin::handshake());
    wire.auto_mtls(mode.mtls).multiplex(mode.mux).native(false)
}

/// A launch over it.
pub fn prepare(command: PluginCommand, mode: Mode) -> Launch {
    host().launch("subject", command).go_plugin(wire(mode))
}

pub async fn launch(command: PluginCommand, mode: Mode) -> Outcome<PluginHandle> {
    Ok(within(prepare(command, mode).start()).await?)
}

/// The plugin's own service.
pub fn subject(plugin: &PluginHandle) -> Outcome<SubjectClient<SubChannel>> {
    let client = SubjectClient::new(plugin.open("interop.v1.Subject")?);
    Ok(client.max_decoding_message_size(usize::MAX).max_encoding_message_size(usize::MAX))
}

/// The two speak what was asked for.
pub fn speaks(plugin: &PluginHandle, mtls: bool, mux: bool) -> Outcome {
    let Dialect::GoPlugin { multiplexed, tls, .. } = plugin.dialect() else {
        return Err(format!("the dialect is {:?}", plugin.dialect()).into());
    };
    holds(multiplexed == mux && tls == mtls, format!("multiplexed {multiplexed}, TLS {tls}"))
}
