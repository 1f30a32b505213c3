//! Values in JSON: as people write a configuration, and as states are kept.
//!
//! The two differ where the type is [`Type::Dynamic`]: a configuration has the bare value,
//! and what it looks like is its type; a state has `{"value": …, "type": …}`.

use std::collections::BTreeMap;
use std::iter::repeat;

use serde_json::Map;
use serde_json::Number as JsonNumber;
use serde_json::Value as Json;

use super::DEPTH_LIMIT;
use super::ELEMENT_LIMIT;
use super::budget::Budget;
use super::budget::elements_of_json;
use super::error::DecodeError;
use super::error::DecodeProblem;
use super::error::EncodeError;
use super::error::EncodeProblem;
use super::error::Inside;
use super::number::Number;
use super::number::Written;
use super::path::Step;
use super::text::normalized;
use super::types::Attributes;
use super::types::Type;
use super::value::Typed;
use super::value::Value;
use super::value::as_set;

/// What is read, and how much more of it may come.
struct Source {
    dialect: Dialect,
    budget: Budget,
}

impl Source {
    const fn new(dialect: Dialect) -> Self {
        Self { dialect, budget: Budget::new() }
    }
}

/// Who wrote the JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Configuration,
    State,
}

impl Value {
    /// Reads a value as people write it in a configuration. Primitives are converted as
    /// Terraform does: `"5"` is a number where one is wanted, `5` a string, `"true"` a bool.
    /// An absent attribute is null.
    ///
    /// A number is what the text says that `serde_json` has of it: what has more digits than
    /// an `f64` holds is to be written as a string.
    ///
    /// # Errors
    ///
    /// What does not fit the type, where and why.
    pub fn from_json(json: &Json, ty: &Type) -> Result<Self, DecodeError> {
        decode(json, ty, &Source::new(Dialect::Configuration), 0)
    }

    /// Reads a value as [`to_json`](Self::to_json) writes it, and as Terraform keeps states.
    ///
    /// # Errors
    ///
    /// What does not fit the type, where and why; more elements than [`ELEMENT_LIMIT`], among
    /// them the attributes that are absent.
    pub fn from_state_json(json: &Json, ty: &Type) -> Result<Self, DecodeError> {
        decode(json, ty, &Source::new(Dialect::State), 0)
    }

    /// The same, of JSON that is not parsed yet: so much of it that memory might not hold it
    /// is refused before.
    ///
    /// # Errors
    ///
    /// What is no JSON, or does not fit the type, where and why.
    pub fn from_state_text(json: &[u8], ty: &Type) -> Result<Self, DecodeError> {
        if elements_of_json(json) > ELEMENT_LIMIT {
            return Err(DecodeProblem::TooMany.into());
        }
        let json = serde_json::from_slice(json).map_err(DecodeProblem::Json)?;
        Self::from_state_json(&json, ty)
    }

    /// Writes a value as Terraform keeps it in a state. A number whose digits JSON readers
    /// would round is written as a string, which all of cty's readers take.
    ///
    /// # Errors
    ///
    /// A value that is not of the type or has something unknown inside, where and why.
    pub fn to_json(&self, ty: &Type) -> Result<Json, EncodeError> {
        encode(self, ty, 0)
    }
}

fn decode(json: &Json, ty: &Type, source: &Source, depth: usize) -> Result<Value, DecodeError> {
    if depth > DEPTH_LIMIT {
        return Err(DecodeProblem::TooDeep.into());
    }
    source.budget.spend(1)?;
    let elements_of = |elements, types: &mut dyn Iterator<Item = _>| {
        decode_elements(elements, types, source, depth)
    };
    match (json, ty) {
        (Json::Null, _) => Ok(Value::Null),
        (_, Type::Dynamic) if source.dialect == Dialect::State => with_type(json, source, depth),
        (_, Type::Dynamic) => {
            let Typed { ty, value } = implied(json, source, depth)?;
            Ok(Value::dynamic(ty, value))
        }
        (_, Type::Bool | Type::Number | Type::String) => Ok(primitive(json, ty)?),
        (Json::Array(elements), Type::List(of)) => {
            Ok(Value::Sequence(elements_of(elements, &mut repeat(&**of))?))
        }
        (Json::Array(elements), Type::Set(of)) => {
            Ok(Value::set(elements_of(elements, &mut repeat(&**of))?))
        }
        (Json::Array(elements), Type::Tuple(types)) => {
            let (expected, found) = (types.len(), elements.len());
            if expected != found {
                return Err(DecodeProblem::Length { expected, found }.into());
            }
            Ok(Value::Sequence(elements_of(elements, &mut types.iter())?))
        }
        (Json::Object(elements), Type::Map(of)) => {
            let decoded = elements.iter().map(|(key, element)| {
                let decoded = decode(element, of, source, depth + 1);
                let decoded = decoded.map_err(|error| error.inside(Step::Key(key.clone())))?;
                Ok((normalized(key), decoded))
            });
            Ok(Value::Mapping(decoded.collect::<Result<_, DecodeError>>()?))
        }
        (Json::Object(elements), Type::Object(attributes)) => {
            decode_object(elements, attributes, source, depth)
        }
        _ => Err(kinds(ty.kind(), json).into()),
    }
}

