//! Values as they travel: encoded as the schema says, and read with the suspicion that what a
//! provider sends deserves.

use crate::conform;
use crate::report::Failed;
use crate::report::Report;
use crate::report::explain;
use crate::report::sentence;
use crate::resource::Resource;
use crate::tfplugin::cty::Type;
use crate::tfplugin::cty::Value;
use crate::tfplugin::diagnostic::Diagnostic;
use crate::tfplugin::wire::tfplugin as wire;

pub fn capabilities(deferral_allowed: bool) -> Option<wire::ClientCapabilities> {
    Some(wire::ClientCapabilities { deferral_allowed, write_only_attributes_allowed: true })
}

pub fn encode(
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

pub fn is_empty(value: &wire::DynamicValue) -> bool {
    value.msgpack.is_empty() && value.json.is_empty()
}

/// A value that is absent is null.
pub fn decode(
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

/// The object of a resource, without what is never to be kept. Where a provider sends that
/// all the same, the report says so, and the caller decides what the rest is worth.
pub fn decode_object(
    sent: Option<wire::DynamicValue>,
    resource: &Resource,
    method: &str,
    report: &mut Report,
) -> Result<(Value, Result<(), Failed>), Failed> {
    let Resource { ty, address, .. } = resource;
    let value = decode(sent, ty, method, address, report)?;
    let (value, leaked) = conform::without_write_only(resource.block(), value);
    let mut result = Ok(());
    for path in leaked {
        let detail = format!(
            "The answer to {method} has a value for the write-only attribute {path}, where it \
             must be null. That is a bug in the provider, to be reported to its authors."
        );
        report.add(address, Diagnostic::error("Invalid provider response", detail).at(path));
        result = Err(Failed);
    }
    Ok((value, result))
}

pub fn identity_to_wire(
    resource: &Resource,
    identity: Option<&Value>,
    report: &mut Report,
) -> Result<Option<wire::ResourceIdentityData>, Failed> {
    let (Some(schema), Some(identity)) = (&resource.identity, identity) else { return Ok(None) };
    let data = encode(identity, &schema.ty, &resource.address, report)?;
    Ok(Some(wire::ResourceIdentityData { identity_data: Some(data) }))
}

pub fn identity_from_wire(
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
pub fn refuse_deferral(
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

pub fn reason(deferred: &wire::Deferred) -> &'static str {
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
