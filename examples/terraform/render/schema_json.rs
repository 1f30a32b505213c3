//! Schemas for programs: what `terraform providers schema -json` has of a provider.

use std::collections::BTreeMap;

use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;

use crate::tfplugin::cty::Type;
use crate::tfplugin::schema::Attribute;
use crate::tfplugin::schema::Block;
use crate::tfplugin::schema::Description;
use crate::tfplugin::schema::Function;
use crate::tfplugin::schema::NestedBlock;
use crate::tfplugin::schema::Nesting;
use crate::tfplugin::schema::Parameter;
use crate::tfplugin::schema::ProviderSchema;
use crate::tfplugin::schema::Schema;

/// All that a provider has. What it has none of is left out.
pub fn provider(schema: &ProviderSchema) -> Json {
    let all = |schemas: &BTreeMap<String, Schema>| -> Map<String, Json> {
        schemas.iter().map(|(name, schema)| (name.clone(), object(schema))).collect()
    };
    let functions = schema.functions.iter();
    let functions = functions.map(|(name, function)| (name.clone(), self::function(function)));
    let kinds = [
        ("resource_schemas", all(&schema.resources)),
        ("data_source_schemas", all(&schema.data_sources)),
        ("ephemeral_resource_schemas", all(&schema.ephemeral_resources)),
        ("functions", functions.collect()),
    ];
    let mut fields = Map::from_iter([("provider".to_owned(), object(&schema.provider))]);
    for (kind, schemas) in kinds.into_iter().filter(|(_, schemas)| !schemas.is_empty()) {
        fields.insert(kind.to_owned(), Json::Object(schemas));
    }
    Json::Object(fields)
}

pub fn object(schema: &Schema) -> Json {
    json!({"version": schema.version, "block": block(&schema.block)})
}

fn block(block: &Block) -> Json {
    let mut fields = Map::new();
    if !block.attributes.is_empty() {
        fields.insert("attributes".to_owned(), attributes(&block.attributes));
    }
    if !block.blocks.is_empty() {
        let blocks = block.blocks.iter().map(|(name, nested)| (name.clone(), nested_block(nested)));
        fields.insert("block_types".to_owned(), blocks.collect());
    }
    describe(&block.description, &mut fields);
    flag("deprecated", block.deprecated, &mut fields);
    Json::Object(fields)
}

fn attributes<'a>(attributes: impl IntoIterator<Item = (&'a String, &'a Attribute)>) -> Json {
    let attributes = attributes.into_iter();
    attributes.map(|(name, attribute)| (name.clone(), self::attribute(attribute))).collect()
}

fn attribute(attribute: &Attribute) -> Json {
    let mut fields = Map::new();
    match &attribute.nested {
        Some(nested) => {
            let inner = json!({
                "attributes": attributes(&nested.attributes),
                "nesting_mode": nesting(nested.nesting),
            });
            fields.insert("nested_type".to_owned(), inner);
        }
        None => {
            fields.insert("type".to_owned(), ty(&attribute.ty));
        }
    }
    describe(&attribute.description, &mut fields);
    flag("required", attribute.required, &mut fields);
    flag("optional", attribute.optional, &mut fields);
    flag("computed", attribute.computed, &mut fields);
    flag("sensitive", attribute.sensitive, &mut fields);
    flag("write_only", attribute.write_only, &mut fields);
    flag("deprecated", attribute.deprecated, &mut fields);
    Json::Object(fields)
}

fn nested_block(nested: &NestedBlock) -> Json {
    let mut fields = Map::new();
    fields.insert("nesting_mode".to_owned(), nesting(nested.nesting).into());
    fields.insert("block".to_owned(), block(&nested.block));
    for (name, count) in [("min_items", nested.min_items), ("max_items", nested.max_items)] {
        if count != 0 {
            fields.insert(name.to_owned(), count.into());
        }
    }
    Json::Object(fields)
}

/// A function, as `terraform metadata functions -json` has it.
pub fn function(function: &Function) -> Json {
    let mut fields = Map::new();
    let description = &function.description.text;
    let texts = [
        ("description", description),
        ("summary", &function.summary),
        ("deprecation_message", &function.deprecation),
    ];
    for (name, text) in texts {
        if !text.is_empty() {
            fields.insert(name.to_owned(), text.as_str().into());
        }
    }
    fields.insert("return_type".to_owned(), ty(&function.returns));
    let parameters: Json = function.parameters.iter().map(parameter).collect();
    fields.insert("parameters".to_owned(), parameters);
    if let Some(variadic) = &function.variadic {
        fields.insert("variadic_parameter".to_owned(), parameter(variadic));
    }
    Json::Object(fields)
}

fn parameter(parameter: &Parameter) -> Json {
    let mut fields = Map::new();
    fields.insert("name".to_owned(), parameter.name.as_str().into());
    if !parameter.description.text.is_empty() {
        fields.insert("description".to_owned(), parameter.description.text.as_str().into());
    }
    flag("is_nullable", parameter.allows_null, &mut fields);
    fields.insert("type".to_owned(), ty(&parameter.ty));
    Json::Object(fields)
}

fn ty(ty: &Type) -> Json {
    // It was made from a type, and is JSON.
    serde_json::from_slice(&ty.to_json()).unwrap_or(Json::Null)
}

fn nesting(nesting: Nesting) -> &'static str {
    match nesting {
        Nesting::Single => "single",
        Nesting::List => "list",
        Nesting::Set => "set",
        Nesting::Map => "map",
        Nesting::Group => "group",
    }
}

fn describe(description: &Description, fields: &mut Map<String, Json>) {
    if !description.text.is_empty() {
        fields.insert("description".to_owned(), description.text.as_str().into());
    }
    let kind = if description.is_markdown { "markdown" } else { "plain" };
    fields.insert("description_kind".to_owned(), kind.into());
}

fn flag(name: &str, is_set: bool, fields: &mut Map<String, Json>) {
    if is_set {
        fields.insert(name.to_owned(), true.into());
    }
}