fn decode_elements(
    elements: &[Json],
    types: &mut dyn Iterator<Item = &Type>,
    source: &Source,
    depth: usize,
) -> Result<Vec<Value>, DecodeError> {
    let decoded = elements.iter().zip(types).enumerate().map(|(index, (element, ty))| {
        let decoded = decode(element, ty, source, depth + 1);
        decoded.map_err(|error| error.inside(Step::Index(index as i64)))
    });
    decoded.collect()
}

fn decode_object(
    elements: &Map<String, Json>,
    attributes: &Attributes,
    source: &Source,
    depth: usize,
) -> Result<Value, DecodeError> {
    let mut found = BTreeMap::new();
    for (name, element) in elements {
        let name = normalized(name);
        let Some(ty) = attributes.types.get(&name) else {
            return Err(DecodeProblem::Unexpected(name).into());
        };
        let decoded = decode(element, ty, source, depth + 1);
        let decoded = decoded.map_err(|error| error.inside(Step::Attribute(name.clone())))?;
        found.insert(name, decoded);
    }
    for name in attributes.types.keys() {
        if !found.contains_key(name) {
            source.budget.spend(1)?;
            found.insert(name.clone(), Value::Null);
        }
    }
    Ok(Value::Mapping(found))
}

fn primitive(json: &Json, ty: &Type) -> Result<Value, DecodeProblem> {
    let number = |text: &str| text.parse::<Number>().map_err(DecodeProblem::Number);
    match (json, ty) {
        (Json::Bool(value), Type::Bool) => Ok(Value::Bool(*value)),
        (Json::String(text), Type::Bool) => match text.as_str() {
            "true" | "1" => Ok(Value::Bool(true)),
            "false" | "0" => Ok(Value::Bool(false)),
            _ => Err(DecodeProblem::NotABool),
        },
        (Json::Number(found), Type::Number) => Ok(Value::Number(number(&found.to_string())?)),
        (Json::String(text), Type::Number) => Ok(Value::Number(number(text)?)),
        (Json::String(text), Type::String) => Ok(Value::from(text.as_str())),
        (Json::Number(found), Type::String) => {
            Ok(Value::from(number(&found.to_string())?.to_string()))
        }
        (Json::Bool(value), Type::String) => Ok(Value::from(value.to_string())),
        _ => Err(kinds(ty.kind(), json)),
    }
}

/// The type that a configuration's value has by itself: arrays are tuples, and objects are
/// objects.
fn implied(json: &Json, source: &Source, depth: usize) -> Result<Typed, DecodeError> {
    if depth > DEPTH_LIMIT {
        return Err(DecodeProblem::TooDeep.into());
    }
    source.budget.spend(1)?;
    let simple = |ty| {
        let value = primitive(json, &ty)?;
        Ok(Typed { ty, value })
    };
    match json {
        Json::Null => Ok(Typed { ty: Type::Dynamic, value: Value::Null }),
        Json::Bool(_) => simple(Type::Bool),
        Json::Number(_) => simple(Type::Number),
        Json::String(_) => simple(Type::String),
        Json::Array(elements) => {
            let mut types = Vec::new();
            let mut values = Vec::new();
            for (index, element) in elements.iter().enumerate() {
                let element = implied(element, source, depth + 1);
                let step = || Step::Index(index as i64);
                let Typed { ty, value } = element.map_err(|error| error.inside(step()))?;
                types.push(ty);
                values.push(value);
            }
            Ok(Typed { ty: Type::Tuple(types), value: Value::Sequence(values) })
        }
        Json::Object(elements) => {
            let mut types = Attributes::default();
            let mut values = BTreeMap::new();
            for (name, element) in elements {
                let element = implied(element, source, depth + 1);
                let step = || Step::Attribute(name.clone());
                let Typed { ty, value } = element.map_err(|error| error.inside(step()))?;
                types.types.insert(normalized(name), ty);
                values.insert(normalized(name), value);
            }
            Ok(Typed { ty: Type::Object(types), value: Value::Mapping(values) })
        }
    }
}

