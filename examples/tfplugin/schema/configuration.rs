//! A configuration in JSON, read by a schema.

use std::collections::BTreeMap;
use std::slice;

use serde_json::Value as Json;

use super::Block;
use super::NestedBlock;
use super::Nesting;
use crate::tfplugin::cty::DecodeError;
use crate::tfplugin::cty::DecodeProblem;
use crate::tfplugin::cty::Inside;
use crate::tfplugin::cty::Step;
use crate::tfplugin::cty::Type;
use crate::tfplugin::cty::Typed;
use crate::tfplugin::cty::Value;
use crate::tfplugin::cty::json_kind;

impl Block {
    /// Reads a configuration as people write it: attributes as [`Value::from_json`] does, and
    /// blocks as Terraform's JSON syntax has them, an object for one or an array of several;
    /// those with labels as an object by label. What is absent is as in [`empty`](Self::empty),
    /// at every depth.
    ///
    /// Whether all is there that is required is for the provider to say.
    ///
    /// # Errors
    ///
    /// What does not fit the schema's types, where and why.
    #[expect(clippy::wrong_self_convention, reason = "as `Value::from_json`, given a block")]
    pub fn from_json(&self, json: &Json) -> Result<Value, DecodeError> {
        let Json::Object(elements) = json else {
            return Err(not_an_object(json));
        };
        let known = |name| self.attributes.contains_key(name) || self.blocks.contains_key(name);
        if let Some(name) = elements.keys().find(|name| !known(name.as_str())) {
            return Err(DecodeProblem::Unexpected(name.clone()).into());
        }
        let mut found = BTreeMap::new();
        for (name, attribute) in &self.attributes {
            let json = elements.get(name).unwrap_or(&Json::Null);
            let read = Value::from_json(json, &attribute.ty.without_optional());
            found.insert(name.clone(), read.map_err(inside(name))?);
        }
        for (name, nested) in &self.blocks {
            let read = match elements.get(name) {
                None | Some(Json::Null) => nested.empty(),
                Some(json) => nested.read(json).map_err(inside(name))?,
            };
            found.insert(name.clone(), read);
        }
        Ok(Value::Mapping(found))
    }
}

impl NestedBlock {
    fn read(&self, json: &Json) -> Result<Value, DecodeError> {
        if self.nesting == Nesting::Map {
            return self.labelled(json);
        }
        let blocks = match json {
            Json::Array(blocks) => blocks.as_slice(),
            one => slice::from_ref(one),
        };
        match (self.nesting, blocks) {
            (Nesting::Single | Nesting::Group, []) => return Ok(self.empty()),
            (Nesting::Single | Nesting::Group, [one]) => return self.block.from_json(one),
            (Nesting::Single | Nesting::Group, several) => {
                let found = several.len();
                return Err(DecodeProblem::Length { expected: 1, found }.into());
            }
            (Nesting::List | Nesting::Set | Nesting::Map, _) => {}
        }
        let read = blocks.iter().enumerate().map(|(index, json)| {
            let block = self.block.from_json(json);
            block.map_err(|error| error.inside(Step::Index(index as i64)))
        });
        let read = read.collect::<Result<Vec<_>, _>>()?;
        if self.nesting == Nesting::Set {
            return Ok(Value::set(read));
        }
        if self.implied_type() != Type::Dynamic {
            return Ok(Value::Sequence(read));
        }
        let (types, values) = read.into_iter().map(|block| self.typed(block)).unzip();
        Ok(Value::dynamic(Type::Tuple(types), Value::Sequence(values)))
    }

    fn labelled(&self, json: &Json) -> Result<Value, DecodeError> {
        let Json::Object(blocks) = json else {
            return Err(not_an_object(json));
        };
        let read = blocks.iter().map(|(label, json)| {
            let block = self.block.from_json(json);
            let step = || Step::Key(label.clone());
            Ok((label.as_str(), block.map_err(|error| error.inside(step()))?))
        });
        let read = read.collect::<Result<Vec<_>, DecodeError>>()?;
        if self.implied_type() != Type::Dynamic {
            return Ok(read.into_iter().collect());
        }
        let typed = read.into_iter().map(|(label, block)| (label, self.typed(block)));
        let (types, values): (Vec<_>, Vec<_>) =
            typed.map(|(label, (ty, value))| ((label, ty), (label, value))).unzip();
        Ok(Value::dynamic(Type::object(types), values.into_iter().collect()))
    }

    /// A block with the type that it really has.
    fn typed(&self, block: Value) -> (Type, Value) {
        let Typed { ty, value } = block.into_typed(&self.block.implied_type());
        (ty, value)
    }
}

fn inside(name: &str) -> impl Fn(DecodeError) -> DecodeError {
    move |error| error.inside(Step::Attribute(name.to_owned()))
}

fn not_an_object(json: &Json) -> DecodeError {
    let found = json_kind(json);
    DecodeProblem::Kind { expected: "a block, an object", found }.into()
}
