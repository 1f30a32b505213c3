//! What each method does: finds who is asked, reads what came, asks, and writes the answer.
//! No call fails: what goes wrong stands in the answer, where the user sees it.

use serde_json::Value as Json;

use crate::server::Change;
use crate::server::DataSource;
use crate::server::Problems;
use crate::server::Resource;
use crate::server::Server;
use crate::server::wire::decode_config;
use crate::server::wire::decode_object;
use crate::server::wire::diagnostics;
use crate::server::wire::encode;
use crate::server::wire::malformed;
use crate::server::wire::without_nested;
use crate::tfplugin::cty::Type;
use crate::tfplugin::cty::Value;
use crate::tfplugin::diagnostic::Diagnostic;
use crate::tfplugin::wire::tfplugin::*;
use crate::tfplugin::wire::tfplugin5;
use crate::tfplugin::wire::tfplugin6;

/// An answer that has nothing but problems in it.
macro_rules! answers_with_problems {
    ($($answer:ty),* $(,)?) => {
        $(impl From<Problems> for $answer {
            #[allow(clippy::needless_update, reason = "some have nothing else in them")]
            fn from(problems: Problems) -> Self {
                Self { diagnostics: diagnostics(problems), ..Self::default() }
            }
        })*
    };
}

answers_with_problems! {
    ConfigureProviderResponse, ImportResourceStateResponse, PlanResourceChangeResponse,
    ReadDataSourceResponse, ReadResourceResponse, UpgradeResourceIdentityResponse,
    UpgradeResourceStateResponse, ValidateConfigResponse, ValidateProviderConfigResponse,
}

fn answer<T: From<Problems>>(result: Result<T, Problems>) -> T {
    result.unwrap_or_else(T::from)
}

/// What the provider is and has.
impl Server {
    pub(super) async fn schema_6(&self, _: GetSchemaRequest) -> tfplugin6::GetSchemaResponse {
        (&self.0.schema).into()
    }

    pub(super) async fn schema_5(&self, _: GetSchemaRequest) -> tfplugin5::GetSchemaResponse {
        let converted = (&without_nested(&self.0.schema)).try_into();
        converted.unwrap_or_else(|error| tfplugin5::GetSchemaResponse {
            diagnostics: diagnostics(Diagnostic::error(
                "The provider has no schema in version 5 of the protocol",
                format!("This is a bug of the provider, please report it: {error}."),
            )),
            ..tfplugin5::GetSchemaResponse::default()
        })
    }

    pub(super) async fn metadata(&self, _: GetMetadataRequest) -> GetMetadataResponse {
        let schema: tfplugin6::GetSchemaResponse = (&self.0.schema).into();
        let names = |type_name| get_metadata_response::TypeMetadata { type_name };
        let functions = schema.functions.into_keys();
        GetMetadataResponse {
            server_capabilities: schema.server_capabilities,
            resources: schema.resource_schemas.into_keys().map(names).collect(),
            data_sources: schema.data_source_schemas.into_keys().map(names).collect(),
            functions: functions
                .map(|name| get_metadata_response::FunctionMetadata { name })
                .collect(),
            ..GetMetadataResponse::default()
        }
    }

    pub(super) async fn functions(&self, _: GetFunctionsRequest) -> GetFunctionsResponse {
        let schema: tfplugin6::GetSchemaResponse = (&self.0.schema).into();
        GetFunctionsResponse { functions: schema.functions, ..GetFunctionsResponse::default() }
    }

    /// An id is all that a resource is known by: there is nothing to add.
    pub(super) async fn identity_schemas(
        &self,
        _: GetResourceIdentitySchemasRequest,
    ) -> GetResourceIdentitySchemasResponse {
        GetResourceIdentitySchemasResponse::default()
    }

    pub(super) async fn upgrade_identity(
        &self,
        request: UpgradeResourceIdentityRequest,
    ) -> UpgradeResourceIdentityResponse {
        let problem = Diagnostic::error(
            "The provider has no resource identities",
            format!("{:?} is known by its id alone.", request.type_name),
        );
        UpgradeResourceIdentityResponse::from(Problems::from(problem))
    }
}

