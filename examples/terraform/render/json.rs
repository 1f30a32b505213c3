//! Values for programs: without what is not to be shown, and with where that is and what is
//! unknown.

use std::collections::BTreeMap;

use serde_json::Map;
use serde_json::Value as Json;

use crate::tfplugin::cty::Value;
use crate::tfplugin::schema::Attribute;
use crate::tfplugin::schema::Block;
use crate::tfplugin::schema::Nesting;

/// A value in JSON. Null stands in it for what is unknown and for what is not to be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    pub value: Json,
    /// `true` where the value is unknown; what is known is left out.
    pub unknown: Json,
    /// `true` where the value is not to be shown; what may be is left out.
    pub sensitive: Json,
}

/// The object of a block.
pub fn object(block: &Block, value: &Value) -> Shown {
    Builder::of_block(block).object(value)
}

/// A value without a schema.
pub fn plain(value: &Value) -> Json {
    match value {
        Value::Null | Value::Unknown(_) => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Number(number) => {
            let text = number.to_string();
            // As a string, if a reader would round it.
            let written = |exact: &Json| exact.to_string();
            match serde_json::from_str(&text) {
                Ok(exact) if written(&exact) == text => exact,
                _ => Json::String(text),
            }
        }
        Value::String(text) => text.as_str().into(),
        Value::Sequence(elements) => elements.iter().map(plain).collect(),
        Value::Mapping(elements) => {
            elements.iter().map(|(key, value)| (key.clone(), plain(value))).collect()
        }
        Value::Dynamic(typed) => plain(&typed.value),
    }
}

/// Where a value without a schema is unknown.
fn unknown(value: &Value) -> Json {
    match value {
        Value::Unknown(_) => Json::Bool(true),
        Value::Sequence(elements) => pruned_list(elements.iter().map(unknown).collect()),
        Value::Mapping(elements) => {
            pruned(elements.iter().map(|(key, value)| (key.clone(), unknown(value))))
        }
        Value::Dynamic(typed) => unknown(&typed.value),
        _ => Json::Bool(false),
    }
}

/// An object of marks without those that are not set.
fn pruned(marks: impl IntoIterator<Item = (String, Json)>) -> Json {
    let set: Map<String, Json> = marks.into_iter().filter(|(_, mark)| is_set(mark)).collect();
    if set.is_empty() { Json::Bool(false) } else { Json::Object(set) }
}

/// A list of marks, whole so that indices are right.
fn pruned_list(marks: Vec<Json>) -> Json {
    if marks.iter().any(is_set) { Json::Array(marks) } else { Json::Bool(false) }
}

fn is_set(mark: &Json) -> bool {
    *mark != Json::Bool(false)
}

/// What has attributes and maybe blocks.
#[derive(Clone, Copy)]
struct Builder<'a> {
    attributes: &'a BTreeMap<String, Attribute>,
    block: Option<&'a Block>,
}

impl<'a> Builder<'a> {
    fn of_block(block: &'a Block) -> Self {
        Self { attributes: &block.attributes, block: Some(block) }
    }

    fn object(self, value: &Value) -> Shown {
        let Value::Mapping(fields) = value else { return without_schema(value) };
        joined(fields.iter().map(|(name, value)| (name.clone(), self.field(name, value))))
    }

    /// Objects, as many as the nesting has.
    fn collection(self, nesting: Nesting, value: &Value) -> Shown {
        match (nesting, value) {
            (_, Value::Dynamic(typed)) => self.collection(nesting, &typed.value),
            (Nesting::Single | Nesting::Group, object) => self.object(object),
            (Nesting::Map, Value::Mapping(elements)) => {
                joined(elements.iter().map(|(key, value)| (key.clone(), self.object(value))))
            }
            (_, Value::Sequence(elements)) => {
                let elements: Vec<Shown> = elements.iter().map(|one| self.object(one)).collect();
                Shown {
                    value: elements.iter().map(|one| one.value.clone()).collect(),
                    unknown: pruned_list(elements.iter().map(|one| one.unknown.clone()).collect()),
                    sensitive: pruned_list(elements.into_iter().map(|one| one.sensitive).collect()),
                }
            }
            (_, other) => without_schema(other),
        }
    }

