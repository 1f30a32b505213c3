//! What kinds of values there are.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value as Json;

use super::DEPTH_LIMIT;
use super::ELEMENT_LIMIT;
use super::budget::elements_of_json;
use super::error::TypeError;
use super::text::Name;
use super::text::normalized;

/// A type of cty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Type {
    Bool,
    Number,
    String,
    /// Any: a value brings its own type.
    Dynamic,
    List(Box<Self>),
    Set(Box<Self>),
    Map(Box<Self>),
    Tuple(Vec<Self>),
    Object(Attributes),
}

/// The attributes of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Attributes {
    pub types: BTreeMap<String, Type>,
    /// The names of those that may be left out when something is converted to this type.
    /// Values have all of them: this matters for none of the encodings.
    pub optional: BTreeSet<String>,
}

impl Type {
    /// A list of these.
    #[must_use]
    pub fn list(of: Self) -> Self {
        Self::List(Box::new(of))
    }

    /// A set of these.
    #[must_use]
    pub fn set(of: Self) -> Self {
        Self::Set(Box::new(of))
    }

    /// A map from strings to these.
    #[must_use]
    pub fn map(of: Self) -> Self {
        Self::Map(Box::new(of))
    }

    /// An object without optional attributes.
    #[must_use]
    pub fn object<N: Into<String>>(attributes: impl IntoIterator<Item = (N, Self)>) -> Self {
        Self::Object(attributes.into_iter().collect())
    }

    /// Reads a type as schemas have it: `"string"`, `["list","string"]`,
    /// `["object",{"a":"bool"},["a"]]`.
    ///
    /// # Errors
    ///
    /// What is no such type, is nested too deep, or has too many parts.
    pub fn from_json(json: &[u8]) -> Result<Self, TypeError> {
        if elements_of_json(json) > ELEMENT_LIMIT {
            return Err(TypeError::TooMany);
        }
        let json = serde_json::from_slice(json).map_err(TypeError::Json)?;
        Self::from_value(&json, 0)
    }

    pub(super) fn from_value(json: &Json, depth: usize) -> Result<Self, TypeError> {
        if depth > DEPTH_LIMIT {
            return Err(TypeError::TooDeep);
        }
        let inner = |json| Self::from_value(json, depth + 1);
        match json {
            Json::String(name) => Self::primitive(name),
            Json::Array(parts) => match parts.as_slice() {
                [Json::String(kind), of] => match (kind.as_str(), of) {
                    ("list", of) => inner(of).map(Self::list),
                    ("set", of) => inner(of).map(Self::set),
                    ("map", of) => inner(of).map(Self::map),
                    ("tuple", Json::Array(elements)) => {
                        Ok(Self::Tuple(elements.iter().map(inner).collect::<Result<_, _>>()?))
                    }
                    ("object", attributes) => object(attributes, &[], depth),
                    (kind, _) => Err(TypeError::Unknown(kind.to_owned())),
                },
                [Json::String(kind), attributes, Json::Array(optional)] if kind == "object" => {
                    object(attributes, optional, depth)
                }
                _ => Err(TypeError::Shape),
            },
            _ => Err(TypeError::Shape),
        }
    }

    fn primitive(name: &str) -> Result<Self, TypeError> {
        match name {
            "bool" => Ok(Self::Bool),
            "number" => Ok(Self::Number),
            "string" => Ok(Self::String),
            "dynamic" => Ok(Self::Dynamic),
            unknown => Err(TypeError::Unknown(unknown.to_owned())),
        }
    }

