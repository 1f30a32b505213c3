//! Schemas from the wire, in version 6 of the protocol.
//!
//! The depth of what came over the wire has a limit: prost decodes no messages that are
//! nested deeper than 100 levels.

use std::collections::BTreeMap;
use std::collections::HashMap;

use super::Attribute;
use super::Block;
use super::Description;
use super::Function;
use super::Nested;
use super::NestedBlock;
use super::Nesting;
use super::Parameter;
use super::Place;
use super::ProviderSchema;
use super::Schema;
use super::SchemaError;
use super::SchemaProblem;
use crate::tfplugin::cty::Path;
use crate::tfplugin::cty::Step;
use crate::tfplugin::cty::Type;
use crate::tfplugin::diagnostic::Diagnostic;
use crate::tfplugin::diagnostic::has_errors;
use crate::tfplugin::wire::tfplugin as shared;
use crate::tfplugin::wire::tfplugin6 as wire;
use crate::tfplugin::wire::tfplugin6::schema::nested_block::NestingMode;

/// What is wrong, and where in the schema, from the inside out.
pub(super) struct Fault {
    path: Path,
    problem: SchemaProblem,
}

impl Fault {
    /// The same fault, seen from one step further out.
    pub(super) fn inside(mut self, name: &str) -> Self {
        self.path.0.insert(0, Step::Attribute(name.to_owned()));
        self
    }

    pub(super) fn of(self, place: Place) -> SchemaError {
        SchemaError { place, path: self.path, problem: self.problem }
    }
}

impl From<SchemaProblem> for Fault {
    fn from(problem: SchemaProblem) -> Self {
        Self { path: Path::default(), problem }
    }
}

impl TryFrom<wire::GetSchemaResponse> for ProviderSchema {
    type Error = SchemaError;

    fn try_from(response: wire::GetSchemaResponse) -> Result<Self, SchemaError> {
        let diagnostics: Vec<_> = response.diagnostics.into_iter().map(Diagnostic::from).collect();
        if has_errors(&diagnostics) {
            return Ok(Self { diagnostics, ..Self::default() });
        }
        let Some(provider) = response.provider else {
            return Err(Fault::from(SchemaProblem::Missing).of(Place::Provider));
        };
        let meta = response.provider_meta.map(|wire| read(wire, Place::ProviderMeta, schema));
        let capabilities = response.server_capabilities.unwrap_or_default();
        Ok(Self {
            provider: read(provider, Place::Provider, schema)?,
            provider_meta: meta.transpose()?,
            resources: read_all(response.resource_schemas, Place::Resource, schema)?,
            data_sources: read_all(response.data_source_schemas, Place::DataSource, schema)?,
            ephemeral_resources: read_all(
                response.ephemeral_resource_schemas,
                Place::EphemeralResource,
                schema,
            )?,
            functions: read_all(response.functions, Place::Function, function)?,
            plan_destroy: capabilities.plan_destroy,
            is_optional: capabilities.get_provider_schema_optional,
            moves_state: capabilities.move_resource_state,
            diagnostics,
        })
    }
}

impl TryFrom<shared::Function> for Function {
    type Error = SchemaError;

    /// For what comes without the other schemas; the name of the function is not known.
    fn try_from(wire: shared::Function) -> Result<Self, SchemaError> {
        read(wire, Place::Function(String::new()), function)
    }
}

fn read<W, T>(
    wire: W,
    place: Place,
    from: impl Fn(W) -> Result<T, Fault>,
) -> Result<T, SchemaError> {
    from(wire).map_err(|fault| fault.of(place))
}

fn read_all<W, T>(
    wire: HashMap<String, W>,
    place: impl Fn(String) -> Place,
    from: impl Fn(W) -> Result<T, Fault>,
) -> Result<BTreeMap<String, T>, SchemaError> {
    let read = wire.into_iter().map(|(name, wire)| {
        let schema = read(wire, place(name.clone()), &from)?;
        Ok((name, schema))
    });
    read.collect()
}

fn schema(wire: wire::Schema) -> Result<Schema, Fault> {
    // No block is one with nothing in it, as nothing is in it that protobuf would send.
    let block = block(wire.block.unwrap_or_default())?;
    Ok(Schema { version: wire.version, block })
}

