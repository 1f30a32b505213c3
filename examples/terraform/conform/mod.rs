//! Whether what a provider answers keeps to its schema's word: plans that the configuration
//! allows, results that the plan allows.
//!
//! Providers that were written before there were these rules (`legacy_type_system`) are
//! forgiven. What breaks the rules is the provider's fault, so what is said is for its
//! authors.

mod applied;
mod normal;
mod places;
mod planned;
mod sets;
mod write_only;

pub use applied::broken_by_result;
pub use normal::normalised;
pub use places::infinite_paths;
pub use places::unknown_paths;
pub use places::without_infinities;
pub use places::without_unknowns;
pub use planned::broken_by_plan;
pub use write_only::without_write_only;

use std::fmt;

use crate::tfplugin::cty::Path;
use crate::tfplugin::cty::Value;
use crate::tfplugin::schema::Attribute;

/// A rule that is broken, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub path: Path,
    pub what: String,
}

impl Problem {
    fn new(path: &Path, what: impl Into<String>) -> Self {
        Self { path: path.clone(), what: what.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.0.is_empty() {
            return write!(f, "the whole object {}", self.what);
        }
        write!(f, "{} {}", self.path, self.what)
    }
}

/// How much of a value a message shows, in bytes.
const LONGEST_SHOWN: usize = 120;

/// A value, for a message.
fn shown(value: &Value) -> String {
    let mut text = String::new();
    show(value, &mut text);
    if text.len() > LONGEST_SHOWN {
        text.truncate(text.floor_char_boundary(LONGEST_SHOWN));
        text.push('…');
    }
    text
}

fn show(value: &Value, text: &mut String) {
    if text.len() > LONGEST_SHOWN {
        return;
    }
    match value {
        Value::Null => text.push_str("null"),
        Value::Unknown(_) => text.push_str("(unknown)"),
        Value::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => text.push_str(&number.to_string()),
        Value::String(value) => text.push_str(&format!("{value:?}")),
        Value::Dynamic(typed) => show(&typed.value, text),
        Value::Sequence(elements) => {
            text.push('[');
            for (at, element) in elements.iter().enumerate() {
                text.push_str(if at == 0 { "" } else { ", " });
                show(element, text);
            }
            text.push(']');
        }
        Value::Mapping(elements) => {
            text.push('{');
            for (at, (key, element)) in elements.iter().enumerate() {
                text.push_str(if at == 0 { "" } else { ", " });
                text.push_str(&format!("{key:?}: "));
                show(element, text);
            }
            text.push('}');
        }
    }
}

/// Whether two values are equal, whatever is known of what is unknown in them.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Unknown(_), Value::Unknown(_)) => true,
        (Value::Sequence(a), Value::Sequence(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Mapping(a), Value::Mapping(b)) => {
            a.keys().eq(b.keys()) && a.values().zip(b.values()).all(|(a, b)| same(a, b))
        }
        (Value::Dynamic(a), Value::Dynamic(b)) => a.ty == b.ty && same(&a.value, &b.value),
        (a, b) => a == b,
    }
}

/// Blocks in which the schema leaves a type open come with their type.
fn bare(value: &Value) -> &Value {
    match value {
        Value::Dynamic(typed) => &typed.value,
        other => other,
    }
}

/// Whether something in an attribute is not to be shown.
fn is_sensitive(attribute: &Attribute) -> bool {
    let nested = attribute.nested.iter().flat_map(|nested| nested.attributes.values());
    attribute.sensitive || nested.into_iter().any(is_sensitive)
}

#[cfg(test)]
mod tests;
