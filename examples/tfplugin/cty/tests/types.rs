//! Types and their JSON.

use proptest::prelude::*;

use super::arbitrary::any_type;
use super::*;

#[test]
fn a_type_is_written_as_it_is_read() {
    let types = [
        r#""string""#,
        r#""dynamic""#,
        r#"["list","number"]"#,
        r#"["set",["map","bool"]]"#,
        r#"["tuple",[]]"#,
        r#"["tuple",["string",["list","dynamic"]]]"#,
        r#"["object",{}]"#,
        r#"["object",{"a":"string","b":["tuple",["bool"]]},["b"]]"#,
    ];
    for json in types {
        assert_eq!(String::from_utf8(ty(json).to_json()).unwrap(), json);
    }
}

#[test]
fn what_is_no_type_is_refused() {
    let wrong = [
        "",
        "string",
        r#""int""#,
        "5",
        "null",
        "[]",
        r#"["list"]"#,
        r#"["list","string","string"]"#,
        r#"["list",["string"]]"#,
        r#"["array","string"]"#,
        r#"["tuple","string"]"#,
        r#"["object",["a"]]"#,
        r#"["object",{"a":"string"},["b"]]"#,
        r#"["object",{"a":"string"},[5]]"#,
        r#"["tuple",["string"],["a"]]"#,
        r#""string" "string""#,
    ];
    for json in wrong {
        assert!(Type::from_json(json.as_bytes()).is_err(), "{json}");
    }
    assert!(matches!(Type::from_json(br#""int""#), Err(TypeError::Unknown(name)) if name == "int"));
}

#[test]
fn a_type_without_end_is_refused() {
    let deep = r#"["list","#.repeat(100_000);
    assert!(Type::from_json(deep.as_bytes()).is_err());
    let deepest = format!("{}\"bool\"{}", r#"["list","#.repeat(127), "]".repeat(127));
    assert!(Type::from_json(deepest.as_bytes()).is_ok());
    let built = (0..1000).fold(serde_json::json!("bool"), |of, _| serde_json::json!(["list", of]));
    assert!(matches!(Type::from_value(&built, 0), Err(TypeError::TooDeep)));
}

#[test]
fn a_type_is_shown_to_people_in_words() {
    let shown = [
        (r#"["list",["set","string"]]"#, "list of set of string"),
        (r#"["tuple",["bool","dynamic"]]"#, "tuple [bool, any]"),
        (r#"["object",{"a":"number","b":"bool"},["b"]]"#, "object { a: number, b?: bool }"),
        (r#"["object",{}]"#, "object { }"),
    ];
    for (json, words) in shown {
        assert_eq!(ty(json).to_string(), words);
    }
}

#[test]
fn nothing_is_optional_any_more_at_any_depth() {
    let inner = r#"["object",{"a":"number"},["a"]]"#;
    let json = format!(r#"["tuple",[["list",{inner}],["set",{inner}],["map",{inner}],{inner}]]"#);
    let without = ty(&json).without_optional();
    assert_eq!(without, ty(&json.replace(r#",["a"]"#, "")));
    assert_ne!(without, ty(&json));
}

#[test]
fn an_open_type_is_found_wherever_it_is() {
    for json in [
        r#""dynamic""#,
        r#"["list","dynamic"]"#,
        r#"["tuple",["bool","dynamic"]]"#,
        r#"["object",{"a":["map","dynamic"]}]"#,
    ] {
        assert!(ty(json).has_dynamic(), "{json}");
    }
    assert!(!ty(r#"["object",{"a":["map","string"]}]"#).has_dynamic());
}

proptest! {
    #[test]
    fn any_type_survives_its_json(ty in any_type()) {
        prop_assert_eq!(Type::from_json(&ty.to_json()).unwrap(), ty);
    }
}

#[test]
fn names_that_could_steer_a_terminal_are_shown_in_quotes() {
    let ty = Type::object([("a\u{1b}[31m", Type::Bool), ("b\u{202e}", Type::Bool)]);
    let ty = Type::list(Type::object([("in ner", ty), ("plain-1", Type::Bool)]));
    let expected = r#"list of object { "in ner": object { "a\u{1b}[31m": bool, "b\u{202e}": bool }, plain-1: bool }"#;
    assert_eq!(ty.to_string(), expected);
    let path = Path(vec![Step::Attribute("a\u{9b}".to_owned()), Step::Attribute("b".to_owned())]);
    assert_eq!(path.to_string(), r#"."a\u{9b}".b"#);
}
