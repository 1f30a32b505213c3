//! Values.

use std::collections::BTreeMap;

use super::number::Number;
use super::path::Path;
use super::refinement::Refinement;
use super::types::Type;

/// A value, without its type: encoding and decoding are given the type.
///
/// Ordered as cty orders the elements of a set: what is known, what is unknown, what is null.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Bool(bool),
    Number(Number),
    String(String),
    /// A list, a set or a tuple. A set that was decoded, or made by [`set`](Self::set), is
    /// sorted and without duplicates.
    Sequence(Vec<Self>),
    /// A map or an object. An attribute that is absent is null.
    Mapping(BTreeMap<String, Self>),
    /// Where the schema leaves the type open: the value with its type.
    Dynamic(Box<Typed>),
    /// To be known later.
    Unknown(Refinement),
    Null,
}

/// A value with its type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Typed {
    pub ty: Type,
    pub value: Value,
}

impl Value {
    /// A value of which nothing is known.
    #[must_use]
    pub fn unknown() -> Self {
        Self::Unknown(Refinement::none())
    }

    /// A value for where the schema leaves the type open.
    #[must_use]
    pub fn dynamic(ty: Type, value: Self) -> Self {
        Self::Dynamic(Box::new(Typed { ty, value }))
    }

    /// A set of these: sorted, and without duplicates.
    #[must_use]
    pub fn set(_elements: impl IntoIterator<Item = Self>) -> Self {
        unimplemented!()
    }

    /// Whether it is null, also with a type.
    #[must_use]
    pub fn is_null(&self) -> bool {
        unimplemented!()
    }

    /// Whether it is unknown as a whole, also with a type.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        unimplemented!()
    }

    /// Whether nothing in it is unknown.
    #[must_use]
    pub fn is_wholly_known(&self) -> bool {
        unimplemented!()
    }

    /// The attribute of an object, or the element of a map; null if there is none.
    #[must_use]
    pub fn get(&self, _name: &str) -> &Self {
        unimplemented!()
    }

    /// What the path leads to, if there is such a thing.
    #[must_use]
    pub fn at(&self, _path: &Path) -> Option<&Self> {
        unimplemented!()
    }

    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        unimplemented!()
    }

    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        unimplemented!()
    }

    #[must_use]
    pub fn as_number(&self) -> Option<&Number> {
        unimplemented!()
    }

    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        unimplemented!()
    }

    #[must_use]
    pub fn as_sequence(&self) -> Option<&[Self]> {
        unimplemented!()
    }

    #[must_use]
    pub fn as_mapping(&self) -> Option<&BTreeMap<String, Self>> {
        unimplemented!()
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Number(value.into())
    }
}

impl From<Number> for Value {
    fn from(value: Number) -> Self {
        Self::Number(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

/// `None` is null.
impl<V: Into<Self>> From<Option<V>> for Value {
    fn from(value: Option<V>) -> Self {
        value.map_or(Self::Null, V::into)
    }
}

/// A list or a tuple.
impl FromIterator<Self> for Value {
    fn from_iter<T: IntoIterator<Item = Self>>(elements: T) -> Self {
        Self::Sequence(elements.into_iter().collect())
    }
}

/// An object or a map.
impl<N: Into<String>> FromIterator<(N, Self)> for Value {
    fn from_iter<T: IntoIterator<Item = (N, Self)>>(elements: T) -> Self {
        Self::Mapping(elements.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}