fn block(wire: wire::schema::Block) -> Result<Block, Fault> {
    let description = description(wire.description_kind(), wire.description);
    let attributes = attributes(wire.attributes)?;
    let mut blocks = BTreeMap::new();
    for wire in wire.block_types {
        let name = wire.type_name.clone();
        if attributes.contains_key(&name) || blocks.contains_key(&name) {
            return Err(SchemaProblem::Duplicate(name).into());
        }
        let nested = nested_block(wire).map_err(|fault| fault.inside(&name))?;
        blocks.insert(name, nested);
    }
    Ok(Block { attributes, blocks, description, deprecated: wire.deprecated })
}

fn nested_block(wire: wire::schema::NestedBlock) -> Result<NestedBlock, Fault> {
    let nesting = match wire.nesting() {
        NestingMode::Single => Nesting::Single,
        NestingMode::List => Nesting::List,
        NestingMode::Set => Nesting::Set,
        NestingMode::Map => Nesting::Map,
        NestingMode::Group => Nesting::Group,
        NestingMode::Invalid => return Err(SchemaProblem::Nesting(wire.nesting).into()),
    };
    let block = block(wire.block.unwrap_or_default())?;
    Ok(NestedBlock { nesting, block, min_items: wire.min_items, max_items: wire.max_items })
}

fn attributes(wire: Vec<wire::schema::Attribute>) -> Result<BTreeMap<String, Attribute>, Fault> {
    let mut attributes = BTreeMap::new();
    for wire in wire {
        let name = wire.name.clone();
        if attributes.contains_key(&name) {
            return Err(SchemaProblem::Duplicate(name).into());
        }
        let attribute = attribute(wire).map_err(|fault| fault.inside(&name))?;
        attributes.insert(name, attribute);
    }
    Ok(attributes)
}

fn attribute(wire: wire::schema::Attribute) -> Result<Attribute, Fault> {
    let description = description(wire.description_kind(), wire.description);
    let attribute = match wire.nested_type {
        None => Attribute::new(ty(&wire.r#type)?),
        Some(_) if !wire.r#type.is_empty() => return Err(SchemaProblem::TwoTypes.into()),
        Some(nested) => Attribute::with_nested(self::nested(nested)?),
    };
    Ok(Attribute {
        required: wire.required,
        optional: wire.optional,
        computed: wire.computed,
        sensitive: wire.sensitive,
        write_only: wire.write_only,
        deprecated: wire.deprecated,
        description,
        ..attribute
    })
}

fn nested(wire: wire::schema::Object) -> Result<Nested, Fault> {
    use wire::schema::object::NestingMode;
    let nesting = match wire.nesting() {
        NestingMode::Single => Nesting::Single,
        NestingMode::List => Nesting::List,
        NestingMode::Set => Nesting::Set,
        NestingMode::Map => Nesting::Map,
        NestingMode::Invalid => return Err(SchemaProblem::Nesting(wire.nesting).into()),
    };
    Ok(Nested { nesting, attributes: attributes(wire.attributes)? })
}

fn ty(json: &[u8]) -> Result<Type, Fault> {
    if json.is_empty() {
        return Err(SchemaProblem::NoType.into());
    }
    Ok(Type::from_json(json).map_err(SchemaProblem::Type)?)
}

fn description(kind: shared::StringKind, text: String) -> Description {
    Description { text, is_markdown: kind == shared::StringKind::Markdown }
}

fn function(wire: shared::Function) -> Result<Function, Fault> {
    let description = description(wire.description_kind(), wire.description);
    let parameters = wire.parameters.into_iter().map(parameter).collect::<Result<_, _>>()?;
    let returns = wire.r#return.unwrap_or_default();
    Ok(Function {
        parameters,
        variadic: wire.variadic_parameter.map(parameter).transpose()?,
        returns: ty(&returns.r#type)?,
        summary: wire.summary,
        description,
        deprecation: wire.deprecation_message,
    })
}

fn parameter(wire: shared::function::Parameter) -> Result<Parameter, Fault> {
    let description = description(wire.description_kind(), wire.description);
    Ok(Parameter {
        ty: ty(&wire.r#type).map_err(|fault| fault.inside(&wire.name))?,
        name: wire.name,
        allows_null: wire.allow_null_value,
        allows_unknown: wire.allow_unknown_values,
        description,
    })
}
