//! What a provider can be asked, in values instead of bytes.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::provider::Client;
use crate::provider::IdentitySchema;
use crate::provider::Provider;
use crate::report::Failed;
use crate::report::Report;
use crate::report::explain;
use crate::report::sentence;
use crate::resource::Object;
use crate::resource::Resource;
use crate::tfplugin::cty::Path;
use crate::tfplugin::cty::Type;
use crate::tfplugin::cty::TypeError;
use crate::tfplugin::cty::Value;
use crate::tfplugin::schema::Schema;
use crate::tfplugin::wire::tfplugin as wire;

/// The version of Terraform that this program stands in for: providers name it to the
/// services that they use, and a few look at it.
const TERRAFORM_VERSION: &str = "1.12.0";

/// What a plan is asked for.
#[derive(Clone, Copy, Debug)]
pub struct PlanQuestion<'a> {
    /// Null if there is nothing yet.
    pub prior: &'a Value,
    /// Null to destroy it.
    pub proposed: &'a Value,
    pub config: &'a Value,
    pub private: &'a [u8],
    pub identity: Option<&'a Value>,
    pub allow_deferral: bool,
}

/// What a provider plans.
#[derive(Debug)]
pub struct PlanAnswer {
    pub planned: Value,
    pub requires_replace: Vec<Path>,
    pub private: Bytes,
    pub identity: Option<Value>,
    /// It does not keep to the rules of plans, and need not.
    pub is_legacy: bool,
    /// Why it has to wait, if it has to.
    pub deferred: Option<&'static str>,
}

/// What came of a change.
#[derive(Debug)]
pub struct Applied {
    /// What there is now, also if there were errors. `None` if the provider does not say.
    pub value: Option<Value>,
    pub private: Bytes,
    pub identity: Option<Value>,
    pub is_legacy: bool,
    /// Whether there were errors.
    pub has_failed: bool,
}