/// The provider's own configuration.
impl Server {
    pub(super) async fn validate_provider(
        &self,
        request: ValidateProviderConfigRequest,
    ) -> ValidateProviderConfigResponse {
        let ty = self.0.schema.provider.block.implied_type();
        answer(decode_config(request.config.as_ref(), &ty).map(|config| {
            ValidateProviderConfigResponse {
                diagnostics: diagnostics(self.0.provider.configuration.validate(&config)),
                ..ValidateProviderConfigResponse::default()
            }
        }))
    }

    /// As version 5 has it: the configuration comes back. There are no defaults to fill in.
    pub(super) async fn prepare_provider(
        &self,
        request: ValidateProviderConfigRequest,
    ) -> ValidateProviderConfigResponse {
        let prepared_config = request.config.clone();
        ValidateProviderConfigResponse { prepared_config, ..self.validate_provider(request).await }
    }

    pub(super) async fn configure(
        &self,
        request: ConfigureProviderRequest,
    ) -> ConfigureProviderResponse {
        answer(self.try_configure(request).await)
    }

    async fn try_configure(
        &self,
        request: ConfigureProviderRequest,
    ) -> Result<ConfigureProviderResponse, Problems> {
        let ty = self.0.schema.provider.block.implied_type();
        let config = decode_config(request.config.as_ref(), &ty)?;
        let configure = self.0.provider.configuration.configure(&config);
        self.0.running.unless_stopped(configure).await?;
        Ok(ConfigureProviderResponse::default())
    }

    pub(super) async fn stop(&self, _: StopRequest) -> StopResponse {
        self.0.running.stop();
        StopResponse::default()
    }
}

/// Resources.
impl Server {
    fn resource(&self, name: &str) -> Result<(&dyn Resource, Type), Problems> {
        let schema = self.0.schema.resources.get(name);
        match (self.0.provider.resources.get(name), schema) {
            (Some(resource), Some(schema)) => Ok((&**resource, schema.block.implied_type())),
            _ => Err(unknown("resource", name)),
        }
    }

    pub(super) async fn validate_resource(
        &self,
        request: ValidateResourceConfigRequest,
    ) -> ValidateConfigResponse {
        let validate = || {
            let (resource, ty) = self.resource(&request.type_name)?;
            let config = decode_config(request.config.as_ref(), &ty)?;
            Ok(ValidateConfigResponse { diagnostics: diagnostics(resource.validate(&config)) })
        };
        answer(validate())
    }

    pub(super) async fn upgrade_state(
        &self,
        request: UpgradeResourceStateRequest,
    ) -> UpgradeResourceStateResponse {
        let upgrade = || {
            let (resource, ty) = self.resource(&request.type_name)?;
            let state = raw_state(request.raw_state.as_ref())?;
            let upgraded = match state {
                Json::Null => Value::Null,
                state => resource.upgrade(request.version, state)?,
            };
            Ok(UpgradeResourceStateResponse {
                upgraded_state: Some(encode(&upgraded, &ty)?),
                ..UpgradeResourceStateResponse::default()
            })
        };
        answer(upgrade())
    }

    pub(super) async fn read(&self, request: ReadResourceRequest) -> ReadResourceResponse {
        answer(self.try_read(request).await)
    }

    async fn try_read(
        &self,
        request: ReadResourceRequest,
    ) -> Result<ReadResourceResponse, Problems> {
        let (resource, ty) = self.resource(&request.type_name)?;
        let state = decode_object(request.current_state.as_ref(), &ty)?;
        if state.is_null() {
            return Ok(ReadResourceResponse {
                new_state: Some(encode(&Value::Null, &ty)?),
                ..ReadResourceResponse::default()
            });
        }
        let read = self.0.running.unless_stopped(resource.read(state)).await?;
        Ok(ReadResourceResponse {
            new_state: Some(encode(&read, &ty)?),
            private: request.private,
            ..ReadResourceResponse::default()
        })
    }

    pub(super) async fn plan(
        &self,
        request: PlanResourceChangeRequest,
    ) -> PlanResourceChangeResponse {
        let plan = || {
            let (resource, ty) = self.resource(&request.type_name)?;
            let plan = resource.plan(Change {
                prior: decode_object(request.prior_state.as_ref(), &ty)?,
                planned: decode_object(request.proposed_new_state.as_ref(), &ty)?,
            })?;
            Ok(PlanResourceChangeResponse {
                planned_state: Some(encode(&plan.planned, &ty)?),
                requires_replace: plan.requires_replace.iter().map(AttributePath::from).collect(),
                planned_private: request.prior_private,
                ..PlanResourceChangeResponse::default()
            })
        };
        answer(plan())
    }

