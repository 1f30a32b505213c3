//! Values in msgpack, as providers and their hosts send them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::iter::repeat;
use std::iter::repeat_n;

use super::DEPTH_LIMIT;
#[cfg(doc)]
use super::ELEMENT_LIMIT;
use super::budget::elements_of_json;
use super::error::DecodeError;
use super::error::DecodeProblem;
use super::error::EncodeError;
use super::error::EncodeProblem;
use super::error::Inside;
use super::path::Step;
use super::reader::Reader;
use super::refinement::Refinement;
use super::text::normalized;
use super::types::Attributes;
use super::types::Type;
use super::value::Value;
use super::value::as_set;
use super::writer::Writer;

impl Value {
    /// Decodes a value that must be of the type.
    ///
    /// # Errors
    ///
    /// Bytes that are not exactly one value of the type, where in it and why. Values that
    /// are nested deeper than [`DEPTH_LIMIT`], or have more elements than [`ELEMENT_LIMIT`],
    /// are refused.
    pub fn from_msgpack(bytes: &[u8], ty: &Type) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = decode(&mut reader, ty, 0)?;
        match reader.remaining() {
            0 => Ok(value),
            bytes => Err(DecodeProblem::Trailing { bytes }.into()),
        }
    }

    /// Encodes it, byte for byte as go-cty does. Attributes of an object that are absent are
    /// null.
    ///
    /// Elements of a set are in the order of [`Value`], which is go-cty's for those that are
    /// primitive and known. For others go-cty promises none.
    ///
    /// # Errors
    ///
    /// A value that is not of the type, where and why.
    pub fn to_msgpack(&self, ty: &Type) -> Result<Vec<u8>, EncodeError> {
        let mut writer = Writer::default();
        encode(&mut writer, self, ty, 0)?;
        Ok(writer.into_bytes())
    }
}

fn decode(reader: &mut Reader<'_>, ty: &Type, depth: usize) -> Result<Value, DecodeError> {
    if depth > DEPTH_LIMIT {
        return Err(DecodeProblem::TooDeep.into());
    }
    reader.count(1)?;
    if let Some(extension) = reader.extension()? {
        return Ok(Value::Unknown(Refinement::received(extension, ty)?));
    }
    if reader.nil()? {
        return Ok(Value::Null);
    }
    match ty {
        Type::Bool => Ok(Value::Bool(reader.bool()?)),
        Type::Number => Ok(Value::Number(reader.number()?)),
        Type::String => Ok(Value::String(normalized(reader.text(ty.kind())?))),
        Type::Dynamic => decode_dynamic(reader, depth),
        Type::List(of) => {
            let length = reader.array(ty.kind())?;
            Ok(Value::Sequence(decode_elements(reader, repeat_n(&**of, length), depth)?))
        }
        Type::Set(of) => {
            let length = reader.array(ty.kind())?;
            Ok(Value::set(decode_elements(reader, repeat_n(&**of, length), depth)?))
        }
        Type::Tuple(types) => {
            let found = reader.array(ty.kind())?;
            if found != types.len() {
                return Err(DecodeProblem::Length { expected: types.len(), found }.into());
            }
            Ok(Value::Sequence(decode_elements(reader, types.iter(), depth)?))
        }
        Type::Map(of) => {
            let pairs = reader.map(ty.kind())?;
            let elements = decode_pairs(reader, pairs, |_| Some(of), Step::Key, depth)?;
            Ok(Value::Mapping(elements))
        }
        Type::Object(Attributes { types, .. }) => {
            let pairs = reader.map(ty.kind())?;
            let known = |name: &str| types.get(name);
            let found = decode_pairs(reader, pairs, known, Step::Attribute, depth)?;
            match types.keys().find(|name| !found.contains_key(*name)) {
                Some(missing) => Err(DecodeProblem::Missing(missing.clone()).into()),
                None => Ok(Value::Mapping(found)),
            }
        }
    }
}

fn decode_elements<'t>(
    reader: &mut Reader<'_>,
    types: impl Iterator<Item = &'t Type>,
    depth: usize,
) -> Result<Vec<Value>, DecodeError> {
    // Nothing is reserved for what is only announced, at any depth.
    let mut elements = Vec::new();
    for (index, ty) in types.enumerate() {
        let element = decode(reader, ty, depth + 1);
        elements.push(element.map_err(|error| error.inside(Step::Index(index as i64)))?);
    }
    Ok(elements)
}

