//! The types and the values that a schema implies.

use std::collections::BTreeMap;

use super::Attribute;
use super::Block;
use super::Nested;
use super::NestedBlock;
use super::Nesting;
use crate::tfplugin::cty::Type;
use crate::tfplugin::cty::Value;

impl Nested {
    /// The type of its values.
    #[must_use]
    pub fn implied_type(&self) -> Type {
        collected(self.nesting, Type::object(attribute_types(&self.attributes)))
    }
}

impl NestedBlock {
    /// The type of its values: [`Type::Dynamic`] for lists and maps of blocks in which the
    /// schema leaves a type open, as every block may then have a type of its own.
    #[must_use]
    pub fn implied_type(&self) -> Type {
        let of = self.block.implied_type();
        match self.nesting {
            Nesting::List | Nesting::Map if of.has_dynamic() => Type::Dynamic,
            nesting => collected(nesting, of),
        }
    }

    /// What a configuration is without such a block.
    #[must_use]
    pub fn empty(&self) -> Value {
        let is_open = self.implied_type() == Type::Dynamic;
        match self.nesting {
            Nesting::Single => Value::Null,
            Nesting::Group => self.block.empty(),
            Nesting::List if is_open => {
                Value::dynamic(Type::Tuple(Vec::new()), Value::Sequence(Vec::new()))
            }
            Nesting::Map if is_open => {
                Value::dynamic(Type::object::<&str>([]), Value::Mapping(BTreeMap::new()))
            }
            Nesting::List | Nesting::Set => Value::Sequence(Vec::new()),
            Nesting::Map => Value::Mapping(BTreeMap::new()),
        }
    }
}

impl Block {
    /// The type of its values: an object.
    #[must_use]
    pub fn implied_type(&self) -> Type {
        let blocks = self.blocks.iter().map(|(name, block)| (name, block.implied_type()));
        Type::object(attribute_types(&self.attributes).chain(blocks))
    }

    /// What a configuration without anything in it is: attributes are null, and absent
    /// blocks are empty collections, or null if there can be only one.
    #[must_use]
    pub fn empty(&self) -> Value {
        let attributes = self.attributes.keys().map(|name| (name, Value::Null));
        let blocks = self.blocks.iter().map(|(name, block)| (name, block.empty()));
        attributes.chain(blocks).collect()
    }
}

/// What may be left out by a configuration, a value has all the same.
fn attribute_types(
    attributes: &BTreeMap<String, Attribute>,
) -> impl Iterator<Item = (&String, Type)> {
    attributes.iter().map(|(name, attribute)| (name, attribute.ty.without_optional()))
}

fn collected(nesting: Nesting, of: Type) -> Type {
    match nesting {
        Nesting::Single | Nesting::Group => of,
        Nesting::List => Type::list(of),
        Nesting::Set => Type::set(of),
        Nesting::Map => Type::map(of),
    }
}