/// What was imported.
#[derive(Debug)]
pub struct Imported {
    /// `None` if the provider knows no such thing.
    pub object: Option<Object>,
    /// What came beside it, by type.
    pub others: Vec<String>,
}

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

    pub async fn validate_resource(
        &self,
        resource: &Resource,
        config: &Value,
        report: &mut Report,
    ) -> Result<(), Failed> {
        let request = wire::ValidateResourceConfigRequest {
            type_name: resource.kind.clone(),
            config: Some(encode(config, &resource.ty, &resource.address, report)?),
            client_capabilities: capabilities(false),
        };
        let call = |client: Client| client.validate_resource_config(request);
        let answer = self.call("ValidateResourceConfig", &resource.address, call, report).await?;
        report.take(&resource.address, answer.diagnostics)
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

    /// Brings attributes that were kept to the present schema.
    pub async fn upgrade_state(
        &self,
        resource: &Resource,
        version: i64,
        json: Vec<u8>,
        report: &mut Report,
    ) -> Result<Value, Failed> {
        let request = wire::UpgradeResourceStateRequest {
            type_name: resource.kind.clone(),
            version,
            raw_state: Some(wire::RawState { json: json.into(), ..Default::default() }),
        };
        let method = "UpgradeResourceState";
        let call = |client: Client| client.upgrade_resource_state(request);
        let answer = self.call(method, &resource.address, call, report).await?;
        report.take(&resource.address, answer.diagnostics)?;
        decode(answer.upgraded_state, &resource.ty, method, &resource.address, report)
    }

    pub async fn upgrade_identity(
        &self,
        resource: &Resource,
        schema: &IdentitySchema,
        version: i64,
        json: Vec<u8>,
        report: &mut Report,
    ) -> Result<Option<Value>, Failed> {
        let request = wire::UpgradeResourceIdentityRequest {
            type_name: resource.kind.clone(),
            version,
            raw_identity: Some(wire::RawState { json: json.into(), ..Default::default() }),
        };
        let method = "UpgradeResourceIdentity";
        let call = |client: Client| client.upgrade_resource_identity(request);
        let answer = self.call(method, &resource.address, call, report).await?;
        report.take(&resource.address, answer.diagnostics)?;
        let sent = answer.upgraded_identity.and_then(|identity| identity.identity_data);
        let identity = decode(sent, &schema.ty, method, &resource.address, report)?;
        Ok((!identity.is_null()).then_some(identity))
    }

    /// What is there of a resource now; `None` if it is gone.
    pub async fn read(
        &self,
        resource: &Resource,
        object: &Object,
        report: &mut Report,
    ) -> Result<Option<Object>, Failed> {
        let request = wire::ReadResourceRequest {
            type_name: resource.kind.clone(),
            current_state: Some(encode(&object.value, &resource.ty, &resource.address, report)?),
            private: object.private.clone().into(),
            provider_meta: resource.meta.clone(),
            client_capabilities: capabilities(false),
            current_identity: identity_to_wire(resource, object.identity.as_ref(), report)?,
        };
        let method = "ReadResource";
        let call = |client: Client| client.read_resource(request);
        let answer = self.call(method, &resource.address, call, report).await?;
        report.take(&resource.address, answer.diagnostics)?;
        refuse_deferral(answer.deferred, method, resource, report)?;
        let value = decode(answer.new_state, &resource.ty, method, &resource.address, report)?;
        let identity = identity_from_wire(resource, answer.new_identity, method, report)?;
        Ok((!value.is_null()).then(|| Object {
            value,
            private: answer.private.into(),
            identity,
            is_tainted: object.is_tainted,
        }))
    }

    pub async fn plan(
        &self,
        resource: &Resource,
        question: PlanQuestion<'_>,
        report: &mut Report,
    ) -> Result<PlanAnswer, Failed> {
        let Resource { ty, address, .. } = resource;
        let request = wire::PlanResourceChangeRequest {
            type_name: resource.kind.clone(),
            prior_state: Some(encode(question.prior, ty, address, report)?),
            proposed_new_state: Some(encode(question.proposed, ty, address, report)?),
            config: Some(encode(question.config, ty, address, report)?),
            prior_private: Bytes::copy_from_slice(question.private),
            provider_meta: resource.meta.clone(),
            client_capabilities: capabilities(question.allow_deferral),
            prior_identity: identity_to_wire(resource, question.identity, report)?,
        };
        let method = "PlanResourceChange";
        let call = |client: Client| client.plan_resource_change(request);
        let answer = self.call(method, address, call, report).await?;
        report.take(address, answer.diagnostics)?;
        if !question.allow_deferral {
            refuse_deferral(answer.deferred, method, resource, report)?;
        }
        Ok(PlanAnswer {
            planned: decode(answer.planned_state, ty, method, address, report)?,
            requires_replace: answer.requires_replace.into_iter().map(Into::into).collect(),
            private: answer.planned_private,
            identity: identity_from_wire(resource, answer.planned_identity, method, report)?,
            is_legacy: answer.legacy_type_system,
            deferred: answer.deferred.map(|deferred| reason(&deferred)),
        })
    }

    /// Does what was planned. Fails if there is no answer, or none that can be read; errors
    /// that the provider reports are beside the result.
    pub async fn apply(
        &self,
        resource: &Resource,
        prior: &Value,
        config: &Value,
        plan: &PlanAnswer,
        report: &mut Report,
    ) -> Result<Applied, Failed> {
        let Resource { ty, address, .. } = resource;
        let request = wire::ApplyResourceChangeRequest {
            type_name: resource.kind.clone(),
            prior_state: Some(encode(prior, ty, address, report)?),
            planned_state: Some(encode(&plan.planned, ty, address, report)?),
            config: Some(encode(config, ty, address, report)?),
            planned_private: plan.private.clone(),
            provider_meta: resource.meta.clone(),
            planned_identity: identity_to_wire(resource, plan.identity.as_ref(), report)?,
        };
        let method = "ApplyResourceChange";
        let call = |client: Client| client.apply_resource_change(request);
        let answer = self.call(method, address, call, report).await?;
        let has_failed = report.take(address, answer.diagnostics).is_err();
        let value = match answer.new_state {
            Some(value) if !is_empty(&value) => {
                Some(decode(Some(value), ty, method, address, report)?)
            }
            _ => None,
        };
        Ok(Applied {
            value,
            private: answer.private,
            // A result without its identity is worth more than none.
            identity: identity_from_wire(resource, answer.new_identity, method, report)
                .unwrap_or_default(),
            is_legacy: answer.legacy_type_system,
            has_failed: has_failed || report.has_errors(),
        })
    }

    pub async fn import(
        &self,
        resource: &Resource,
        id: &str,
        report: &mut Report,
    ) -> Result<Imported, Failed> {
        let request = wire::ImportResourceStateRequest {
            type_name: resource.kind.clone(),
            id: id.to_owned(),
            client_capabilities: capabilities(false),
            identity: None,
        };
        let method = "ImportResourceState";
        let call = |client: Client| client.import_resource_state(request);
        let answer = self.call(method, &resource.address, call, report).await?;
        report.take(&resource.address, answer.diagnostics)?;
        refuse_deferral(answer.deferred, method, resource, report)?;
        let mut imported = Imported { object: None, others: Vec::new() };
        for one in answer.imported_resources {
            // What is of another kind looks different.
            if one.type_name != resource.kind || imported.object.is_some() {
                imported.others.push(one.type_name);
                continue;
            }
            let value = decode(one.state, &resource.ty, method, &resource.address, report)?;
            let identity = identity_from_wire(resource, one.identity, method, report)?;
            let private = one.private.into();
            imported.object = (!value.is_null()).then_some(Object {
                value,
                private,
                identity,
                is_tainted: false,
            });
        }
        Ok(imported)
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

fn capabilities(deferral_allowed: bool) -> Option<wire::ClientCapabilities> {
    Some(wire::ClientCapabilities { deferral_allowed, write_only_attributes_allowed: true })
}

fn encode(
    value: &Value,
    ty: &Type,
    subject: &str,
    report: &mut Report,
) -> Result<wire::DynamicValue, Failed> {
    match value.to_msgpack(ty) {
        Ok(msgpack) => Ok(wire::DynamicValue { msgpack: msgpack.into(), ..Default::default() }),
        Err(error) => Err(report.fail(subject, "A value cannot be sent", sentence(&error))),
    }
}

fn is_empty(value: &wire::DynamicValue) -> bool {
    value.msgpack.is_empty() && value.json.is_empty()
}

/// A value that is absent is null.
fn decode(
    sent: Option<wire::DynamicValue>,
    ty: &Type,
    method: &str,
    subject: &str,
    report: &mut Report,
) -> Result<Value, Failed> {
    let Some(sent) = sent.filter(|value| !is_empty(value)) else { return Ok(Value::Null) };
    let decoded = if sent.msgpack.is_empty() {
        serde_json::from_slice(&sent.json)
            .map_err(|error| explain(&error))
            .and_then(|json| Value::from_state_json(&json, ty).map_err(|error| explain(&error)))
    } else {
        Value::from_msgpack(&sent.msgpack, ty).map_err(|error| explain(&error))
    };
    decoded.map_err(|why| {
        let detail = format!(
            "The answer to {method} cannot be read: {why}\n\nThat is a bug in the provider, to \
             be reported to its authors."
        );
        report.fail(subject, "Provider produced invalid object", detail)
    })
}

fn identity_to_wire(
    resource: &Resource,
    identity: Option<&Value>,
    report: &mut Report,
) -> Result<Option<wire::ResourceIdentityData>, Failed> {
    let (Some(schema), Some(identity)) = (&resource.identity, identity) else { return Ok(None) };
    let data = encode(identity, &schema.ty, &resource.address, report)?;
    Ok(Some(wire::ResourceIdentityData { identity_data: Some(data) }))
}

fn identity_from_wire(
    resource: &Resource,
    sent: Option<wire::ResourceIdentityData>,
    method: &str,
    report: &mut Report,
) -> Result<Option<Value>, Failed> {
    let (Some(schema), Some(sent)) = (&resource.identity, sent) else { return Ok(None) };
    let identity = decode(sent.identity_data, &schema.ty, method, &resource.address, report)?;
    Ok((!identity.is_null()).then_some(identity))
}

/// A provider may put something off only where it was told that it may.
fn refuse_deferral(
    deferred: Option<wire::Deferred>,
    method: &str,
    resource: &Resource,
    report: &mut Report,
) -> Result<(), Failed> {
    let Some(deferred) = deferred else { return Ok(()) };
    let detail = format!(
        "The provider has put off {method}, which it was not allowed to: {}.",
        reason(&deferred)
    );
    Err(report.fail(&resource.address, "Provider deferred a change", detail))
}

fn reason(deferred: &wire::Deferred) -> &'static str {
    use wire::deferred::Reason;

    match deferred.reason() {
        Reason::Unknown => "for a reason that it does not give",
        Reason::ResourceConfigUnknown => "something in the configuration is not known yet",
        Reason::ProviderConfigUnknown => {
            "something in the provider's configuration is not known yet"
        }
        Reason::AbsentPrereq => "something that it needs does not exist yet",
    }
}