/// A map or an object. `known` has the types of what may be there.
fn decode_pairs<'t>(
    reader: &mut Reader<'_>,
    pairs: usize,
    known: impl Fn(&str) -> Option<&'t Type>,
    step: fn(String) -> Step,
    depth: usize,
) -> Result<BTreeMap<String, Value>, DecodeError> {
    let mut found = BTreeMap::new();
    for _ in 0..pairs {
        let name = normalized(reader.text("the name of an element, a string")?);
        let Some(ty) = known(&name) else {
            return Err(DecodeProblem::Unexpected(name).into());
        };
        let entry = match found.entry(name) {
            Entry::Vacant(entry) => entry,
            Entry::Occupied(entry) => {
                return Err(DecodeProblem::Duplicate(entry.key().clone()).into());
            }
        };
        let element = decode(reader, ty, depth + 1);
        let element = element.map_err(|error| error.inside(step(entry.key().clone())))?;
        entry.insert(element);
    }
    Ok(found)
}

/// A type in JSON, and a value of it.
fn decode_dynamic(reader: &mut Reader<'_>, depth: usize) -> Result<Value, DecodeError> {
    let expected = Type::Dynamic.kind();
    let found = reader.array(expected)?;
    if found != 2 {
        return Err(DecodeProblem::Length { expected: 2, found }.into());
    }
    let json = reader.bytes("a type")?;
    reader.count(elements_of_json(json))?;
    let ty = Type::from_json(json).map_err(DecodeProblem::Type)?;
    let value = decode(reader, &ty, depth + 1)?;
    // A type that is open again says nothing: what is inside says it.
    Ok(if ty == Type::Dynamic { value } else { Value::dynamic(ty, value) })
}

fn encode(writer: &mut Writer, value: &Value, ty: &Type, depth: usize) -> Result<(), EncodeError> {
    if depth > DEPTH_LIMIT {
        return Err(EncodeProblem::TooDeep.into());
    }
    match (value, ty) {
        (Value::Null, _) => writer.nil(),
        (Value::Unknown(refinement), _) => refinement.send(writer)?,
        (Value::Bool(value), Type::Bool) => writer.bool(*value),
        (Value::Number(number), Type::Number) => writer.number(number),
        (Value::String(text), Type::String) => writer.text(text)?,
        (Value::Sequence(elements), Type::List(of)) => {
            encode_elements(writer, elements, repeat(&**of), depth)?;
        }
        (Value::Sequence(elements), Type::Set(of)) => {
            encode_elements(writer, &as_set(elements), repeat(&**of), depth)?;
        }
        (Value::Sequence(elements), Type::Tuple(types)) => {
            if elements.len() != types.len() {
                let (expected, found) = (types.len(), elements.len());
                return Err(EncodeProblem::Length { expected, found }.into());
            }
            encode_elements(writer, elements, types.iter(), depth)?;
        }
        (Value::Mapping(elements), Type::Map(of)) => {
            writer.map(elements.len())?;
            for (key, element) in elements {
                writer.text(key)?;
                let encoded = encode(writer, element, of, depth + 1);
                encoded.map_err(|error| error.inside(Step::Key(key.clone())))?;
            }
        }
        (Value::Mapping(elements), Type::Object(attributes)) => {
            encode_object(writer, elements, attributes, depth)?;
        }
        (Value::Dynamic(typed), Type::Dynamic) if typed.ty == Type::Dynamic => {
            encode(writer, &typed.value, ty, depth + 1)?;
        }
        (Value::Dynamic(typed), Type::Dynamic) => {
            writer.array(2)?;
            writer.bytes(&typed.ty.to_json())?;
            encode(writer, &typed.value, &typed.ty, depth + 1)?;
        }
        (value, ty) => {
            let (expected, found) = (ty.kind(), value.kind());
            return Err(EncodeProblem::Kind { expected, found }.into());
        }
    }
    Ok(())
}

fn encode_elements<'t>(
    writer: &mut Writer,
    elements: &[Value],
    types: impl Iterator<Item = &'t Type>,
    depth: usize,
) -> Result<(), EncodeError> {
    writer.array(elements.len())?;
    for (index, (element, ty)) in elements.iter().zip(types).enumerate() {
        let encoded = encode(writer, element, ty, depth + 1);
        encoded.map_err(|error| error.inside(Step::Index(index as i64)))?;
    }
    Ok(())
}

fn encode_object(
    writer: &mut Writer,
    elements: &BTreeMap<String, Value>,
    attributes: &Attributes,
    depth: usize,
) -> Result<(), EncodeError> {
    if let Some(name) = elements.keys().find(|name| !attributes.types.contains_key(*name)) {
        return Err(EncodeProblem::Unexpected(name.clone()).into());
    }
    writer.map(attributes.types.len())?;
    for (name, ty) in &attributes.types {
        writer.text(name)?;
        let element = elements.get(name).unwrap_or(&Value::Null);
        let encoded = encode(writer, element, ty, depth + 1);
        encoded.map_err(|error| error.inside(Step::Attribute(name.clone())))?;
    }
    Ok(())
}
