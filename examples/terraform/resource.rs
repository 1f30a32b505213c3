//! A resource or a data source: what it is called, what it looks like, what is there of it.

use crate::options::ResourceName;
use crate::provider::IdentitySchema;
use crate::tfplugin::cty::Type;
use crate::tfplugin::cty::Value;
use crate::tfplugin::schema::Block;
use crate::tfplugin::schema::Schema;
use crate::tfplugin::wire::tfplugin as wire;

/// One kind of thing that a provider has, under the name that the user gave it.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Such as `random_string`.
    pub kind: String,
    /// What messages call it: `random_string.example`, `data.http.example`.
    pub address: String,
    pub name: String,
    pub schema: Schema,
    /// The type of its values.
    pub ty: Type,
    pub identity: Option<IdentitySchema>,
    /// What the configuration tells the provider about itself: nothing, if it can be told.
    pub meta: Option<wire::DynamicValue>,
}

/// What is there of a resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Wholly known and not null.
    pub value: Value,
    /// The provider's own, opaque.
    pub private: Vec<u8>,
    pub identity: Option<Value>,
    /// It was made, but not to the end: it is to be replaced.
    pub is_tainted: bool,
}

impl Resource {
    pub fn new(
        name: &ResourceName,
        address: String,
        schema: Schema,
        identity: Option<IdentitySchema>,
        has_meta: bool,
    ) -> Self {
        let ty = schema.block.implied_type();
        // Null, in msgpack.
        let null = wire::DynamicValue { msgpack: vec![0xc0].into(), ..Default::default() };
        let ResourceName { kind, name } = name.clone();
        Self { kind, address, name, schema, ty, identity, meta: has_meta.then_some(null) }
    }

    pub fn block(&self) -> &Block {
        &self.schema.block
    }
}
