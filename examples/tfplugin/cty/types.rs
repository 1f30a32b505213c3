//! What kinds of values there are.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;

use super::error::TypeError;

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
    /// What is no such type, or is nested deeper than JSON may be (128).
    pub fn from_json(_json: &[u8]) -> Result<Self, TypeError> {
        unimplemented!()
    }

    /// Writes it as [`from_json`](Self::from_json) reads it, byte for byte as go-cty does.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        unimplemented!()
    }

    /// Whether it is, or has somewhere inside, [`Type::Dynamic`].
    #[must_use]
    pub fn has_dynamic(&self) -> bool {
        unimplemented!()
    }

    /// The same type, where no attribute is optional.
    #[must_use]
    pub fn without_optional(&self) -> Self {
        unimplemented!()
    }
}

impl<N: Into<String>> FromIterator<(N, Type)> for Attributes {
    fn from_iter<T: IntoIterator<Item = (N, Type)>>(types: T) -> Self {
        let types = types.into_iter().map(|(name, ty)| (name.into(), ty)).collect();
        Self { types, optional: BTreeSet::new() }
    }
}

/// For people: `list of string`, `object { a: number, b?: bool }`.
impl fmt::Display for Type {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        unimplemented!()
    }
}
