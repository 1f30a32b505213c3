//! Values in msgpack, as providers and their hosts send them.

use super::error::DecodeError;
use super::error::EncodeError;
use super::types::Type;
use super::value::Value;

impl Value {
    /// Decodes a value that must be of the type.
    ///
    /// # Errors
    ///
    /// Bytes that are not exactly one value of the type, where in it and why. Values that
    /// are nested deeper than [`DEPTH_LIMIT`](super::DEPTH_LIMIT) are refused.
    pub fn from_msgpack(_bytes: &[u8], _ty: &Type) -> Result<Self, DecodeError> {
        unimplemented!()
    }

    /// Encodes it, byte for byte as go-cty does. Attributes of an object that are absent are
    /// null.
    ///
    /// # Errors
    ///
    /// A value that is not of the type, where and why.
    pub fn to_msgpack(&self, _ty: &Type) -> Result<Vec<u8>, EncodeError> {
        unimplemented!()
    }
}
