//! JSON as it was written: an object in which no name stands twice. What is said of other
//! JSON never shows any of it, for it may be secret.

use std::cell::RefCell;
use std::fmt;

use serde::Deserializer;
use serde::de::DeserializeSeed;
use serde::de::Error as _;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;
use serde_json::Map;
use serde_json::Number;
use serde_json::Value as Json;
use serde_json::error::Category;

use crate::tfplugin::cty::json_kind;

/// A configuration as it was written.
pub type Document = Map<String, Json>;

/// Why JSON is no configuration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    #[error("{0}")]
    Json(Fault),
    #[error("has the name {name:?} twice in one object, at line {line}, column {column}")]
    Duplicate { name: String, line: usize, column: usize },
    #[error("is {0}, and not an object")]
    Kind(&'static str),
}

/// What is wrong with JSON, and where, but not what stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub category: Category,
    pub line: usize,
    pub column: usize,
}

impl From<&serde_json::Error> for Fault {
    fn from(error: &serde_json::Error) -> Self {
        Self { category: error.classify(), line: error.line(), column: error.column() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.category {
            Category::Io => "cannot be read",
            Category::Syntax => "is not written like JSON",
            Category::Data => "has not the shape that is expected",
            Category::Eof => "ends in the middle",
        };
        write!(f, "{what}, at line {}, column {}", self.line, self.column)
    }
}

/// Reads an object.
pub fn parse(text: &[u8]) -> Result<Document, DocumentError> {
    match json(text)? {
        Json::Object(document) => Ok(document),
        other => Err(DocumentError::Kind(json_kind(&other))),
    }
}

/// Reads any JSON.
pub fn json(text: &[u8]) -> Result<Json, DocumentError> {
    let twice = RefCell::new(None);
    let mut reader = serde_json::Deserializer::from_slice(text);
    let read = Once(&twice).deserialize(&mut reader);
    read.and_then(|json| reader.end().map(|()| json)).map_err(|error| {
        let fault = Fault::from(&error);
        match twice.take() {
            Some(name) => DocumentError::Duplicate { name, line: fault.line, column: fault.column },
            None => DocumentError::Json(fault),
        }
    })
}

/// Reads any JSON, as long as no object has a name twice: here is noted which one it was.
#[derive(Clone, Copy)]
struct Once<'a>(&'a RefCell<Option<String>>);

impl<'de> DeserializeSeed<'de> for Once<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        // JSON has finite ones only.
        Ok(Number::from_f64(value).into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Json, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element_seed(self)? {
            elements.push(element);
        }
        Ok(Json::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut object = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if object.contains_key(&name) {
                *self.0.borrow_mut() = Some(name);
                return Err(A::Error::custom("a name stands twice in one object"));
            }
            let value = map.next_value_seed(self)?;
            object.insert(name, value);
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_read_as_it_is_written() {
        let text = r#"{"a": [null, true, -1, 18446744073709551615, 0.5, "é\n"], "b": {"a": {}}}"#;
        let expected = json!({
            "a": [null, true, -1, 18_446_744_073_709_551_615_u64, 0.5, "é\n"],
            "b": {"a": {}},
        });
        assert_eq!(parse(text.as_bytes()).map(Json::Object), Ok(expected));
    }

    #[test]
    fn a_name_that_stands_twice_is_refused_at_any_depth_and_named() {
        for text in [r#"{"a": 1, "a": 1}"#, r#"{"b": [{"a": 1, "\u0061": 2}]}"#] {
            let error = parse(text.as_bytes()).unwrap_err();
            let is_named =
                matches!(&error, DocumentError::Duplicate { name, line: 1, .. } if name == "a");
            assert!(is_named, "{error}");
        }
        assert!(parse(br#"{"a": {"b": 1}, "b": {"b": 1}}"#).is_ok());
    }

    #[test]
    fn what_is_said_of_other_json_shows_none_of_it() {
        let texts = [
            r#""TOPSECRET""#,
            r#"{"a": "TOPSECRET" "b"}"#,
            r#"{"a": TOPSECRET}"#,
            r#"{"a": "TOPSECRET""#,
            r#"["TOPSECRET"]"#,
            r#"{"a": 1} "TOPSECRET""#,
        ];
        for text in texts {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(!error.to_string().contains("SECRET"), "{error}");
        }
        let error = parse(b"{\n  \"a\": TOPSECRET\n}").unwrap_err();
        assert_eq!(error.to_string(), "is not written like JSON, at line 2, column 8");
        assert_eq!(parse(b"[1]").unwrap_err().to_string(), "is an array, and not an object");
    }

    #[test]
    fn what_is_nested_without_end_is_an_error() {
        let error = parse(format!("{{\"a\": {}", "[".repeat(100_000)).as_bytes());
        assert!(matches!(error, Err(DocumentError::Json(_))), "{error:?}");
    }
}
