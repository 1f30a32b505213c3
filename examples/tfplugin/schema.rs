//! What values look like, the same for both versions of the protocol.

use std::collections::BTreeMap;

use thiserror::Error;

use super::cty::DecodeError;
use super::cty::Path;
use super::cty::Type;
use super::cty::Value;
use super::diagnostic::Diagnostic;
use super::wire::tfplugin5;
use super::wire::tfplugin6;

/// All that a provider has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderSchema {
    /// Of the provider's own configuration.
    pub provider: Schema,
    /// Of what a module may tell the provider about itself.
    pub provider_meta: Option<Schema>,
    pub resources: BTreeMap<String, Schema>,
    pub data_sources: BTreeMap<String, Schema>,
    pub ephemeral_resources: BTreeMap<String, Schema>,
    pub functions: BTreeMap<String, Function>,
    /// The provider wants to be asked for a plan of a destruction, too.
    pub plan_destroy: bool,
    /// The host may use a schema that it has from another instance, and never ask this one.
    pub is_optional: bool,
    /// The provider can take over resources of another type.
    pub moves_state: bool,
    /// Errors among them mean that there is no schema: all else is empty then.
    pub diagnostics: Vec<Diagnostic>,
}

/// What values of a kind look like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// Of states that were kept: an older one is upgraded by the provider.
    pub version: i64,
    pub block: Block,
}

/// What may stand between two braces of a configuration. No block has the name of an
/// attribute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    pub attributes: BTreeMap<String, Attribute>,
    pub blocks: BTreeMap<String, NestedBlock>,
    pub description: Description,
    pub deprecated: bool,
}

/// One value, set by the configuration or by the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// If it has attributes of its own, what they imply.
    pub ty: Type,
    /// Attributes of its own. Version 6 only.
    pub nested: Option<Nested>,
    /// The configuration must set it.
    pub required: bool,
    /// The configuration may set it.
    pub optional: bool,
    /// The provider may set it, if the configuration does not.
    pub computed: bool,
    /// Not to be shown.
    pub sensitive: bool,
    /// Sent to the provider, and never kept.
    pub write_only: bool,
    pub deprecated: bool,
    pub description: Description,
}

/// The attributes of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nested {
    /// Never [`Nesting::Group`].
    pub nesting: Nesting,
    pub attributes: BTreeMap<String, Attribute>,
}

/// A block in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NestedBlock {
    pub nesting: Nesting,
    pub block: Block,
    /// 0: none need be there.
    pub min_items: i64,
    /// 0: any number.
    pub max_items: i64,
}

/// How often something may be there, and what its values are collected in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nesting {
    /// At most once: an object, or null.
    Single,
    List,
    Set,
    /// With a label each.
    Map,
    /// At most once, and never null: an absent block is like one with nothing in it.
    Group,
}

/// A text for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    pub text: String,
    pub is_markdown: bool,
}

/// A function: pure, and callable before the provider is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    pub parameters: Vec<Parameter>,
    /// Takes all arguments after the others.
    pub variadic: Option<Parameter>,
    pub returns: Type,
    pub summary: String,
    pub description: Description,
    /// Why not to use it any more; empty if nothing is wrong with it.
    pub deprecation: String,
}

/// A parameter of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    pub ty: Type,
    /// If not, the host refuses a call with null.
    pub allows_null: bool,
    /// If not, the host does not call while the argument is unknown.
    pub allows_unknown: bool,
    pub description: Description,
}

/// A provider's schema that makes no sense, or a schema that a version cannot express.
#[derive(Debug, Error)]
pub enum SchemaError {
    #[error("the provider sent no schema of its configuration")]
    NoProvider,
}

impl Attribute {
    /// An attribute of the type that may be neither set nor computed yet: the caller says.
    #[must_use]
    pub fn new(ty: Type) -> Self {
        Self {
            ty,
            nested: None,
            required: false,
            optional: false,
            computed: false,
            sensitive: false,
            write_only: false,
            deprecated: false,
            description: Description::default(),
        }
    }

    /// The same for one that has attributes of its own.
    #[must_use]
    pub fn with_nested(nested: Nested) -> Self {
        Self { nested: Some(nested.clone()), ..Self::new(nested.implied_type()) }
    }
}

impl Nested {
    /// The type of its values.
    #[must_use]
    pub fn implied_type(&self) -> Type {
        unimplemented!()
    }
}

impl NestedBlock {
    /// Any number of blocks, as far as the nesting allows.
    #[must_use]
    pub const fn new(nesting: Nesting, block: Block) -> Self {
        Self { nesting, block, min_items: 0, max_items: 0 }
    }

    /// The type of its values: [`Type::Dynamic`] for lists and maps of blocks in which the
    /// schema leaves a type open.
    #[must_use]
    pub fn implied_type(&self) -> Type {
        unimplemented!()
    }

    /// What a configuration is without such a block.
    #[must_use]
    pub fn empty(&self) -> Value {
        unimplemented!()
    }
}

impl Block {
    /// The type of its values: an object.
    #[must_use]
    pub fn implied_type(&self) -> Type {
        unimplemented!()
    }

    /// What a configuration without anything in it is: attributes are null, and absent
    /// blocks are empty collections, or null if there can be only one.
    #[must_use]
    pub fn empty(&self) -> Value {
        unimplemented!()
    }

    /// Reads a configuration as people write it, see [`Value::from_json`]. Blocks that are
    /// absent are what [`empty`](Self::empty) has in their place, at every depth.
    ///
    /// # Errors
    ///
    /// What does not fit the schema's types, where and why.
    pub fn from_json(&self, _json: &serde_json::Value) -> Result<Value, DecodeError> {
        unimplemented!()
    }

    /// Where a value has what is not to be shown: attributes that are sensitive or
    /// write-only, at every depth, also those that are null.
    #[must_use]
    pub fn sensitive_paths(&self, _value: &Value) -> Vec<Path> {
        unimplemented!()
    }
}

impl TryFrom<tfplugin5::GetSchemaResponse> for ProviderSchema {
    type Error = SchemaError;

    fn try_from(_response: tfplugin5::GetSchemaResponse) -> Result<Self, SchemaError> {
        unimplemented!()
    }
}

impl TryFrom<tfplugin6::GetSchemaResponse> for ProviderSchema {
    type Error = SchemaError;

    fn try_from(_response: tfplugin6::GetSchemaResponse) -> Result<Self, SchemaError> {
        unimplemented!()
    }
}

impl From<&ProviderSchema> for tfplugin6::GetSchemaResponse {
    fn from(_schema: &ProviderSchema) -> Self {
        unimplemented!()
    }
}

/// Fails if an attribute has attributes of its own, which version 5 cannot say.
impl TryFrom<&ProviderSchema> for tfplugin5::GetSchemaResponse {
    type Error = SchemaError;

    fn try_from(_schema: &ProviderSchema) -> Result<Self, SchemaError> {
        unimplemented!()
    }
}
