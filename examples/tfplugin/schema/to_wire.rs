//! Schemas to the wire, in version 6 of the protocol.

use std::collections::BTreeMap;
use std::collections::HashMap;

use bytes::Bytes;

use super::Attribute;
use super::Block;
use super::Description;
use super::Function;
use super::Nested;
use super::NestedBlock;
use super::Nesting;
use super::Parameter;
use super::ProviderSchema;
use super::Schema;
use crate::tfplugin::wire::tfplugin as shared;
use crate::tfplugin::wire::tfplugin6 as wire;
use crate::tfplugin::wire::tfplugin6::schema::nested_block::NestingMode;

impl From<&ProviderSchema> for wire::GetSchemaResponse {
    fn from(from: &ProviderSchema) -> Self {
        fn all<'a, T: 'a, W: From<&'a T>>(from: &'a BTreeMap<String, T>) -> HashMap<String, W> {
            from.iter().map(|(name, schema)| (name.clone(), schema.into())).collect()
        }
        Self {
            provider: Some((&from.provider).into()),
            resource_schemas: all(&from.resources),
            data_source_schemas: all(&from.data_sources),
            diagnostics: from.diagnostics.iter().cloned().map(Into::into).collect(),
            provider_meta: from.provider_meta.as_ref().map(Into::into),
            server_capabilities: Some(shared::ServerCapabilities {
                plan_destroy: from.plan_destroy,
                get_provider_schema_optional: from.is_optional,
                move_resource_state: from.moves_state,
            }),
            functions: all(&from.functions),
            ephemeral_resource_schemas: all(&from.ephemeral_resources),
        }
    }
}

impl From<&Schema> for wire::Schema {
    fn from(from: &Schema) -> Self {
        Self { version: from.version, block: Some((&from.block).into()) }
    }
}

impl From<&Block> for wire::schema::Block {
    fn from(from: &Block) -> Self {
        Self {
            version: 0, // The schema has it.
            attributes: attributes_to_wire(&from.attributes),
            block_types: from.blocks.iter().map(block_to_wire).collect(),
            description: from.description.text.clone(),
            description_kind: from.description.kind(),
            deprecated: from.deprecated,
        }
    }
}

fn block_to_wire((name, from): (&String, &NestedBlock)) -> wire::schema::NestedBlock {
    let nesting = match from.nesting {
        Nesting::Single => NestingMode::Single,
        Nesting::List => NestingMode::List,
        Nesting::Set => NestingMode::Set,
        Nesting::Map => NestingMode::Map,
        Nesting::Group => NestingMode::Group,
    };
    wire::schema::NestedBlock {
        type_name: name.clone(),
        block: Some((&from.block).into()),
        nesting: nesting.into(),
        min_items: from.min_items,
        max_items: from.max_items,
    }
}

fn attributes_to_wire(from: &BTreeMap<String, Attribute>) -> Vec<wire::schema::Attribute> {
    from.iter().map(attribute_to_wire).collect()
}

fn attribute_to_wire((name, from): (&String, &Attribute)) -> wire::schema::Attribute {
    wire::schema::Attribute {
        name: name.clone(),
        r#type: if from.nested.is_none() { from.ty.to_json().into() } else { Bytes::new() },
        description: from.description.text.clone(),
        required: from.required,
        optional: from.optional,
        computed: from.computed,
        sensitive: from.sensitive,
        description_kind: from.description.kind(),
        deprecated: from.deprecated,
        nested_type: from.nested.as_ref().map(nested_to_wire),
        write_only: from.write_only,
    }
}

fn nested_to_wire(from: &Nested) -> wire::schema::Object {
    use wire::schema::object::NestingMode;
    let nesting = match from.nesting {
        // The wire has no groups here: they are objects, too.
        Nesting::Single | Nesting::Group => NestingMode::Single,
        Nesting::List => NestingMode::List,
        Nesting::Set => NestingMode::Set,
        Nesting::Map => NestingMode::Map,
    };
    let attributes = attributes_to_wire(&from.attributes);
    wire::schema::Object { attributes, nesting: nesting.into() }
}

impl Description {
    fn kind(&self) -> i32 {
        let kind = match self.is_markdown {
            true => shared::StringKind::Markdown,
            false => shared::StringKind::Plain,
        };
        kind.into()
    }
}

impl From<&Function> for shared::Function {
    fn from(from: &Function) -> Self {
        let returns = shared::function::Return { r#type: from.returns.to_json().into() };
        Self {
            parameters: from.parameters.iter().map(Into::into).collect(),
            variadic_parameter: from.variadic.as_ref().map(Into::into),
            r#return: Some(returns),
            summary: from.summary.clone(),
            description: from.description.text.clone(),
            description_kind: from.description.kind(),
            deprecation_message: from.deprecation.clone(),
        }
    }
}

impl From<&Parameter> for shared::function::Parameter {
    fn from(from: &Parameter) -> Self {
        Self {
            name: from.name.clone(),
            r#type: from.ty.to_json().into(),
            allow_null_value: from.allows_null,
            allow_unknown_values: from.allows_unknown,
            description: from.description.text.clone(),
            description_kind: from.description.kind(),
        }
    }
}