    fn field(self, name: &str, value: &Value) -> Shown {
        if let Some(nested) = self.block.and_then(|block| block.blocks.get(name)) {
            return Self::of_block(&nested.block).collection(nested.nesting, value);
        }
        match self.attributes.get(name) {
            Some(attribute) if attribute.sensitive || attribute.write_only => {
                Shown { value: Json::Null, unknown: unknown(value), sensitive: true.into() }
            }
            Some(Attribute { nested: Some(nested), .. }) => {
                let builder = Self { attributes: &nested.attributes, block: None };
                builder.collection(nested.nesting, value)
            }
            _ => without_schema(value),
        }
    }
}

fn without_schema(value: &Value) -> Shown {
    Shown { value: plain(value), unknown: unknown(value), sensitive: false.into() }
}

fn joined(fields: impl Iterator<Item = (String, Shown)>) -> Shown {
    let fields: Vec<(String, Shown)> = fields.collect();
    let unknown = pruned(fields.iter().map(|(name, shown)| (name.clone(), shown.unknown.clone())));
    let sensitive =
        pruned(fields.iter().map(|(name, shown)| (name.clone(), shown.sensitive.clone())));
    let value = fields.into_iter().map(|(name, shown)| (name, shown.value)).collect();
    Shown { value, unknown, sensitive }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::block;
    use crate::testing::blocks;
    use crate::testing::list;
    use crate::testing::nested;
    use crate::testing::object as fields;
    use crate::testing::optional;
    use crate::testing::sensitive;
    use crate::testing::text;
    use crate::tfplugin::cty::Type;

    #[test]
    fn what_is_sensitive_or_unknown_is_null_and_marked() {
        let secret = || sensitive(optional(Type::String));
        let inner = [("name", optional(Type::String)), ("secret", secret())];
        let schema = block(
            [
                ("secret", secret()),
                ("open", optional(Type::list(Type::String))),
                ("keyed", nested(Nesting::Map, inner.clone())),
            ],
            [("disk", blocks(Nesting::List, block(inner, [])))],
        );
        let one = |name: Value| fields([("name", name), ("secret", text("hidden"))]);
        let value = fields([
            ("secret", text("hidden")),
            ("open", list([text("a"), Value::unknown()])),
            ("keyed", fields([("name", one(text("b")))])),
            ("disk", list([one(Value::unknown())])),
        ]);
        let shown = object(&schema, &value);
        let inner = |name: Json| json!({"name": name, "secret": null});
        let expected = json!({
            "secret": null,
            "open": ["a", null],
            "keyed": {"name": inner("b".into())},
            "disk": [inner(Json::Null)],
        });
        assert_eq!(shown.value, expected);
        assert_eq!(shown.unknown, json!({"open": [false, true], "disk": [{"name": true}]}));
        let secret = json!({"secret": true});
        let expected = json!({"secret": true, "keyed": {"name": &secret}, "disk": [&secret]});
        assert_eq!(shown.sensitive, expected);
        let all = format!("{shown:?}");
        assert!(!all.contains("hidden"), "{all}");
    }

    #[test]
    fn nothing_is_marked_where_there_is_nothing() {
        let shown = object(&block([("a", optional(Type::String))], []), &Value::Null);
        assert_eq!(
            shown,
            Shown { value: Json::Null, unknown: false.into(), sensitive: false.into() }
        );
    }

    #[test]
    fn numbers_are_exact_or_text() {
        let number = |text: &str| plain(&Value::Number(text.parse().unwrap()));
        assert_eq!(number("18446744073709551615"), json!(18_446_744_073_709_551_615_u64));
        assert_eq!(number("0.5"), json!(0.5));
        let large = "123456789012345678901234567890";
        assert_eq!(number(large), json!(large));
    }
}
