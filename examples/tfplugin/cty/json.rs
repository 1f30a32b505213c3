//! Values in JSON: as people write a configuration, and as states are kept.
//!
//! The two differ where the type is [`Type::Dynamic`]: a configuration has the bare value,
//! and what it looks like is its type; a state has `{"value": …, "type": …}`.

use super::error::DecodeError;
use super::error::EncodeError;
use super::types::Type;
use super::value::Value;

impl Value {
    /// Reads a value as people write it in a configuration. Primitives are converted as
    /// Terraform does: `"5"` is a number where one is wanted, `5` a string, `"true"` a bool.
    /// An absent attribute is null.
    ///
    /// A number is taken from the text that `serde_json` has of it: what has more digits
    /// than an `f64` holds is to be written as a string.
    ///
    /// # Errors
    ///
    /// What does not fit the type, where and why.
    pub fn from_json(_json: &serde_json::Value, _ty: &Type) -> Result<Self, DecodeError> {
        unimplemented!()
    }

    /// Reads a value as [`to_json`](Self::to_json) writes it, and as Terraform keeps states.
    ///
    /// # Errors
    ///
    /// What does not fit the type, where and why.
    pub fn from_state_json(_json: &serde_json::Value, _ty: &Type) -> Result<Self, DecodeError> {
        unimplemented!()
    }

    /// Writes a value as Terraform keeps it in a state. A number whose digits JSON readers
    /// would round is written as a string, which all of cty's readers take.
    ///
    /// # Errors
    ///
    /// A value that is not of the type or has something unknown inside, where and why.
    pub fn to_json(&self, _ty: &Type) -> Result<serde_json::Value, EncodeError> {
        unimplemented!()
    }
}
