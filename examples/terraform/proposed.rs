//! The proposed new state: what a resource would be if its provider had no opinion. The
//! configuration wins; what the provider may compute and the configuration leaves open stays
//! as it was.
//!
//! Pure: values in, a value out. The prior state is wholly known, the configuration need not
//! be.

use std::collections::BTreeMap;

use crate::tfplugin::cty::Value;
use crate::tfplugin::schema::Attribute;
use crate::tfplugin::schema::Block;
use crate::tfplugin::schema::Nesting;

type Attributes = BTreeMap<String, Attribute>;

/// What an object is made of: a block, or an attribute's own attributes.
#[derive(Clone, Copy)]
enum Shape<'a> {
    Block(&'a Block),
    Attributes(&'a Attributes),
}

/// The proposed new state of a resource. `prior` is null if it is to be created.
#[must_use]
pub fn proposed_new(block: &Block, prior: &Value, config: &Value) -> Value {
    if prior.is_null() && config.is_null() {
        return Value::Null;
    }
    element(Shape::Block(block), prior, config)
}

/// An object that takes the place of another one, or of none.
fn element(shape: Shape<'_>, prior: &Value, config: &Value) -> Value {
    match shape {
        Shape::Block(_) if config.is_null() || config.is_unknown() => prior.clone(),
        // Blocks that are absent are not null but empty.
        Shape::Block(block) if prior.is_null() => object(shape, &block.empty(), config),
        Shape::Attributes(_) if config.is_null() || config.is_unknown() => config.clone(),
        Shape::Block(_) | Shape::Attributes(_) => object(shape, prior, config),
    }
}

fn object(shape: Shape<'_>, prior: &Value, config: &Value) -> Value {
    let attributes = shape
        .attributes()
        .iter()
        .map(|(name, schema)| (name.clone(), attribute(schema, prior.get(name), config.get(name))));
    let mut object: BTreeMap<String, Value> = attributes.collect();
    if let Shape::Block(block) = shape {
        object.extend(block.blocks.iter().map(|(name, nested)| {
            let shape = Shape::Block(&nested.block);
            (name.clone(), collection(nested.nesting, shape, prior.get(name), config.get(name)))
        }));
    }
    Value::Mapping(object)
}

fn attribute(schema: &Attribute, prior: &Value, config: &Value) -> Value {
    if schema.computed && config.is_null() {
        // Something that only a configuration can have set shows that there was one, and that
        // it is gone now.
        let was_configured = schema.optional && has_what_only_configurations_set(schema, prior);
        return if was_configured { config.clone() } else { prior.clone() };
    }
    match &schema.nested {
        Some(nested) => {
            collection(nested.nesting, Shape::Attributes(&nested.attributes), prior, config)
        }
        None => config.clone(),
    }
}

fn collection(nesting: Nesting, shape: Shape<'_>, prior: &Value, config: &Value) -> Value {
    if config.is_unknown() {
        return config.clone();
    }
    match (nesting, config) {
        (Nesting::Single, Value::Null) => Value::Null,
        (Nesting::Single | Nesting::Group, _) => element(shape, prior, config),
        (Nesting::List, Value::Sequence(elements)) => {
            let prior = prior.as_sequence().unwrap_or_default();
            let elements = elements.iter().enumerate();
            elements
                .map(|(at, config)| match prior.get(at) {
                    Some(prior) => element(shape, prior, config),
                    None => config.clone(),
                })
                .collect()
        }
        (Nesting::Map, Value::Mapping(elements)) => {
            let elements = elements.iter().map(|(key, config)| {
                let prior = prior.as_mapping().and_then(|prior| prior.get(key));
                let new =
                    prior.map_or_else(|| config.clone(), |prior| element(shape, prior, config));
                (key.clone(), new)
            });
            elements.collect()
        }
        (Nesting::Set, Value::Sequence(elements)) => set(shape, prior, elements),
        // Null; or blocks whose elements have types of their own, which nothing computed is
        // carried over into.
        (Nesting::List | Nesting::Map | Nesting::Set, _) => config.clone(),
    }
}

/// Elements of a set have no names. One takes the place of the first that it may have been,
/// before the provider computed the rest of it.
fn set(shape: Shape<'_>, prior: &Value, elements: &[Value]) -> Value {
    let mut prior: Vec<&Value> = prior.as_sequence().unwrap_or_default().iter().collect();
    Value::set(elements.iter().map(|config| {
        match prior.iter().position(|prior| may_have_been(shape, prior, config)) {
            Some(at) => element(shape, prior.remove(at), config),
            None => element(shape, &Value::Null, config),
        }
    }))
}

/// Whether the object may have come from the configuration: it differs in what is computed
/// only, where the configuration has nothing.
fn may_have_been(shape: Shape<'_>, prior: &Value, config: &Value) -> bool {
    if prior == config {
        return true;
    }
    if config.as_mapping().is_none() || prior.as_mapping().is_none() {
        return false;
    }
    let attributes = shape.attributes().iter().all(|(name, schema)| {
        let (prior, config) = (prior.get(name), config.get(name));
        match &schema.nested {
            _ if prior == config => true,
            Some(nested) => {
                let shape = Shape::Attributes(&nested.attributes);
                may_have_been_all(nested.nesting, shape, prior, config)
            }
            None => schema.computed && config.is_null(),
        }
    });
    attributes
        && shape.blocks().all(|(name, nesting, shape)| {
            may_have_been_all(nesting, shape, prior.get(name), config.get(name))
        })
}

fn may_have_been_all(nesting: Nesting, shape: Shape<'_>, prior: &Value, config: &Value) -> bool {
    if prior == config || prior.is_null() {
        return true;
    }
    match (nesting, prior, config) {
        (Nesting::Single | Nesting::Group, ..) => may_have_been(shape, prior, config),
        (Nesting::List, Value::Sequence(prior), Value::Sequence(config)) => {
            prior.len() <= config.len()
                && prior
                    .iter()
                    .zip(config)
                    .all(|(prior, config)| may_have_been(shape, prior, config))
        }
        (Nesting::Map, Value::Mapping(prior), Value::Mapping(config)) => {
            let found = |(key, prior)| {
                config.get(key).is_some_and(|config| may_have_been(shape, prior, config))
            };
            prior.iter().all(found)
        }
        // What is in a set inside of a set cannot be told apart any more.
        _ => false,
    }
}

/// Whether somewhere in an attribute's own attributes there is a value that no provider
/// computes.
fn has_what_only_configurations_set(schema: &Attribute, value: &Value) -> bool {
    let Some(nested) = &schema.nested else { return false };
    let in_object = |object: &Value| {
        nested.attributes.iter().any(|(name, schema)| {
            let value = object.get(name);
            let is_configured = !value.is_null() && !schema.computed;
            is_configured || has_what_only_configurations_set(schema, value)
        })
    };
    match (nested.nesting, value) {
        (Nesting::Map, Value::Mapping(elements)) => elements.values().any(in_object),
        (_, Value::Sequence(elements)) => elements.iter().any(in_object),
        (_, value) => in_object(value),
    }
}

impl<'a> Shape<'a> {
    fn attributes(self) -> &'a Attributes {
        match self {
            Self::Block(block) => &block.attributes,
            Self::Attributes(attributes) => attributes,
        }
    }

    fn blocks(self) -> impl Iterator<Item = (&'a str, Nesting, Self)> {
        let blocks = match self {
            Self::Block(block) => Some(&block.blocks),
            Self::Attributes(_) => None,
        };
        blocks
            .into_iter()
            .flatten()
            .map(|(name, nested)| (name.as_str(), nested.nesting, Shape::Block(&nested.block)))
    }
}

#[cfg(test)]
mod tests;
