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
        Value::from_state_text(&sent.json, ty)
    } else {
        Value::from_msgpack(&sent.msgpack, ty)
    };
    decoded.map_err(|error| {
        let why = explain(&error);
        let detail = format!("The answer to {method} cannot be read: {why}\n\n{BUG}");
        report.fail(subject, "Provider produced invalid object", detail)
    })
}

/// The object of a resource, without what is never to be kept and what cannot be kept. Where
/// a provider sends that all the same, the report says so, and the caller decides what the
/// rest is worth.
pub fn decode_object(
    sent: Option<wire::DynamicValue>,
    resource: &Resource,
    method: &str,
    report: &mut Report,
) -> Result<(Value, Result<(), Failed>), Failed> {
    let Resource { ty, address, .. } = resource;
    let value = decode(sent, ty, method, address, report)?;
    let (mut value, leaked) = conform::without_write_only(resource.block(), value);
    let infinite = conform::infinite_paths(&value);
    if !infinite.is_empty() {
        value = conform::without_infinities(value);
    }
    let leaked = leaked.into_iter().map(|path| {
        let what = format!("a value for the write-only attribute {path}, where it must be null");
        (path, what)
    });
    let infinite = infinite.into_iter().map(|path| {
        let what = format!("an infinite number at {path}, which no state can hold");
        (path, what)
    });
    let mut result = Ok(());
    for (path, what) in leaked.chain(infinite) {
        let detail = format!("The answer to {method} has {what}. {BUG}");
        report.add(address, Diagnostic::error("Invalid provider response", detail).at(path));
        result = Err(Failed);
    }
    Ok((value, result))
}

const BUG: &str = "That is a bug in the provider, to be reported to its authors.";

pub fn identity_to_wire(
    resource: &Resource,
    identity: Option<&Value>,
    report: &mut Report,
) -> Result<Option<wire::ResourceIdentityData>, Failed> {
    let (Some(schema), Some(identity)) = (&resource.identity, identity) else { return Ok(None) };
    let data = encode(identity, &schema.ty, &resource.address, report)?;
    Ok(Some(wire::ResourceIdentityData { identity_data: Some(data) }))
}

/// An identity as it is planned: what of it only the provider can know may be unknown.
pub fn planned_identity(
    resource: &Resource,
    sent: Option<wire::ResourceIdentityData>,
    method: &str,
    report: &mut Report,
) -> Result<Option<Value>, Failed> {
    let (Some(schema), Some(sent)) = (&resource.identity, sent) else { return Ok(None) };
    let identity = decode(sent.identity_data, &schema.ty, method, &resource.address, report)?;
    Ok((!identity.is_null()).then_some(identity))
}

/// An identity that is to be kept: it is known, and a state can hold it.
pub fn identity(
    resource: &Resource,
    sent: Option<wire::ResourceIdentityData>,
    method: &str,
    report: &mut Report,
) -> Result<Option<Value>, Failed> {
    let Some(identity) = planned_identity(resource, sent, method, report)? else {
        return Ok(None);
    };
    let what = if !identity.is_wholly_known() {
        "is not wholly known"
    } else if !conform::infinite_paths(&identity).is_empty() {
        "has an infinite number, which no state can hold"
    } else {
        return Ok(Some(identity));
    };
    let detail = format!("The identity in the answer to {method} {what}. {BUG}");
    Err(report.fail(&resource.address, "Provider produced invalid identity", detail))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::IdentitySchema;
    use crate::testing::block;
    use crate::testing::computed;
    use crate::testing::object;
    use crate::testing::text;
    use crate::tfplugin::schema::Schema;

    /// A number `n` and a string `s`; a string `id` is the identity.
    fn resource() -> Resource {
        let block = block([("n", computed(Type::Number)), ("s", computed(Type::String))], []);
        let ty = Type::object([("id", Type::String)]);
        let identity = IdentitySchema { version: 0, ty };
        let name = "x.y".parse().unwrap();
        Resource::new(&name, "x.y".to_owned(), Schema { version: 0, block }, Some(identity), false)
    }

    fn sent(value: &Value, ty: &Type) -> wire::DynamicValue {
        encode(value, ty, "", &mut Report::default()).unwrap()
    }

    fn summaries(report: &Report) -> Vec<&str> {
        report.entries().iter().map(|entry| entry.diagnostic.summary.as_str()).collect()
    }

    #[test]
    fn of_an_answer_with_an_infinite_number_the_rest_can_be_kept() {
        let resource = resource();
        let infinite = Value::Number("Inf".parse().unwrap());
        let value = object([("n", infinite), ("s", text("kept"))]);
        let mut report = Report::default();
        let sent = sent(&value, &resource.ty);
        let (value, result) = decode_object(Some(sent), &resource, "M", &mut report).unwrap();
        assert_eq!(result, Err(Failed));
        assert_eq!(value, object([("n", Value::Null), ("s", text("kept"))]));
        assert!(value.to_json(&resource.ty).is_ok());
        assert_eq!(summaries(&report), ["Invalid provider response"]);
    }

    #[test]
    fn an_identity_that_is_unknown_is_planned_but_not_kept() {
        let resource = resource();
        let ty = &resource.identity.as_ref().unwrap().ty;
        let unknown = object([("id", Value::unknown())]);
        let data = || {
            let identity_data = Some(sent(&unknown, ty));
            Some(wire::ResourceIdentityData { identity_data })
        };
        let mut report = Report::default();
        let planned = planned_identity(&resource, data(), "M", &mut report);
        assert_eq!((planned, summaries(&report).len()), (Ok(Some(unknown.clone())), 0));
        assert_eq!(identity(&resource, data(), "M", &mut report), Err(Failed));
        assert_eq!(summaries(&report), ["Provider produced invalid identity"]);
    }
}
