//! That values survive, that nothing else passes for one, and that go-cty agrees.

mod arbitrary;
mod go;
mod hostile;
mod json;
mod msgpack;
mod numbers;
mod paths;
mod types;

use super::*;

/// A type, from its JSON.
fn ty(json: &str) -> Type {
    Type::from_json(json.as_bytes()).unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn number(text: &str) -> Number {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn object<const N: usize>(attributes: [(&str, Value); N]) -> Value {
    attributes.into_iter().collect()
}

fn list<const N: usize>(elements: [Value; N]) -> Value {
    elements.into_iter().collect()
}
