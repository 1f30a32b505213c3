//! What a provider can be asked about itself, its data sources and its functions, in values
//! instead of bytes.

use std::collections::BTreeMap;

use crate::provider::Client;
use crate::provider::IdentitySchema;
use crate::provider::Provider;
use crate::provider::values::capabilities;
use crate::provider::values::decode;
use crate::provider::values::encode;
use crate::provider::values::refuse_deferral;
use crate::report::Failed;
use crate::report::Report;
use crate::report::explain;
use crate::resource::Resource;
use crate::tfplugin::cty::Type;
use crate::tfplugin::cty::TypeError;
use crate::tfplugin::cty::Value;
use crate::tfplugin::schema::Schema;
use crate::tfplugin::wire::tfplugin as wire;

/// The version of Terraform that this program stands in for: providers name it to the
/// services that they use, and a few look at it.
const TERRAFORM_VERSION: &str = "1.12.0";

impl Provider {
    /// How resources are known to the outside: nothing, of a provider that does not say or
    /// says it wrongly, for nothing else needs it.
    pub async fn identity_schemas(&self) -> BTreeMap<String, IdentitySchema> {
        let mut aside = Report::default();
        let request = wire::GetResourceIdentitySchemasRequest {};
        let call = |client: Client| client.get_resource_identity_schemas(request);
        let method = "GetResourceIdentitySchemas";
        let answer = self.call(method, "", call, &mut aside).await;
        let Ok(answer) = answer else { return BTreeMap::new() };
        if aside.take("", answer.diagnostics).is_err() {
            tracing::warn!("the provider cannot say how its resources are known to the outside");
            return BTreeMap::new();
        }
        let schemas = answer.identity_schemas.into_iter();
        let read = schemas.map(|(kind, schema)| Ok((kind, IdentitySchema::try_from(schema)?)));
        read.collect::<Result<_, TypeError>>().unwrap_or_else(|error| {
            tracing::warn!(error = explain(&error), "an identity of the provider has no type");
            BTreeMap::new()
        })
    }

    pub async fn validate_provider_config(
        &self,
        schema: &Schema,
        config: &Value,
        report: &mut Report,
    ) -> Result<(), Failed> {
        let subject = self.subject();
        let ty = schema.block.implied_type();
        let config = encode(config, &ty, &subject, report)?;
        let request = wire::ValidateProviderConfigRequest { config: Some(config.clone()) };
        let call = |client: Client| client.validate_provider_config(request);
        let answer = self.call("ValidateProviderConfig", &subject, call, report).await?;
        // Version 5 sends the configuration back, with defaults filled in. Terraform does not
        // use it, and providers fill in the same when they are configured.
        if answer.prepared_config.is_some_and(|prepared| prepared != config) {
            tracing::debug!("the provider has prepared another configuration, which is unused");
        }
        report.take(&subject, answer.diagnostics)
    }

    pub async fn configure(
        &self,
        schema: &Schema,
        config: &Value,
        allow_deferral: bool,
        report: &mut Report,
    ) -> Result<(), Failed> {
        let subject = self.subject();
        let request = wire::ConfigureProviderRequest {
            terraform_version: TERRAFORM_VERSION.to_owned(),
            config: Some(encode(config, &schema.block.implied_type(), &subject, report)?),
            client_capabilities: capabilities(allow_deferral),
        };
        let call = |client: Client| client.configure_provider(request);
        let answer = self.call("ConfigureProvider", &subject, call, report).await?;
        report.take(&subject, answer.diagnostics)
    }

    pub async fn validate_data_source(
        &self,
        resource: &Resource,
        config: &Value,
        report: &mut Report,
    ) -> Result<(), Failed> {
        let request = wire::ValidateDataSourceConfigRequest {
            type_name: resource.kind.clone(),
            config: Some(encode(config, &resource.ty, &resource.address, report)?),
        };
        let call = |client: Client| client.validate_data_source_config(request);
        let answer = self.call("ValidateDataSourceConfig", &resource.address, call, report).await?;
        report.take(&resource.address, answer.diagnostics)
    }

    pub async fn read_data_source(
        &self,
        resource: &Resource,
        config: &Value,
        report: &mut Report,
    ) -> Result<Value, Failed> {
        let request = wire::ReadDataSourceRequest {
            type_name: resource.kind.clone(),
            config: Some(encode(config, &resource.ty, &resource.address, report)?),
            provider_meta: resource.meta.clone(),
            client_capabilities: capabilities(false),
        };
        let method = "ReadDataSource";
        let call = |client: Client| client.read_data_source(request);
        let answer = self.call(method, &resource.address, call, report).await?;
        report.take(&resource.address, answer.diagnostics)?;
        refuse_deferral(answer.deferred, method, resource, report)?;
        decode(answer.state, &resource.ty, method, &resource.address, report)
    }

    /// Calls a function with arguments of these types. What the provider says against it is
    /// no failure of the call.
    pub async fn call_function(
        &self,
        name: &str,
        arguments: &[(Value, Type)],
        returns: &Type,
        report: &mut Report,
    ) -> Result<Result<Value, wire::FunctionError>, Failed> {
        let subject = self.subject();
        let encoded = arguments.iter().map(|(value, ty)| encode(value, ty, &subject, report));
        let request = wire::CallFunctionRequest {
            name: name.to_owned(),
            arguments: encoded.collect::<Result<_, _>>()?,
        };
        let method = "CallFunction";
        let call = |client: Client| client.call_function(request);
        let answer = self.call(method, &subject, call, report).await?;
        match answer.error {
            Some(error) => Ok(Err(error)),
            None => decode(answer.result, returns, method, &subject, report).map(Ok),
        }
    }
}
