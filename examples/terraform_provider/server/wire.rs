//! Values and problems, from and to the messages that both versions share.

use serde_json::Value as Json;

use crate::server::Problems;
use crate::tfplugin::cty::Attributes;
use crate::tfplugin::cty::Type;
use crate::tfplugin::cty::Value;
use crate::tfplugin::diagnostic::Diagnostic;
use crate::tfplugin::schema::Attribute;
use crate::tfplugin::schema::Block;
use crate::tfplugin::schema::Nesting;
use crate::tfplugin::schema::ProviderSchema;
use crate::tfplugin::wire::tfplugin as wire;

/// Reads a value of the type. What is not there at all is null: Go's hosts leave a null out
/// here and there.
pub(super) fn decode(value: Option<&wire::DynamicValue>, ty: &Type) -> Result<Value, Problems> {
    let decoded = match value {
        Some(value) if !value.msgpack.is_empty() => Value::from_msgpack(&value.msgpack, ty),
        Some(value) if !value.json.is_empty() => {
            let json: Json = serde_json::from_slice(&value.json).map_err(malformed)?;
            Value::from_state_json(&json, ty)
        }
        _ => return Ok(Value::Null),
    };
    decoded.map_err(|error| {
        let path = error.path.clone();
        Problems(vec![does_not_fit(&error).at(path)])
    })
}

/// Reads an object, or null. No host may leave open what all of it is.
pub(super) fn decode_object(
    value: Option<&wire::DynamicValue>,
    ty: &Type,
) -> Result<Value, Problems> {
    match decode(value, ty)? {
        value if value.is_unknown() => Err(malformed("it is unknown as a whole").into()),
        value => Ok(value),
    }
}

/// Reads an object.
pub(super) fn decode_config(
    value: Option<&wire::DynamicValue>,
    ty: &Type,
) -> Result<Value, Problems> {
    match decode_object(value, ty)? {
        value if value.is_null() => Err(malformed("there is no configuration").into()),
        value => Ok(value),
    }
}

/// Writes a value of the type.
pub(super) fn encode(value: &Value, ty: &Type) -> Result<wire::DynamicValue, Problems> {
    let msgpack = value.to_msgpack(ty).map_err(|error| {
        Diagnostic::error(
            "The provider made a value that does not fit its own schema",
            format!("This is a bug of the provider, please report it: {error}."),
        )
        .at(error.path)
    })?;
    Ok(wire::DynamicValue { msgpack: msgpack.into(), ..wire::DynamicValue::default() })
}

pub(super) fn diagnostics(problems: impl Into<Problems>) -> Vec<wire::Diagnostic> {
    problems.into().0.into_iter().map(wire::Diagnostic::from).collect()
}

impl From<Vec<Diagnostic>> for Problems {
    fn from(problems: Vec<Diagnostic>) -> Self {
        Self(problems)
    }
}

/// The host is at fault: no user can cause it.
pub(super) fn malformed(why: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::error(
        "The provider was sent a value that it cannot read",
        format!("{why}. This is a bug of the program that runs the provider."),
    )
}

fn does_not_fit(why: &dyn std::error::Error) -> Diagnostic {
    Diagnostic::error(
        "The provider was sent a value that does not fit its schema",
        format!(
            "{why}. The program that runs the provider may have the schema of another version of \
             it: run `init` again."
        ),
    )
}

/// The same for version 5, in which an attribute has no attributes of its own: it is an
/// object there, or a collection of them. Values are the same in both.
pub(super) fn without_nested(schema: &ProviderSchema) -> ProviderSchema {
    let mut schema = schema.clone();
    let kinds = schema.resources.values_mut().chain(schema.data_sources.values_mut());
    for kind in kinds.chain([&mut schema.provider]) {
        flatten(&mut kind.block);
    }
    schema
}

/// As deep as the provider's own schema is.
fn flatten(block: &mut Block) {
    for attribute in block.attributes.values_mut() {
        attribute.ty = plain_type(attribute);
        attribute.nested = None;
    }
    for nested in block.blocks.values_mut() {
        flatten(&mut nested.block);
    }
}

/// The type of its values, with the names of what a configuration may leave out.
fn plain_type(attribute: &Attribute) -> Type {
    let Some(nested) = &attribute.nested else { return attribute.ty.clone() };
    let attributes = nested.attributes.iter();
    let mut object: Attributes =
        attributes.map(|(name, inner)| (name.clone(), plain_type(inner))).collect();
    let optional = nested.attributes.iter().filter(|(_, inner)| !inner.required);
    object.optional = optional.map(|(name, _)| name.clone()).collect();
    let object = Type::Object(object);
    match nested.nesting {
        Nesting::Single | Nesting::Group => object,
        Nesting::List => Type::list(object),
        Nesting::Set => Type::set(object),
        Nesting::Map => Type::map(object),
    }
}