/// What a state has where the schema leaves the type open.
fn with_type(json: &Json, source: &Source, depth: usize) -> Result<Value, DecodeError> {
    let Json::Object(parts) = json else {
        return Err(kinds("an object of a type and a value", json).into());
    };
    if let Some(other) = parts.keys().find(|name| !matches!(name.as_str(), "type" | "value")) {
        return Err(DecodeProblem::Unexpected(other.clone()).into());
    }
    let part = |name: &str| parts.get(name).ok_or_else(|| DecodeProblem::Missing(name.to_owned()));
    let ty = Type::from_value(part("type")?, 0).map_err(DecodeProblem::Type)?;
    let value = decode(part("value")?, &ty, source, depth + 1)?;
    Ok(if ty == Type::Dynamic { value } else { Value::dynamic(ty, value) })
}

const fn kinds(expected: &'static str, found: &Json) -> DecodeProblem {
    DecodeProblem::Kind { expected, found: json_kind(found) }
}

/// What it is, in two words.
pub const fn json_kind(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a bool",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}

fn encode(value: &Value, ty: &Type, depth: usize) -> Result<Json, EncodeError> {
    if depth > DEPTH_LIMIT {
        return Err(EncodeProblem::TooDeep.into());
    }
    match (value, ty) {
        (Value::Null, _) => Ok(Json::Null),
        (Value::Unknown(_), _) => Err(EncodeProblem::Unknown.into()),
        (Value::Bool(value), Type::Bool) => Ok(Json::Bool(*value)),
        (Value::Number(number), Type::Number) => Ok(encode_number(number)?),
        (Value::String(text), Type::String) => Ok(Json::String(text.clone())),
        (Value::Sequence(elements), Type::List(of)) => {
            encode_elements(elements, &mut repeat(&**of), depth)
        }
        (Value::Sequence(elements), Type::Set(of)) => {
            encode_elements(&as_set(elements), &mut repeat(&**of), depth)
        }
        (Value::Sequence(elements), Type::Tuple(types)) => {
            let (expected, found) = (types.len(), elements.len());
            if expected != found {
                return Err(EncodeProblem::Length { expected, found }.into());
            }
            encode_elements(elements, &mut types.iter(), depth)
        }
        (Value::Mapping(elements), Type::Map(of)) => {
            let encoded = elements.iter().map(|(key, element)| {
                let encoded = encode(element, of, depth + 1);
                Ok((key.clone(), encoded.map_err(|error| error.inside(Step::Key(key.clone())))?))
            });
            Ok(Json::Object(encoded.collect::<Result<_, EncodeError>>()?))
        }
        (Value::Mapping(elements), Type::Object(attributes)) => {
            encode_object(elements, attributes, depth)
        }
        (Value::Dynamic(typed), Type::Dynamic) => {
            let encoded = encode(&typed.value, &typed.ty, depth + 1)?;
            if typed.ty == Type::Dynamic {
                return Ok(encoded);
            }
            Ok(serde_json::json!({ "value": encoded, "type": typed.ty.to_value() }))
        }
        (value, ty) => {
            let (expected, found) = (ty.kind(), value.kind());
            Err(EncodeProblem::Kind { expected, found }.into())
        }
    }
}

fn encode_elements(
    elements: &[Value],
    types: &mut dyn Iterator<Item = &Type>,
    depth: usize,
) -> Result<Json, EncodeError> {
    let encoded = elements.iter().zip(types).enumerate().map(|(index, (element, ty))| {
        encode(element, ty, depth + 1).map_err(|error| error.inside(Step::Index(index as i64)))
    });
    Ok(Json::Array(encoded.collect::<Result<_, _>>()?))
}

fn encode_object(
    elements: &BTreeMap<String, Value>,
    attributes: &Attributes,
    depth: usize,
) -> Result<Json, EncodeError> {
    if let Some(name) = elements.keys().find(|name| !attributes.types.contains_key(*name)) {
        return Err(EncodeProblem::Unexpected(name.clone()).into());
    }
    let encoded = attributes.types.iter().map(|(name, ty)| {
        let element = elements.get(name).unwrap_or(&Value::Null);
        let encoded = encode(element, ty, depth + 1);
        Ok((name.clone(), encoded.map_err(|error| error.inside(Step::Attribute(name.clone())))?))
    });
    Ok(Json::Object(encoded.collect::<Result<_, EncodeError>>()?))
}

fn encode_number(number: &Number) -> Result<Json, EncodeProblem> {
    match number.in_json().ok_or(EncodeProblem::Infinite)? {
        Written::Integer(integer) => Ok(integer.into()),
        // It is finite.
        Written::Float(float) => Ok(JsonNumber::from_f64(float).into()),
        Written::Text(text) => Ok(text.into()),
    }
}
