//! What values look like, the same for both versions of the protocol.

mod configuration;
mod from_wire;
mod implied;
mod sensitive;
mod to_wire;
mod version5;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use thiserror::Error;

use super::cty::Path;
use super::cty::Type;
use super::cty::TypeError;
use super::diagnostic::Diagnostic;

#[cfg(test)]
mod tests;

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

/// A provider's schema that makes no sense, or that version 5 cannot express: the provider
/// is at fault.
#[derive(Debug)]
pub struct SchemaError {
    /// Of what it is the schema.
    pub place: Place,
    /// Where in it.
    pub path: Path,
    pub problem: SchemaProblem,
}

/// What of a provider has a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Provider,
    ProviderMeta,
    Resource(String),
    DataSource(String),
    EphemeralResource(String),
    Function(String),
}

/// What is wrong with a schema.
#[derive(Debug, Error)]
pub enum SchemaProblem {
    #[error("is missing")]
    Missing,
    #[error("has {0:?} twice")]
    Duplicate(String),
    #[error("has a type that is none")]
    Type(#[source] TypeError),
    #[error("has neither a type nor attributes of its own")]
    NoType,
    #[error("has both a type and attributes of its own")]
    TwoTypes,
    #[error("has the nesting {0}, which does not exist")]
    Nesting(i32),
    #[error("has attributes of its own, which version 5 of the protocol does not know")]
    NestedAttributes,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider => f.write_str("the provider's configuration"),
            Self::ProviderMeta => f.write_str("what modules tell the provider"),
            Self::Resource(name) => write!(f, "the resource {name}"),
            Self::DataSource(name) => write!(f, "the data source {name}"),
            Self::EphemeralResource(name) => write!(f, "the ephemeral resource {name}"),
            Self::Function(name) => write!(f, "the function {name}"),
        }
    }
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, path, problem } = self;
        write!(f, "the schema of {place} makes no sense: it{path} {problem}")
    }
}

/// Its cause is what lies behind the problem: the problem itself is in its message.
impl Error for SchemaError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.problem.source()
    }
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

impl NestedBlock {
    /// Any number of blocks, as far as the nesting allows.
    #[must_use]
    pub const fn new(nesting: Nesting, block: Block) -> Self {
        Self { nesting, block, min_items: 0, max_items: 0 }
    }
}
