//! Values.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::number::Number;
use super::path::Path;
use super::path::Step;
use super::refinement::Refinement;
use super::text::normalized;
use super::types::Type;

/// A value, without its type: encoding and decoding are given the type.
///
/// Ordered as cty orders the elements of a set: what is known, what is unknown, what is null.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Bool(bool),
    Number(Number),
    /// In Unicode's normal form NFC, if it was decoded or converted from a Rust string.
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

    /// A set of these: sorted, and without duplicates. Elements that are not wholly known
    /// are all kept, as they may yet turn out to differ.
    #[must_use]
    pub fn set(elements: impl IntoIterator<Item = Self>) -> Self {
        Self::Sequence(distinct(elements.into_iter().collect()))
    }

    /// The value itself, where it comes with a type.
    fn bare(&self) -> &Self {
        let mut value = self;
        while let Self::Dynamic(typed) = value {
            value = &typed.value;
        }
        value
    }

    /// Whether it is null, also with a type.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.bare(), Self::Null)
    }

    /// Whether it is unknown as a whole, also with a type.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self.bare(), Self::Unknown(_))
    }

    /// Whether nothing in it is unknown.
    #[must_use]
    pub fn is_wholly_known(&self) -> bool {
        match self {
            Self::Bool(_) | Self::Number(_) | Self::String(_) | Self::Null => true,
            Self::Sequence(elements) => elements.iter().all(Self::is_wholly_known),
            Self::Mapping(elements) => elements.values().all(Self::is_wholly_known),
            Self::Dynamic(typed) => typed.value.is_wholly_known(),
            Self::Unknown(_) => false,
        }
    }

    /// The attribute of an object, or the element of a map; null if there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> &Self {
        const NULL: &Value = &Value::Null;
        self.as_mapping().and_then(|mapping| mapping.get(name)).unwrap_or(NULL)
    }

    /// What the path leads to, if there is such a thing.
    #[must_use]
    pub fn at(&self, path: &Path) -> Option<&Self> {
        path.0.iter().try_fold(self, |value, step| match (step, value.bare()) {
            (Step::Attribute(name) | Step::Key(name), Self::Mapping(elements)) => {
                elements.get(name)
            }
            (Step::Index(index), Self::Sequence(elements)) => {
                usize::try_from(*index).ok().and_then(|index| elements.get(index))
            }
            (Step::Element(wanted), Self::Sequence(elements)) => {
                elements.iter().find(|element| *element == wanted)
            }
            _ => None,
        })
    }

    /// The bool that it is, if it is one; so for those that follow.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self.bare() { Some(*value) } else { None }
    }

    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self.bare() { Some(text) } else { None }
    }

    #[must_use]
    pub fn as_number(&self) -> Option<&Number> {
        if let Self::Number(number) = self.bare() { Some(number) } else { None }
    }

    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number().and_then(Number::as_i64)
    }

    #[must_use]
    pub fn as_sequence(&self) -> Option<&[Self]> {
        if let Self::Sequence(elements) = self.bare() { Some(elements) } else { None }
    }

    #[must_use]
    pub fn as_mapping(&self) -> Option<&BTreeMap<String, Self>> {
        if let Self::Mapping(elements) = self.bare() { Some(elements) } else { None }
    }

    /// What it is, in two words.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "a bool",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Sequence(_) => "a sequence",
            Self::Mapping(_) => "a mapping",
            Self::Dynamic(_) => "a value with its type",
            Self::Unknown(_) => "unknown",
            Self::Null => "null",
        }
    }
}

/// The elements as a set has them.
pub(super) fn as_set(elements: &[Value]) -> Cow<'_, [Value]> {
    if elements.is_sorted_by(|one, two| one < two) {
        return Cow::Borrowed(elements);
    }
    Cow::Owned(distinct(elements.to_vec()))
}

fn distinct(mut elements: Vec<Value>) -> Vec<Value> {
    elements.sort();
    elements.dedup_by(|one, two| one == two && one.is_wholly_known());
    elements
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
        Self::String(normalized(value))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::from(value.as_str())
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
        let elements = elements.into_iter();
        Self::Mapping(elements.map(|(name, value)| (normalized(&name.into()), value)).collect())
    }
}
