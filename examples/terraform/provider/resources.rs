//! What a provider can be asked about a resource, in values instead of bytes.

use bytes::Bytes;

use crate::provider::Client;
use crate::provider::Provider;
use crate::provider::values;
use crate::provider::values::capabilities;
use crate::provider::values::decode_object;
use crate::provider::values::encode;
use crate::provider::values::identity_to_wire;
use crate::provider::values::is_empty;
use crate::provider::values::planned_identity;
use crate::provider::values::reason;
use crate::provider::values::refuse_deferral;
use crate::report::Failed;
use crate::report::Report;
use crate::resource::Object;
use crate::resource::Resource;
use crate::tfplugin::cty::Path;
use crate::tfplugin::cty::Value;
use crate::tfplugin::wire::tfplugin as wire;

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
        let (value, result) = decode_object(answer.upgraded_state, resource, method, report)?;
        result.map(|()| value)
    }

    pub async fn upgrade_identity(
        &self,
        resource: &Resource,
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
        values::identity(resource, answer.upgraded_identity, method, report)
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
        let (value, result) = decode_object(answer.new_state, resource, method, report)?;
        result?;
        let identity = values::identity(resource, answer.new_identity, method, report)?;
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
        let (planned, result) = decode_object(answer.planned_state, resource, method, report)?;
        result?;
        Ok(PlanAnswer {
            planned,
            requires_replace: answer.requires_replace.into_iter().map(Into::into).collect(),
            private: answer.planned_private,
            identity: planned_identity(resource, answer.planned_identity, method, report)?,
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
        let mut has_failed = report.take(address, answer.diagnostics).is_err();
        let value = match answer.new_state.filter(|value| !is_empty(value)) {
            Some(sent) => {
                let (value, result) = decode_object(Some(sent), resource, method, report)?;
                has_failed |= result.is_err();
                Some(value)
            }
            None => None,
        };
        let identity = values::identity(resource, answer.new_identity, method, report);
        has_failed |= identity.is_err();
        Ok(Applied {
            value,
            private: answer.private,
            // A result without its identity is worth more than none.
            identity: identity.unwrap_or_default(),
            is_legacy: answer.legacy_type_system,
            has_failed,
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
            let (value, result) = decode_object(one.state, resource, method, report)?;
            result?;
            let identity = values::identity(resource, one.identity, method, report)?;
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
}
