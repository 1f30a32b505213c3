//! The two versions of the protocol as one client. Only names differ: the messages are the
//! same, but for the schema's.

use tonic::Status;
use trunkline::SubChannel;
use trunkline::host::Clients;

use crate::tfplugin::schema::ProviderSchema;
use crate::tfplugin::schema::SchemaError;
use crate::tfplugin::wire::tfplugin as wire;
use crate::tfplugin::wire::tfplugin5;
use crate::tfplugin::wire::tfplugin5::provider_client::ProviderClient as Client5;
use crate::tfplugin::wire::tfplugin6;
use crate::tfplugin::wire::tfplugin6::provider_client::ProviderClient as Client6;

trunkline::client!(Client5, "tfplugin5.Provider");
trunkline::client!(Client6, "tfplugin6.Provider");

/// The largest schema that is taken: 64 MiB, as in Terraform. Those of the large clouds are
/// above 10 MiB.
const LARGEST_SCHEMA: usize = 64 << 20;

/// The largest of all other messages that is taken: 256 MiB, which is what providers' own
/// servers take.
const LARGEST_MESSAGE: usize = 256 << 20;

/// A provider's service, in the version that it speaks. Clones share the connection.
#[derive(Clone, Debug)]
pub enum Client {
    V5(Client5<SubChannel>),
    V6(Client6<SubChannel>),
}

/// A schema as it was sent.
pub enum WireSchema {
    V5(tfplugin5::GetSchemaResponse),
    V6(tfplugin6::GetSchemaResponse),
}

/// How a provider is talked to, by version: those that are wanted.
pub fn clients(only: Option<u32>) -> Clients<Client> {
    let mut clients = Clients::new();
    if only.is_none_or(|version| version == 5) {
        clients = clients.version(5, |plugin| {
            let client: Client5<SubChannel> = plugin.client()?;
            Ok(Client::V5(client.max_decoding_message_size(LARGEST_MESSAGE)))
        });
    }
    if only.is_none_or(|version| version == 6) {
        clients = clients.version(6, |plugin| {
            let client: Client6<SubChannel> = plugin.client()?;
            Ok(Client::V6(client.max_decoding_message_size(LARGEST_MESSAGE)))
        });
    }
    clients
}

impl Client {
    /// Of Terraform's plugin protocol.
    pub fn version(&self) -> u32 {
        match self {
            Self::V5(_) => 5,
            Self::V6(_) => 6,
        }
    }

    pub async fn get_schema(self) -> Result<WireSchema, Status> {
        let request = wire::GetSchemaRequest {};
        match self {
            Self::V5(client) => {
                let mut client = client.max_decoding_message_size(LARGEST_SCHEMA);
                Ok(WireSchema::V5(client.get_schema(request).await?.into_inner()))
            }
            Self::V6(client) => {
                let mut client = client.max_decoding_message_size(LARGEST_SCHEMA);
                Ok(WireSchema::V6(client.get_provider_schema(request).await?.into_inner()))
            }
        }
    }
}

impl TryFrom<WireSchema> for ProviderSchema {
    type Error = SchemaError;

    fn try_from(schema: WireSchema) -> Result<Self, SchemaError> {
        match schema {
            WireSchema::V5(schema) => schema.try_into(),
            WireSchema::V6(schema) => schema.try_into(),
        }
    }
}

/// Methods with their names in version 5 and in version 6.
macro_rules! methods {
    ($($name:ident: $in_5:ident, $in_6:ident; $request:ident -> $response:ident)*) => {
        impl Client {
            $(pub async fn $name(
                self,
                request: wire::$request,
            ) -> Result<wire::$response, Status> {
                let answer = match self {
                    Self::V5(mut client) => client.$in_5(request).await?,
                    Self::V6(mut client) => client.$in_6(request).await?,
                };
                Ok(answer.into_inner())
            })*
        }
    };
}

methods! {
    get_resource_identity_schemas: get_resource_identity_schemas, get_resource_identity_schemas;
        GetResourceIdentitySchemasRequest -> GetResourceIdentitySchemasResponse
    validate_provider_config: prepare_provider_config, validate_provider_config;
        ValidateProviderConfigRequest -> ValidateProviderConfigResponse
    configure_provider: configure, configure_provider;
        ConfigureProviderRequest -> ConfigureProviderResponse
    validate_resource_config: validate_resource_type_config, validate_resource_config;
        ValidateResourceConfigRequest -> ValidateConfigResponse
    validate_data_source_config: validate_data_source_config, validate_data_resource_config;
        ValidateDataSourceConfigRequest -> ValidateConfigResponse
    upgrade_resource_state: upgrade_resource_state, upgrade_resource_state;
        UpgradeResourceStateRequest -> UpgradeResourceStateResponse
    upgrade_resource_identity: upgrade_resource_identity, upgrade_resource_identity;
        UpgradeResourceIdentityRequest -> UpgradeResourceIdentityResponse
    read_resource: read_resource, read_resource;
        ReadResourceRequest -> ReadResourceResponse
    plan_resource_change: plan_resource_change, plan_resource_change;
        PlanResourceChangeRequest -> PlanResourceChangeResponse
    apply_resource_change: apply_resource_change, apply_resource_change;
        ApplyResourceChangeRequest -> ApplyResourceChangeResponse
    import_resource_state: import_resource_state, import_resource_state;
        ImportResourceStateRequest -> ImportResourceStateResponse
    read_data_source: read_data_source, read_data_source;
        ReadDataSourceRequest -> ReadDataSourceResponse
    call_function: call_function, call_function;
        CallFunctionRequest -> CallFunctionResponse
    stop_provider: stop, stop_provider;
        StopRequest -> StopResponse
}
