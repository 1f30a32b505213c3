//! A client of both versions of Terraform's protocol, with as much of it as tests need.

use std::collections::HashMap;
use std::path::PathBuf;

use tonic::Status;
use trunkline::Error;
use trunkline::SubChannel;
use trunkline::goplugin::Handshake;
use trunkline::host::Clients;
use trunkline::host::Fetched;
use trunkline::host::GoPlugin;
use trunkline::host::Host;
use trunkline::host::PluginCommand;
use trunkline::host::PluginHandle;

use crate::support::system::within;

pub mod tfplugin {
    #![allow(dead_code, clippy::large_enum_variant, reason = "generated")]
    include!(concat!(env!("OUT_DIR"), "/tfplugin.rs"));
}

mod tfplugin5 {
    #![allow(dead_code, reason = "generated")]
    include!(concat!(env!("OUT_DIR"), "/tfplugin5.rs"));
}

mod tfplugin6 {
    #![allow(dead_code, reason = "generated")]
    include!(concat!(env!("OUT_DIR"), "/tfplugin6.rs"));
}

/// What Terraform accepts at most.
const SCHEMA_LIMIT: usize = 64 * 1024 * 1024;

/// A provider, whichever version it speaks.
#[derive(Clone, Debug)]
pub enum Provider {
    V5(tfplugin5::provider_client::ProviderClient<SubChannel>),
    V6(tfplugin6::provider_client::ProviderClient<SubChannel>),
}

/// As much of a schema as is the same in both versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    pub resources: Vec<String>,
    pub data_sources: Vec<String>,
    pub functions: Vec<String>,
    pub is_optional: bool,
}

/// The versions side by side, as Terraform has them.
pub fn clients() -> Clients<Provider> {
    let v5 = |plugin: &PluginHandle| -> Result<Provider, Error> {
        let channel = plugin.open("tfplugin5.Provider")?;
        let client = tfplugin5::provider_client::ProviderClient::new(channel);
        Ok(Provider::V5(client.max_decoding_message_size(SCHEMA_LIMIT)))
    };
    let v6 = |plugin: &PluginHandle| -> Result<Provider, Error> {
        let channel = plugin.open("tfplugin6.Provider")?;
        let client = tfplugin6::provider_client::ProviderClient::new(channel);
        Ok(Provider::V6(client.max_decoding_message_size(SCHEMA_LIMIT)))
    };
    Clients::new().version(5, v5).version(6, v6)
}

/// Terraform's handshake.
pub fn handshake() -> Handshake {
    let cookie = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";
    clients().handshake(Handshake::new("TF_PLUGIN_MAGIC_COOKIE", cookie))
}

/// Launches a provider as Terraform does: with AutoMTLS.
pub async fn launched(program: impl Into<PathBuf>) -> PluginHandle {
    launched_by(program, GoPlugin::new(handshake()).auto_mtls(true)).await
}

pub async fn launched_by(program: impl Into<PathBuf>, go_plugin: GoPlugin) -> PluginHandle {
    let host = Host::new("tests", "1");
    let launch = host.launch("provider", PluginCommand::new(program)).go_plugin(go_plugin);
    within(launch.start()).await.expect("launched")
}

/// The two answers differ in the type of what they map to, which is of no concern here.
macro_rules! schema {
    ($answer:expr) => {{
        let answer = $answer.into_inner();
        Schema {
            resources: names(answer.resource_schemas),
            data_sources: names(answer.data_source_schemas),
            functions: names(answer.functions),
            is_optional: answer
                .server_capabilities
                .is_some_and(|can| can.get_provider_schema_optional),
        }
    }};
}

fn names<T>(map: HashMap<String, T>) -> Vec<String> {
    let mut names: Vec<_> = map.into_keys().collect();
    names.sort();
    names
}

impl Provider {
    /// Asks for the schema, whatever a cache has.
    pub async fn schema(self) -> Result<Schema, Status> {
        let request = tfplugin::GetSchemaRequest {};
        Ok(match self {
            Self::V5(mut client) => schema!(client.get_schema(request).await?),
            Self::V6(mut client) => schema!(client.get_provider_schema(request).await?),
        })
    }

    /// Asks for the schema, as a cache does.
    pub async fn fetch(self) -> Result<Fetched<Schema>, Status> {
        let schema = self.schema().await?;
        let wrap = if schema.is_optional { Fetched::shared } else { Fetched::of_instance };
        Ok(wrap(schema))
    }
}
