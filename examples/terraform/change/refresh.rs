//! From a state that was kept to what is there now.

use crate::conform;
use crate::provider::Provider;
use crate::report::Failed;
use crate::report::Report;
use crate::report::explain;
use crate::resource::Object;
use crate::resource::Resource;
use crate::state::Kept;
use crate::tfplugin::cty::Type;
use crate::tfplugin::cty::Value;
use crate::tfplugin::diagnostic::Diagnostic;

/// Brings what was kept to the present schema, with the provider's help: also if it is of
/// that schema, for the provider may have something to mend.
pub async fn restore(
    provider: &Provider,
    resource: &Resource,
    kept: Kept,
    report: &mut Report,
) -> Result<Object, Failed> {
    let address = &resource.address;
    let current = resource.schema.version;
    if kept.schema_version > current {
        let detail = format!(
            "It was written with version {} of the schema of {}, and this provider has version \
             {current}: use a newer one.",
            kept.schema_version, resource.kind
        );
        let summary = "Resource instance managed by newer provider version";
        return Err(report.fail(address, summary, detail));
    }
    let mut attributes = kept.attributes;
    if kept.schema_version == current {
        forget_unknown_names(&mut attributes, &resource.ty);
    }
    let json = attributes.to_string().into_bytes();
    let value = provider.upgrade_state(resource, kept.schema_version, json, report).await?;
    if value.is_null() {
        let detail = "The provider has made nothing of the state that was kept.";
        return Err(report.fail(address, "Invalid resource state transformation", detail));
    }
    let identity = match (&resource.identity, kept.identity) {
        (Some(schema), Some(kept)) if kept.schema_version != schema.version => {
            let json = kept.value.to_string().into_bytes();
            let version = kept.schema_version;
            provider.upgrade_identity(resource, version, json, report).await?
        }
        (Some(schema), Some(kept)) => match Value::from_state_json(&kept.value, &schema.ty) {
            Ok(identity) => Some(identity),
            Err(error) => {
                let detail = format!("The identity that was kept: {}", explain(&error));
                return Err(report.fail(address, "Invalid resource identity", detail));
            }
        },
        _ => None,
    };
    Ok(Object { value, private: kept.private, identity, is_tainted: kept.tainted })
}

/// Reads it anew. `None` if it is gone.
pub async fn refresh(
    provider: &Provider,
    resource: &Resource,
    object: &Object,
    report: &mut Report,
) -> Result<Option<Object>, Failed> {
    let Some(mut read) = provider.read(resource, object, report).await? else { return Ok(None) };
    let unknown = conform::unknown_paths(&read.value);
    if !unknown.is_empty() {
        for path in unknown {
            let detail = format!(
                "After it was read anew, {}{path} is unknown. That is a bug in the provider, to \
                 be reported to its authors.",
                resource.address
            );
            report.add(
                &resource.address,
                Diagnostic::error("Provider produced invalid object", detail),
            );
        }
        return Err(Failed);
    }
    read.value = conform::normalised(resource.block(), read.value);
    Ok(Some(read))
}

/// Takes out attributes that the schema does not have any more. A provider whose schema has
/// another version takes them out itself.
fn forget_unknown_names(json: &mut serde_json::Value, ty: &Type) {
    match (json, ty) {
        (serde_json::Value::Object(values), Type::Object(attributes)) => {
            values.retain(|name, _| attributes.types.contains_key(name));
            for (name, value) in values {
                if let Some(ty) = attributes.types.get(name) {
                    forget_unknown_names(value, ty);
                }
            }
        }
        (serde_json::Value::Object(values), Type::Map(of)) => {
            values.values_mut().for_each(|value| forget_unknown_names(value, of));
        }
        (serde_json::Value::Array(values), Type::List(of) | Type::Set(of)) => {
            values.iter_mut().for_each(|value| forget_unknown_names(value, of));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn attributes_that_are_gone_from_the_schema_are_forgotten_at_every_depth() {
        let inner = Type::object([("a", Type::Bool)]);
        let ty = Type::object([
            ("list", Type::list(inner.clone())),
            ("map", Type::map(inner)),
            ("open", Type::Dynamic),
        ]);
        let mut kept = json!({
            "list": [{"a": true, "old": 1}],
            "map": {"old": {"a": null, "old": 1}},
            "open": {"value": {"old": 1}, "type": "x"},
            "old": 1,
        });
        forget_unknown_names(&mut kept, &ty);
        let expected = json!({
            "list": [{"a": true}],
            "map": {"old": {"a": null}},
            "open": {"value": {"old": 1}, "type": "x"},
        });
        assert_eq!(kept, expected);
    }
}
