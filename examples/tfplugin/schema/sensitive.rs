//! What of a value is not to be shown.

use std::collections::BTreeMap;

use super::Attribute;
use super::Block;
use super::Nesting;
use crate::tfplugin::cty::Path;
use crate::tfplugin::cty::Step;
use crate::tfplugin::cty::Value;

impl Block {
    /// Where a value has what is not to be shown: attributes that are sensitive or
    /// write-only, at every depth, also those that are null.
    ///
    /// What is inside a set is found by its element, as [`Step::Element`].
    #[must_use]
    pub fn sensitive_paths(&self, value: &Value) -> Vec<Path> {
        let mut found = Vec::new();
        in_block(self, value, &Path::default(), &mut found);
        found
    }
}

fn in_block(block: &Block, value: &Value, path: &Path, found: &mut Vec<Path>) {
    in_attributes(&block.attributes, value, path, found);
    for (name, nested) in &block.blocks {
        let path = path.join(Step::Attribute(name.clone()));
        for (path, value) in objects(nested.nesting, value.get(name), path) {
            in_block(&nested.block, value, &path, found);
        }
    }
}

fn in_attributes(
    attributes: &BTreeMap<String, Attribute>,
    value: &Value,
    path: &Path,
    found: &mut Vec<Path>,
) {
    // Null and unknown objects have nothing inside.
    if value.as_mapping().is_none() {
        return;
    }
    for (name, attribute) in attributes {
        let path = path.join(Step::Attribute(name.clone()));
        if attribute.sensitive || attribute.write_only {
            found.push(path);
        } else if let Some(nested) = &attribute.nested {
            for (path, value) in objects(nested.nesting, value.get(name), path) {
                in_attributes(&nested.attributes, value, &path, found);
            }
        }
    }
}

/// The objects in what collects them, and where each is.
fn objects(nesting: Nesting, value: &Value, path: Path) -> Vec<(Path, &Value)> {
    let elements = value.as_sequence().unwrap_or_default();
    match nesting {
        Nesting::Single | Nesting::Group => vec![(path, value)],
        Nesting::List => {
            let indexed = (0..).map(Step::Index).zip(elements);
            indexed.map(|(step, element)| (path.join(step), element)).collect()
        }
        Nesting::Set => {
            let step = |element: &Value| Step::Element(element.clone());
            elements.iter().map(|element| (path.join(step(element)), element)).collect()
        }
        Nesting::Map => {
            let elements = value.as_mapping().into_iter().flatten();
            let step = |key: &String| Step::Key(key.clone());
            elements.map(|(key, element)| (path.join(step(key)), element)).collect()
        }
    }
}
