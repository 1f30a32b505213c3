//! Schemas from and to the wire, in version 5 of the protocol: it is version 6 without
//! attributes that have attributes, and with another number for a field.

use std::collections::HashMap;

use super::Place;
use super::ProviderSchema;
use super::SchemaError;
use super::SchemaProblem;
use super::from_wire::Fault;
use crate::tfplugin::wire::tfplugin5 as five;
use crate::tfplugin::wire::tfplugin6 as six;

impl TryFrom<five::GetSchemaResponse> for ProviderSchema {
    type Error = SchemaError;

    fn try_from(response: five::GetSchemaResponse) -> Result<Self, SchemaError> {
        six::GetSchemaResponse::from(response).try_into()
    }
}

/// Fails if an attribute has attributes of its own, which version 5 cannot say.
impl TryFrom<&ProviderSchema> for five::GetSchemaResponse {
    type Error = SchemaError;

    fn try_from(schema: &ProviderSchema) -> Result<Self, SchemaError> {
        six::GetSchemaResponse::from(schema).try_into()
    }
}

impl From<five::GetSchemaResponse> for six::GetSchemaResponse {
    fn from(from: five::GetSchemaResponse) -> Self {
        fn all(from: HashMap<String, five::Schema>) -> HashMap<String, six::Schema> {
            from.into_iter().map(|(name, schema)| (name, schema.into())).collect()
        }
        Self {
            provider: from.provider.map(Into::into),
            resource_schemas: all(from.resource_schemas),
            data_source_schemas: all(from.data_source_schemas),
            diagnostics: from.diagnostics,
            provider_meta: from.provider_meta.map(Into::into),
            server_capabilities: from.server_capabilities,
            functions: from.functions,
            ephemeral_resource_schemas: all(from.ephemeral_resource_schemas),
        }
    }
}

impl From<five::Schema> for six::Schema {
    fn from(from: five::Schema) -> Self {
        Self { version: from.version, block: from.block.map(Into::into) }
    }
}

impl From<five::schema::Block> for six::schema::Block {
    fn from(from: five::schema::Block) -> Self {
        Self {
            version: from.version,
            attributes: from.attributes.into_iter().map(Into::into).collect(),
            block_types: from.block_types.into_iter().map(Into::into).collect(),
            description: from.description,
            description_kind: from.description_kind,
            deprecated: from.deprecated,
        }
    }
}

impl From<five::schema::Attribute> for six::schema::Attribute {
    fn from(from: five::schema::Attribute) -> Self {
        Self {
            name: from.name,
            r#type: from.r#type,
            description: from.description,
            required: from.required,
            optional: from.optional,
            computed: from.computed,
            sensitive: from.sensitive,
            description_kind: from.description_kind,
            deprecated: from.deprecated,
            nested_type: None,
            write_only: from.write_only,
        }
    }
}

impl From<five::schema::NestedBlock> for six::schema::NestedBlock {
    fn from(from: five::schema::NestedBlock) -> Self {
        Self {
            type_name: from.type_name,
            block: from.block.map(Into::into),
            nesting: from.nesting,
            min_items: from.min_items,
            max_items: from.max_items,
        }
    }
}

impl TryFrom<six::GetSchemaResponse> for five::GetSchemaResponse {
    type Error = SchemaError;

    fn try_from(from: six::GetSchemaResponse) -> Result<Self, SchemaError> {
        let one = |from: Option<six::Schema>, place| from.map(|from| schema(from, place));
        Ok(Self {
            provider: one(from.provider, Place::Provider).transpose()?,
            resource_schemas: schemas(from.resource_schemas, Place::Resource)?,
            data_source_schemas: schemas(from.data_source_schemas, Place::DataSource)?,
            diagnostics: from.diagnostics,
            provider_meta: one(from.provider_meta, Place::ProviderMeta).transpose()?,
            server_capabilities: from.server_capabilities,
            functions: from.functions,
            ephemeral_resource_schemas: schemas(
                from.ephemeral_resource_schemas,
                Place::EphemeralResource,
            )?,
        })
    }
}

fn schemas(
    from: HashMap<String, six::Schema>,
    place: fn(String) -> Place,
) -> Result<HashMap<String, five::Schema>, SchemaError> {
    let schemas = from.into_iter().map(|(name, from)| {
        let schema = schema(from, place(name.clone()))?;
        Ok((name, schema))
    });
    schemas.collect()
}

fn schema(from: six::Schema, place: Place) -> Result<five::Schema, SchemaError> {
    let block = from.block.map(block).transpose().map_err(|fault| fault.of(place))?;
    Ok(five::Schema { version: from.version, block })
}

fn block(from: six::schema::Block) -> Result<five::schema::Block, Fault> {
    Ok(five::schema::Block {
        version: from.version,
        attributes: from.attributes.into_iter().map(attribute).collect::<Result<_, _>>()?,
        block_types: from.block_types.into_iter().map(nested_block).collect::<Result<_, _>>()?,
        description: from.description,
        description_kind: from.description_kind,
        deprecated: from.deprecated,
    })
}

fn attribute(from: six::schema::Attribute) -> Result<five::schema::Attribute, Fault> {
    if from.nested_type.is_some() {
        return Err(Fault::from(SchemaProblem::NestedAttributes).inside(&from.name));
    }
    Ok(five::schema::Attribute {
        name: from.name,
        r#type: from.r#type,
        description: from.description,
        required: from.required,
        optional: from.optional,
        computed: from.computed,
        sensitive: from.sensitive,
        description_kind: from.description_kind,
        deprecated: from.deprecated,
        write_only: from.write_only,
    })
}

fn nested_block(from: six::schema::NestedBlock) -> Result<five::schema::NestedBlock, Fault> {
    let block = from.block.map(block).transpose();
    Ok(five::schema::NestedBlock {
        block: block.map_err(|fault| fault.inside(&from.type_name))?,
        type_name: from.type_name,
        nesting: from.nesting,
        min_items: from.min_items,
        max_items: from.max_items,
    })
}