    /// Writes it as [`from_json`](Self::from_json) reads it, byte for byte as go-cty does.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let json = self.to_value().to_string();
        // Go escapes these wherever they are, so that HTML may hold its JSON.
        let escaped = ['<', '>', '&', '\u{2028}', '\u{2029}'];
        if !json.contains(escaped) {
            return json.into_bytes();
        }
        let escape = |character| match escaped.contains(&character) {
            true => format!("\\u{:04x}", u32::from(character)),
            false => character.to_string(),
        };
        json.chars().map(escape).collect::<String>().into_bytes()
    }

    pub(super) fn to_value(&self) -> Json {
        let array = |kind: &str, of: Json| Json::Array(vec![kind.into(), of]);
        match self {
            Self::Bool => "bool".into(),
            Self::Number => "number".into(),
            Self::String => "string".into(),
            Self::Dynamic => "dynamic".into(),
            Self::List(of) => array("list", of.to_value()),
            Self::Set(of) => array("set", of.to_value()),
            Self::Map(of) => array("map", of.to_value()),
            Self::Tuple(elements) => array("tuple", elements.iter().map(Self::to_value).collect()),
            Self::Object(Attributes { types, optional }) => {
                let types = types.iter().map(|(name, ty)| (name.clone(), ty.to_value()));
                let mut parts = vec!["object".into(), types.collect()];
                if !optional.is_empty() {
                    parts.push(optional.iter().map(String::as_str).collect());
                }
                Json::Array(parts)
            }
        }
    }

    /// Whether it is, or has somewhere inside, [`Type::Dynamic`].
    #[must_use]
    pub fn has_dynamic(&self) -> bool {
        match self {
            Self::Bool | Self::Number | Self::String => false,
            Self::Dynamic => true,
            Self::List(of) | Self::Set(of) | Self::Map(of) => of.has_dynamic(),
            Self::Tuple(elements) => elements.iter().any(Self::has_dynamic),
            Self::Object(attributes) => attributes.types.values().any(Self::has_dynamic),
        }
    }

    /// The same type, where no attribute is optional.
    #[must_use]
    pub fn without_optional(&self) -> Self {
        match self {
            Self::Bool | Self::Number | Self::String | Self::Dynamic => self.clone(),
            Self::List(of) => Self::list(of.without_optional()),
            Self::Set(of) => Self::set(of.without_optional()),
            Self::Map(of) => Self::map(of.without_optional()),
            Self::Tuple(elements) => {
                Self::Tuple(elements.iter().map(Self::without_optional).collect())
            }
            Self::Object(attributes) => {
                let types = attributes.types.iter();
                Self::object(types.map(|(name, ty)| (name.clone(), ty.without_optional())))
            }
        }
    }

    /// What a value of the type is, in two words.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Bool => "a bool",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Dynamic => "a value with its type",
            Self::List(_) => "a list",
            Self::Set(_) => "a set",
            Self::Map(_) => "a map",
            Self::Tuple(_) => "a tuple",
            Self::Object(_) => "an object",
        }
    }
}

fn object(attributes: &Json, optional: &[Json], depth: usize) -> Result<Type, TypeError> {
    let Json::Object(attributes) = attributes else { return Err(TypeError::Shape) };
    let mut found = Attributes::default();
    for (name, json) in attributes {
        found.types.insert(normalized(name), Type::from_value(json, depth + 1)?);
    }
    for name in optional {
        let name = normalized(name.as_str().ok_or(TypeError::Shape)?);
        if !found.types.contains_key(&name) {
            return Err(TypeError::Optional(name));
        }
        found.optional.insert(name);
    }
    Ok(Type::Object(found))
}

impl<N: Into<String>> FromIterator<(N, Type)> for Attributes {
    fn from_iter<T: IntoIterator<Item = (N, Type)>>(types: T) -> Self {
        let types = types.into_iter().map(|(name, ty)| (name.into(), ty)).collect();
        Self { types, optional: BTreeSet::new() }
    }
}

/// For people: `list of string`, `object { a: number, b?: bool }`. Safe for terminals, whatever
/// the names of attributes are.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Number => f.write_str("number"),
            Self::String => f.write_str("string"),
            Self::Dynamic => f.write_str("any"),
            Self::List(of) => write!(f, "list of {of}"),
            Self::Set(of) => write!(f, "set of {of}"),
            Self::Map(of) => write!(f, "map of {of}"),
            Self::Tuple(elements) => {
                f.write_str("tuple [")?;
                for (at, element) in elements.iter().enumerate() {
                    write!(f, "{}{element}", if at == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Self::Object(Attributes { types, optional }) => {
                f.write_str("object {")?;
                for (at, (name, ty)) in types.iter().enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    let mark = if optional.contains(name) { "?" } else { "" };
                    write!(f, "{comma} {}{mark}: {ty}", Name(name))?;
                }
                f.write_str(" }")
            }
        }
    }
}
