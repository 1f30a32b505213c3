//! Objects as they would be if every provider kept to the rules about nested blocks.

use std::collections::BTreeMap;

use crate::tfplugin::cty::Value;
use crate::tfplugin::schema::Block;
use crate::tfplugin::schema::Nesting;

/// The object, with the blocks that it lacks empty instead of null. Providers from before the
/// rules say null of blocks that are not there.
#[must_use]
pub fn normalised(block: &Block, object: Value) -> Value {
    let Value::Mapping(mut object) = object else { return object };
    for (name, nested) in &block.blocks {
        let value = object.remove(name).unwrap_or(Value::Null);
        let normal = |element| normalised(&nested.block, element);
        let value = match (nested.nesting, value) {
            (Nesting::Single, Value::Null) => Value::Null,
            (_, Value::Null) => nested.empty(),
            (Nesting::Single | Nesting::Group, value) => normal(value),
            (Nesting::Set, Value::Sequence(elements)) => {
                Value::set(elements.into_iter().map(normal))
            }
            (_, Value::Sequence(elements)) => elements.into_iter().map(normal).collect(),
            (_, Value::Mapping(elements)) => {
                let elements = elements.into_iter().map(|(key, element)| (key, normal(element)));
                Value::Mapping(elements.collect::<BTreeMap<_, _>>())
            }
            (_, other) => other,
        };
        object.insert(name.clone(), value);
    }
    Value::Mapping(object)
}
