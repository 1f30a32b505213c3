//! Configurations that are fine, and what is said about those that are not.

use serde_json::json;

use super::*;
use crate::testing::block;
use crate::testing::blocks;
use crate::testing::list;
use crate::testing::nested;
use crate::testing::object;
use crate::testing::optional;
use crate::testing::required;
use crate::testing::text;

/// A string `s`, a number `n`, an object `one` with a required `name`, and one or two `disk`.
fn schema() -> Block {
    let disk = blocks(Nesting::List, block([("size", required(Type::Number))], []));
    block(
        [
            ("s", optional(Type::String)),
            ("n", optional(Type::Number)),
            ("one", nested(Nesting::Single, [("name", required(Type::String))])),
        ],
        [("disk", NestedBlock { min_items: 1, max_items: 2, ..disk })],
    )
}

fn of(document: Json, set: &[&str], unknown: &[&str]) -> Result<Value, Vec<String>> {
    let Json::Object(document) = document else { unreachable!("tests write objects") };
    let options = ConfigOptions {
        config: None,
        set: set.iter().map(|setting| setting.parse().unwrap()).collect(),
        unknown: unknown.iter().map(|path| (*path).to_owned()).collect(),
    };
    let mut report = Report::default();
    let value = read(document, &options, &schema(), "a.b", &mut report);
    let said = report.entries().iter().map(|entry| {
        let Diagnostic { summary, attribute, .. } = &entry.diagnostic;
        format!("{summary} {attribute}").trim().to_owned()
    });
    value.map_err(|Failed| said.collect())
}

fn problems(document: Json) -> Vec<String> {
    of(document, &[], &[]).expect_err("it is wrong")
}

#[test]
fn a_configuration_is_converted_to_the_schemas_types() {
    let value = of(json!({"s": 5, "n": "6", "disk": [{"size": 1}]}), &[], &[]).unwrap();
    let expected = object([
        ("s", text("5")),
        ("n", Value::from(6)),
        ("one", Value::Null),
        ("disk", list([object([("size", Value::from(1))])])),
    ]);
    assert_eq!(value, expected);
}

#[test]
fn settings_win_and_are_text_where_a_string_is_wanted() {
    let document = json!({"s": "x", "disk": [{"size": 1}]});
    let s = |setting: &str| of(document.clone(), &[setting], &[]).unwrap().get("s").clone();
    assert_eq!(s("s=007"), text("007"));
    assert_eq!(s("s=1e3"), text("1e3"));
    assert_eq!(s("s=\"quoted\""), text("quoted"));
    assert_eq!(s("s={\"a\":1}"), text("{\"a\":1}"));
    assert_eq!(s("s=null"), Value::Null);
    assert_eq!(s("s="), text(""));
    let n = of(document.clone(), &["n=7", "disk=[{\"size\":2}]"], &[]).unwrap();
    assert_eq!(n.get("n"), &Value::from(7));
    assert_eq!(of(document, &["n=x"], &[]), Err(vec!["Invalid value".to_owned()]));
}

#[test]
fn what_the_schema_does_not_have_is_named_with_its_place() {
    let found = problems(json!({"x": 1, "disk": [{"size": 1, "y": 2}]}));
    assert_eq!(found, ["Unsupported argument .disk[0].y", "Unsupported argument .x"]);
}

#[test]
fn what_has_to_be_there_is_missed_with_its_place() {
    let found = problems(json!({"one": {}, "disk": [{"size": 1}, {}]}));
    let expected =
        ["Missing required argument .one.name", "Missing required argument .disk[1].size"];
    assert_eq!(found, expected);
    assert_eq!(problems(json!({})), ["Insufficient disk blocks .disk"]);
    let three = json!({"disk": [{"size": 1}, {"size": 1}, {"size": 1}]});
    assert_eq!(problems(three), ["Too many disk blocks .disk"]);
}

#[test]
fn a_value_of_the_wrong_type_is_named_with_its_place() {
    let found = problems(json!({"disk": [{"size": "large"}]}));
    assert_eq!(found, ["Incorrect attribute value type .disk[0].size"]);
}

#[test]
fn what_is_made_unknown_satisfies_what_is_required() {
    let document = json!({"disk": [{"size": 1}]});
    let value = of(document.clone(), &[], &["disk[0].size", ".s"]).unwrap();
    assert!(value.get("s").is_unknown());
    let size = value.get("disk").as_sequence().unwrap()[0].get("size");
    assert!(size.is_unknown());
    assert!(of(json!({}), &[], &["disk"]).unwrap().get("disk").is_unknown());
    for wrong in ["disk[3]", "nosuch", "disk["] {
        let found = of(document.clone(), &[], &[wrong]);
        assert_eq!(found, Err(vec!["Invalid --unknown".to_owned()]), "{wrong}");
    }
}

#[test]
fn a_file_has_to_be_there_and_to_be_an_object() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    let mut report = Report::default();
    assert_eq!(load(None, &mut report), Ok(Map::new()));
    assert_eq!(load(Some(&file), &mut report), Err(Failed));
    for text in ["", "[]", "{\"a\":", "{\"a\": 1} x", "\u{feff}{}"] {
        fs::write(&file, text).unwrap();
        assert_eq!(load(Some(&file), &mut report), Err(Failed), "{text}");
    }
    fs::write(&file, "{\"a\": 1}").unwrap();
    assert_eq!(load(Some(&file), &mut report).unwrap().get("a"), Some(&json!(1)));
}

#[test]
fn a_setting_that_is_no_json_or_has_a_name_twice_is_refused_without_showing_it() {
    for setting in ["n=TOPSECRET", r#"one={"name": "TOPSECRET", "name": "b"}"#] {
        let options =
            ConfigOptions { set: vec![setting.parse().unwrap()], ..ConfigOptions::default() };
        let mut report = Report::default();
        assert_eq!(read(Map::new(), &options, &schema(), "a.b", &mut report), Err(Failed));
        let said = format!("{report:?}");
        assert!(said.contains("Invalid value") && !said.contains("SECRET"), "{said}");
    }
}
