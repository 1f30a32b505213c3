//! How resources are known to the outside, beside their states. Only providers of newer
//! kinds have it; this program keeps it with the state and hands it back.

use std::collections::BTreeMap;

use crate::tfplugin::cty::Attributes;
use crate::tfplugin::cty::Type;
use crate::tfplugin::cty::TypeError;
use crate::tfplugin::wire::tfplugin as wire;

/// What an identity looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentitySchema {
    pub version: i64,
    pub ty: Type,
}

impl TryFrom<wire::ResourceIdentitySchema> for IdentitySchema {
    type Error = TypeError;

    fn try_from(schema: wire::ResourceIdentitySchema) -> Result<Self, TypeError> {
        let attributes = schema.identity_attributes.into_iter();
        let types: BTreeMap<String, Type> = attributes
            .map(|attribute| Ok((attribute.name, Type::from_json(&attribute.r#type)?)))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            version: schema.version,
            ty: Type::Object(types.into_iter().collect::<Attributes>()),
        })
    }
}
