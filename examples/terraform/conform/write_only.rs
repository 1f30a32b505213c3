//! Write-only attributes: a configuration has them, and nothing that is kept.

use std::collections::BTreeMap;

use crate::report::MOST_ENTRIES;
use crate::tfplugin::cty::Path;
use crate::tfplugin::cty::Step;
use crate::tfplugin::cty::Value;
use crate::tfplugin::schema::Attribute;
use crate::tfplugin::schema::Block;
use crate::tfplugin::schema::Nesting;

/// The object with null where it must be, and where it was not.
#[must_use]
pub fn without_write_only(block: &Block, mut object: Value) -> (Value, Vec<Path>) {
    let mut leaked = Vec::new();
    clear_block(block, &mut object, &Path::default(), &mut leaked);
    (object, leaked)
}

fn clear_block(block: &Block, object: &mut Value, path: &Path, leaked: &mut Vec<Path>) {
    clear_attributes(&block.attributes, object, path, leaked);
    let Value::Mapping(fields) = object else { return };
    for (name, nested) in &block.blocks {
        let path = path.join(Step::Attribute(name.clone()));
        if let Some(value) = fields.get_mut(name) {
            each(nested.nesting, value, &path, &mut |object, path| {
                clear_block(&nested.block, object, path, leaked);
            });
        }
    }
}

fn clear_attributes(
    attributes: &BTreeMap<String, Attribute>,
    object: &mut Value,
    path: &Path,
    leaked: &mut Vec<Path>,
) {
    let Value::Mapping(fields) = object else { return };
    for (name, attribute) in attributes {
        let Some(value) = fields.get_mut(name) else { continue };
        let path = path.join(Step::Attribute(name.clone()));
        if attribute.write_only {
            if !value.is_null() {
                // One more than a report takes, so that it says that there are more.
                if leaked.len() <= MOST_ENTRIES {
                    leaked.push(path);
                }
                *value = Value::Null;
            }
            continue;
        }
        if let Some(nested) = &attribute.nested {
            each(nested.nesting, value, &path, &mut |object, path| {
                clear_attributes(&nested.attributes, object, path, leaked);
            });
        }
    }
}

/// Every object of a collection.
fn each(
    nesting: Nesting,
    value: &mut Value,
    path: &Path,
    clear: &mut dyn FnMut(&mut Value, &Path),
) {
    match (nesting, value) {
        (_, Value::Dynamic(typed)) => each(nesting, &mut typed.value, path, clear),
        (Nesting::Single | Nesting::Group, object) => clear(object, path),
        (Nesting::Map, Value::Mapping(elements)) => {
            for (key, element) in elements {
                clear(element, &path.join(Step::Key(key.clone())));
            }
        }
        (_, set_or_list @ Value::Sequence(_)) => {
            let Value::Sequence(elements) = set_or_list else { return };
            for (index, element) in (0..).zip(elements.iter_mut()) {
                clear(element, &path.join(Step::Index(index)));
            }
            if nesting == Nesting::Set {
                *set_or_list = Value::set(std::mem::take(elements));
            }
        }
        _ => {}
    }
}
