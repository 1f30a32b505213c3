//! Schemas and values for tests, in few words.

use crate::tfplugin::cty::Type;
use crate::tfplugin::cty::Value;
use crate::tfplugin::schema::Attribute;
use crate::tfplugin::schema::Block;
use crate::tfplugin::schema::Nested;
use crate::tfplugin::schema::NestedBlock;
use crate::tfplugin::schema::Nesting;

pub fn block<const A: usize, const B: usize>(
    attributes: [(&str, Attribute); A],
    blocks: [(&str, NestedBlock); B],
) -> Block {
    Block {
        attributes: attributes.map(|(name, attribute)| (name.to_owned(), attribute)).into(),
        blocks: blocks.map(|(name, block)| (name.to_owned(), block)).into(),
        ..Block::default()
    }
}

pub fn required(ty: Type) -> Attribute {
    Attribute { required: true, ..Attribute::new(ty) }
}

pub fn optional(ty: Type) -> Attribute {
    Attribute { optional: true, ..Attribute::new(ty) }
}

pub fn computed(ty: Type) -> Attribute {
    Attribute { computed: true, ..Attribute::new(ty) }
}

/// Optional, and computed if it is not configured.
pub fn either(ty: Type) -> Attribute {
    Attribute { optional: true, ..computed(ty) }
}

pub fn sensitive(attribute: Attribute) -> Attribute {
    Attribute { sensitive: true, ..attribute }
}

pub fn write_only(ty: Type) -> Attribute {
    Attribute { write_only: true, ..optional(ty) }
}

/// An optional attribute that has attributes.
pub fn nested<const A: usize>(nesting: Nesting, attributes: [(&str, Attribute); A]) -> Attribute {
    let attributes = attributes.map(|(name, attribute)| (name.to_owned(), attribute)).into();
    Attribute { optional: true, ..Attribute::with_nested(Nested { nesting, attributes }) }
}

pub fn blocks(nesting: Nesting, block: Block) -> NestedBlock {
    NestedBlock::new(nesting, block)
}

/// An object or a map.
pub fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    fields.into_iter().collect()
}

/// A list or a tuple.
pub fn list<const N: usize>(elements: [Value; N]) -> Value {
    elements.into_iter().collect()
}

pub fn text(value: &str) -> Value {
    value.into()
}
