//! The services of both versions, method by method, onto one server. Nearly all messages
//! are shared, so a version is a list of the names under which it has them.

use tonic::Request;
use tonic::Response;
use tonic::Status;

use crate::server::Server;
use crate::tfplugin::wire::tfplugin::*;
use crate::tfplugin::wire::tfplugin5;
use crate::tfplugin::wire::tfplugin6;

/// Implements the service of a version: of the methods that both have under one name, and of
/// those that are given, as `name(request) -> response = handler`.
macro_rules! serve {
    ($service:path { $($own:tt)* }) => {
        serve! { @methods $service {
            $($own)*
            get_metadata(GetMetadataRequest) -> GetMetadataResponse = metadata,
            get_resource_identity_schemas(GetResourceIdentitySchemasRequest)
                -> GetResourceIdentitySchemasResponse = identity_schemas,
            upgrade_resource_state(UpgradeResourceStateRequest)
                -> UpgradeResourceStateResponse = upgrade_state,
            upgrade_resource_identity(UpgradeResourceIdentityRequest)
                -> UpgradeResourceIdentityResponse = upgrade_identity,
            read_resource(ReadResourceRequest) -> ReadResourceResponse = read,
            plan_resource_change(PlanResourceChangeRequest)
                -> PlanResourceChangeResponse = plan,
            apply_resource_change(ApplyResourceChangeRequest)
                -> ApplyResourceChangeResponse = apply,
            import_resource_state(ImportResourceStateRequest)
                -> ImportResourceStateResponse = import,
            read_data_source(ReadDataSourceRequest) -> ReadDataSourceResponse = read_data,
            get_functions(GetFunctionsRequest) -> GetFunctionsResponse = functions,
            call_function(CallFunctionRequest) -> CallFunctionResponse = call,
        } }
    };
    (@methods $service:path {
        $($method:ident($request:ty) -> $response:ty = $handler:ident,)*
    }) => {
        #[tonic::async_trait]
        impl $service for Server {
            $(async fn $method(
                &self,
                request: Request<$request>,
            ) -> Result<Response<$response>, Status> {
                Ok(Response::new(self.$handler(request.into_inner()).await))
            })*
        }
    };
}

serve! { tfplugin6::provider_server::Provider {
    get_provider_schema(GetSchemaRequest) -> tfplugin6::GetSchemaResponse = schema_6,
    validate_provider_config(ValidateProviderConfigRequest)
        -> ValidateProviderConfigResponse = validate_provider,
    validate_resource_config(ValidateResourceConfigRequest)
        -> ValidateConfigResponse = validate_resource,
    validate_data_resource_config(ValidateDataSourceConfigRequest)
        -> ValidateConfigResponse = validate_data,
    configure_provider(ConfigureProviderRequest) -> ConfigureProviderResponse = configure,
    stop_provider(StopRequest) -> StopResponse = stop,
} }

serve! { tfplugin5::provider_server::Provider {
    get_schema(GetSchemaRequest) -> tfplugin5::GetSchemaResponse = schema_5,
    prepare_provider_config(ValidateProviderConfigRequest)
        -> ValidateProviderConfigResponse = prepare_provider,
    validate_resource_type_config(ValidateResourceConfigRequest)
        -> ValidateConfigResponse = validate_resource,
    validate_data_source_config(ValidateDataSourceConfigRequest)
        -> ValidateConfigResponse = validate_data,
    configure(ConfigureProviderRequest) -> ConfigureProviderResponse = configure,
    stop(StopRequest) -> StopResponse = stop,
} }
