//! Whether go-cty agrees: what it encodes is read and encoded again to the same bytes, and
//! what is encoded here, it reads and encodes again to the same bytes.
//!
//! Where there is no Go these tests are skipped and say so; with `TRUNKLINE_REQUIRE_PEERS=1`
//! they fail.

use std::io::Write;
use std::path::Path as FilePath;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use proptest::strategy::Strategy;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value as Json;
use serde_json::json;

use super::arbitrary::any_typed;
use super::*;

#[allow(dead_code, reason = "the tests of the library use the rest")]
#[path = "../../../../tests/support/go.rs"]
mod peers;

/// The program in Go.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/go-terraform/ctyvectors");

/// How many random values are shown to go-cty.
const RANDOM_VALUES: usize = 3000;

/// The program; or none, and a line that says so.
fn program() -> Option<PathBuf> {
    let built = peers::in_cache("terraform", |cache| {
        let program = cache.join("ctyvectors");
        let output = program.display().to_string();
        peers::go(FilePath::new(SOURCES), &["build", "-o", &output, "."])?;
        Ok(program)
    });
    peers::found("go-cty", built)
}

/// What the program says to the lines.
fn said(program: &FilePath, mode: &str, lines: &[Json]) -> Vec<Json> {
    // Through a file: whoever writes to a pipe has to read from another meanwhile.
    let mut asked = tempfile::tempfile().unwrap();
    lines.iter().for_each(|line| writeln!(asked, "{line}").unwrap());
    std::io::Seek::rewind(&mut asked).unwrap();
    let mut command = Command::new(program);
    command.arg(mode).stdin(asked).stderr(Stdio::inherit());
    let output = command.output().unwrap();
    assert!(output.status.success(), "ctyvectors {mode}: {}", output.status);
    let lines = serde_json::Deserializer::from_slice(&output.stdout).into_iter();
    lines.collect::<Result<_, _>>().unwrap()
}

fn text<'a>(line: &'a Json, name: &str) -> &'a str {
    line[name].as_str().unwrap_or_else(|| panic!("no {name} in {line}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    assert!(text.is_ascii() && text.len().is_multiple_of(2), "{text}");
    let digits = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

/// Whether it has a set of what is not primitive, or with several unknown elements: go-cty
/// sorts those as it likes, or not at all.
fn has_free_order(value: &Value, ty: &Type) -> bool {
    let any = |elements: &[Value], of| elements.iter().any(|element| has_free_order(element, of));
    match (value, ty) {
        (_, Type::Set(of)) if !matches!(**of, Type::Bool | Type::Number | Type::String) => true,
        (Value::Sequence(elements), Type::Set(_)) => {
            elements.iter().filter(|element| element.is_unknown()).count() > 1
        }
        (Value::Sequence(elements), Type::List(of)) => any(elements, of),
        (Value::Sequence(elements), Type::Tuple(types)) => {
            elements.iter().zip(types).any(|(element, ty)| has_free_order(element, ty))
        }
        (Value::Mapping(elements), Type::Map(of)) => {
            elements.values().any(|element| has_free_order(element, of))
        }
        (Value::Mapping(_), Type::Object(attributes)) => {
            attributes.types.iter().any(|(name, ty)| has_free_order(value.get(name), ty))
        }
        (Value::Dynamic(typed), Type::Dynamic) => has_free_order(&typed.value, &typed.ty),
        _ => false,
    }
}

/// That both encodings are the same, or the same but for the order of such sets.
#[track_caller]
fn assert_same(ours: &[u8], theirs: &str, ty: &Type, of: &str) {
    let value = Value::from_msgpack(&unhex(theirs), ty).unwrap();
    if has_free_order(&value, ty) {
        assert_eq!(Value::from_msgpack(ours, ty).unwrap(), value, "{of} as {ty}");
        assert_eq!(ours.len(), theirs.len() / 2, "{of} as {ty}");
    } else {
        assert_eq!(hex(ours), theirs, "{of} as {ty}");
    }
}

#[test]
fn what_go_cty_encodes_is_read_and_encoded_again_to_the_same_bytes() {
    let Some(program) = program() else { return };
    let vectors = said(&program, "vectors", &[]);
    assert!(vectors.len() > 2000, "only {} values", vectors.len());
    for line in &vectors {
        let (json, of) = (text(line, "type"), text(line, "value"));
        let ty = ty(json);
        assert_eq!(String::from_utf8(ty.to_json()).unwrap(), json);
        let value = Value::from_msgpack(&unhex(text(line, "msgpack")), &ty).unwrap();
        assert_same(&value.to_msgpack(&ty).unwrap(), text(line, "msgpack"), &ty, of);
        assert_eq!(line.get("json").is_some(), value.to_json(&ty).is_ok(), "{of}");
        if let Some(Json::String(expected)) = line.get("from_json") {
            let json = serde_json::from_str(text(line, "json")).unwrap();
            let read = Value::from_state_json(&json, &ty).unwrap();
            assert_same(&read.to_msgpack(&ty).unwrap(), expected, &ty, of);
        }
    }
}

#[test]
fn what_is_encoded_here_go_cty_reads_and_encodes_again_to_the_same_bytes() {
    let Some(program) = program() else { return };
    let mut values: Vec<_> = said(&program, "vectors", &[])
        .iter()
        .map(|line| {
            let ty = ty(text(line, "type"));
            let value = Value::from_msgpack(&unhex(text(line, "msgpack")), &ty).unwrap();
            Typed { ty, value }
        })
        .collect();
    let mut runner = TestRunner::deterministic();
    let strategy = any_typed();
    values.extend((0..RANDOM_VALUES).map(|_| strategy.new_tree(&mut runner).unwrap().current()));

    let asked = values.iter().map(|Typed { ty, value }| {
        let msgpack = hex(&value.to_msgpack(ty).unwrap());
        json!({ "type": String::from_utf8(ty.to_json()).unwrap(), "msgpack": msgpack })
    });
    let answers = said(&program, "recode", &asked.collect::<Vec<_>>());
    assert_eq!(answers.len(), values.len());
    for (Typed { ty, value }, line) in values.iter().zip(&answers) {
        let of = format!("{value:?}, {line}");
        assert_same(&value.to_msgpack(ty).unwrap(), text(line, "msgpack"), ty, &of);
    }
}

#[test]
fn what_is_written_here_in_json_go_cty_reads_as_the_same_value() {
    let Some(program) = program() else { return };
    let mut runner = TestRunner::deterministic();
    let strategy = any_typed();
    let values = (0..RANDOM_VALUES).map(|_| strategy.new_tree(&mut runner).unwrap().current());
    let written = values.filter_map(|typed| Some((typed.value.to_json(&typed.ty).ok()?, typed)));
    let written: Vec<_> = written.collect();
    assert!(written.len() > RANDOM_VALUES / 4, "only {} values are known", written.len());

    let asked = written.iter().map(|(json, Typed { ty, .. })| {
        let ty = String::from_utf8(ty.to_json()).unwrap();
        json!({ "type": ty, "json": json.to_string() })
    });
    let answers = said(&program, "recode", &asked.collect::<Vec<_>>());
    assert_eq!(answers.len(), written.len());
    for ((json, Typed { ty, .. }), line) in written.iter().zip(&answers) {
        let read = Value::from_state_json(json, ty).unwrap();
        assert_same(&read.to_msgpack(ty).unwrap(), text(line, "msgpack"), ty, &json.to_string());
    }
}
