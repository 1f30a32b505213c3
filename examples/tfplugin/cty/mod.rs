//! Types and values of cty, the type system of Terraform's language, in the two encodings
//! that providers speak.
//!
//! A [`Value`] has no type of its own: encoding and decoding are given the [`Type`], which
//! a schema implies. Where the schema leaves the type open ([`Type::Dynamic`]), the value
//! brings it ([`Value::Dynamic`]).

mod budget;
mod decimal;
mod dynamic;
mod error;
mod json;
mod msgpack;
mod number;
mod path;
mod reader;
mod refinement;
mod text;
mod types;
mod value;
mod writer;

#[cfg(test)]
mod tests;

pub use budget::ELEMENT_LIMIT;
pub use error::DecodeError;
pub use error::DecodeProblem;
pub use error::EncodeError;
pub use error::EncodeProblem;
pub use error::Inside;
pub use error::TypeError;
pub use json::json_kind;
pub use number::Number;
pub use number::ParseNumberError;
pub use path::Path;
pub use path::Step;
pub use refinement::Bound;
pub use refinement::Range;
pub use refinement::Refinement;
pub use text::is_plain_name;
pub use types::Attributes;
pub use types::Type;
pub use value::Typed;
pub use value::Value;

/// How deep values and types may be nested. Schemas in use stay below 20; every level costs
/// stack.
pub const DEPTH_LIMIT: usize = 128;