    pub(super) async fn apply(
        &self,
        request: ApplyResourceChangeRequest,
    ) -> ApplyResourceChangeResponse {
        let (prior, private) = (request.prior_state.clone(), request.planned_private.clone());
        self.try_apply(request).await.unwrap_or_else(|problems| ApplyResourceChangeResponse {
            // The host would take an answer without a state for a destruction.
            new_state: prior,
            private,
            diagnostics: diagnostics(problems),
            ..ApplyResourceChangeResponse::default()
        })
    }

    async fn try_apply(
        &self,
        request: ApplyResourceChangeRequest,
    ) -> Result<ApplyResourceChangeResponse, Problems> {
        let (resource, ty) = self.resource(&request.type_name)?;
        let change = Change {
            prior: decode_object(request.prior_state.as_ref(), &ty)?,
            planned: decode_object(request.planned_state.as_ref(), &ty)?,
        };
        Ok(ApplyResourceChangeResponse {
            new_state: Some(encode(&resource.apply(change).await?, &ty)?),
            private: request.planned_private,
            ..ApplyResourceChangeResponse::default()
        })
    }

    pub(super) async fn import(
        &self,
        request: ImportResourceStateRequest,
    ) -> ImportResourceStateResponse {
        answer(self.try_import(request).await)
    }

    async fn try_import(
        &self,
        request: ImportResourceStateRequest,
    ) -> Result<ImportResourceStateResponse, Problems> {
        let (resource, ty) = self.resource(&request.type_name)?;
        let found = self.0.running.unless_stopped(resource.import(&request.id)).await?;
        let imported = import_resource_state_response::ImportedResource {
            state: Some(encode(&found, &ty)?),
            type_name: request.type_name,
            ..import_resource_state_response::ImportedResource::default()
        };
        Ok(ImportResourceStateResponse {
            imported_resources: vec![imported],
            ..ImportResourceStateResponse::default()
        })
    }
}

/// Data sources.
impl Server {
    fn data_source(&self, name: &str) -> Result<(&dyn DataSource, Type), Problems> {
        let schema = self.0.schema.data_sources.get(name);
        match (self.0.provider.data_sources.get(name), schema) {
            (Some(source), Some(schema)) => Ok((&**source, schema.block.implied_type())),
            _ => Err(unknown("data source", name)),
        }
    }

    pub(super) async fn validate_data(
        &self,
        request: ValidateDataSourceConfigRequest,
    ) -> ValidateConfigResponse {
        let validate = || {
            let (source, ty) = self.data_source(&request.type_name)?;
            let config = decode_config(request.config.as_ref(), &ty)?;
            Ok(ValidateConfigResponse { diagnostics: diagnostics(source.validate(&config)) })
        };
        answer(validate())
    }

    pub(super) async fn read_data(&self, request: ReadDataSourceRequest) -> ReadDataSourceResponse {
        answer(self.try_read_data(request).await)
    }

    async fn try_read_data(
        &self,
        request: ReadDataSourceRequest,
    ) -> Result<ReadDataSourceResponse, Problems> {
        let (source, ty) = self.data_source(&request.type_name)?;
        let config = decode_config(request.config.as_ref(), &ty)?;
        if !config.is_wholly_known() {
            return Err(malformed("a data source cannot be read before all of it is known").into());
        }
        let found = self.0.running.unless_stopped(source.read(config)).await?;
        Ok(ReadDataSourceResponse {
            state: Some(encode(&found, &ty)?),
            ..ReadDataSourceResponse::default()
        })
    }
}

/// A state as hosts keep it.
fn raw_state(state: Option<&RawState>) -> Result<Json, Problems> {
    match state {
        Some(state) if !state.json.is_empty() => {
            serde_json::from_slice(&state.json).map_err(|error| malformed(error).into())
        }
        Some(state) if !state.flatmap.is_empty() => Err(Diagnostic::error(
            "The state is too old",
            "It was written by Terraform before 0.12, which is before this provider was: \
             it cannot be this provider's.",
        )
        .into()),
        _ => Ok(Json::Null),
    }
}

fn unknown(what: &str, name: &str) -> Problems {
    let detail = format!("There is no {what} {name:?} in this version of the provider.");
    Diagnostic::error(format!("Unknown {what}"), detail).into()
}
