//! Values in JSON.

use proptest::prelude::*;
use serde_json::Value as Json;
use serde_json::json;

use super::arbitrary::any_typed;
use super::*;

fn configured(json: Json, of: &str) -> Value {
    Value::from_json(&json, &ty(of)).unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn kept(json: Json, of: &str) -> Value {
    Value::from_state_json(&json, &ty(of)).unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn refused(json: Json, of: &str) -> (String, DecodeProblem) {
    let error = Value::from_json(&json, &ty(of)).expect_err("no value of the type");
    (error.path.to_string(), error.problem)
}

#[test]
fn a_primitive_is_converted_to_the_type_that_is_wanted() {
    let converted = [
        (json!("5"), r#""number""#, 5.into()),
        (json!(5), r#""string""#, "5".into()),
        (json!(5.0), r#""string""#, "5".into()),
        (json!(0.1), r#""string""#, "0.1".into()),
        (json!(1e21), r#""string""#, "1000000000000000000000".into()),
        (json!(true), r#""string""#, "true".into()),
        (json!("true"), r#""bool""#, true.into()),
        (json!("1"), r#""bool""#, true.into()),
        (json!("0"), r#""bool""#, false.into()),
        (json!("false"), r#""bool""#, false.into()),
        (json!("1e3"), r#""number""#, 1000.into()),
        (json!(null), r#""number""#, Value::Null),
    ];
    for (json, of, value) in converted {
        assert_eq!(configured(json.clone(), of), value, "{json}");
        assert_eq!(kept(json.clone(), of), value, "{json}");
    }
}

#[test]
fn a_number_in_json_is_what_its_digits_say_not_the_nearest_float() {
    let tenth = configured(json!(0.1), r#""number""#);
    assert_eq!(tenth, number("0.1").into());
    assert_eq!(tenth.to_msgpack(&Type::Number).unwrap(), b"\xa30.1");
    assert_eq!(configured(json!(u64::MAX), r#""number""#), Number::from(u64::MAX).into());
}

#[test]
fn collections_are_read_by_their_type() {
    let array = json!(["b", "a", "b"]);
    assert_eq!(
        configured(array.clone(), r#"["list","string"]"#),
        list(["b".into(), "a".into(), "b".into()])
    );
    assert_eq!(configured(array, r#"["set","string"]"#), list(["a".into(), "b".into()]));
    let pair = json!(["x", "5"]);
    assert_eq!(configured(pair, r#"["tuple",["string","number"]]"#), list(["x".into(), 5.into()]));
    let names = json!({ "a": 1, "b": "2" });
    let expected = object([("a", 1.into()), ("b", 2.into())]);
    assert_eq!(configured(names.clone(), r#"["map","number"]"#), expected);
    let of = r#"["object",{"a":"number","b":"number","c":"string"}]"#;
    let expected = object([("a", 1.into()), ("b", 2.into()), ("c", Value::Null)]);
    assert_eq!(configured(names, of), expected);
}

#[test]
fn what_does_not_fit_is_refused_and_the_error_says_where() {
    let of = r#"["object",{"a":["list",["map","number"]]}]"#;
    let (path, problem) = refused(json!({ "a": [{}, { "k": "five" }] }), of);
    assert_eq!(path, r#".a[1]["k"]"#);
    assert!(matches!(problem, DecodeProblem::Number(ParseNumberError::Syntax)));
    let (path, problem) = refused(json!({ "b": 1 }), of);
    assert_eq!(path, "");
    assert!(matches!(problem, DecodeProblem::Unexpected(name) if name == "b"));

    for (json, of) in [
        (json!("True"), r#""bool""#),
        (json!(1), r#""bool""#),
        (json!(true), r#""number""#),
        (json!([]), r#""string""#),
        (json!({}), r#"["list","string"]"#),
        (json!([]), r#"["map","string"]"#),
        (json!("x"), r#"["set","string"]"#),
        (json!([1]), r#"["tuple",[]]"#),
        (json!("1e1000000000"), r#""number""#),
    ] {
        refused(json, of);
    }
}

#[test]
fn where_the_type_is_open_a_configuration_has_the_bare_value() {
    let json = json!({ "type": "string", "value": [5, true, null, { "x": "y" }] });
    let value = configured(json, r#""dynamic""#);
    let Value::Dynamic(typed) = &value else { panic!("{value:?} has no type") };
    let expected = r#"["tuple",["number","bool","dynamic",["object",{"x":"string"}]]]"#;
    let expected = format!(r#"["object",{{"type":"string","value":{expected}}}]"#);
    assert_eq!(typed.ty, ty(&expected));
    let inside = list([5.into(), true.into(), Value::Null, object([("x", "y".into())])]);
    assert_eq!(typed.value, object([("type", "string".into()), ("value", inside)]));
    assert_eq!(configured(Json::Null, r#""dynamic""#), Value::Null);
}

#[test]
fn where_the_type_is_open_a_state_has_the_value_with_its_type() {
    let json = json!({ "type": ["list", "string"], "value": ["5"] });
    let value = Value::dynamic(ty(r#"["list","string"]"#), list(["5".into()]));
    assert_eq!(kept(json.clone(), r#""dynamic""#), value);
    assert_eq!(value.to_json(&Type::Dynamic).unwrap(), json);
    assert_eq!(kept(Json::Null, r#""dynamic""#), Value::Null);
    let null = Value::dynamic(Type::Bool, Value::Null);
    assert_eq!(kept(json!({ "type": "bool", "value": null }), r#""dynamic""#), null);

    for json in [
        json!(5),
        json!({ "type": "bool" }),
        json!({ "value": true }),
        json!({ "type": "int", "value": 5 }),
        json!({ "type": "bool", "value": true, "more": 1 }),
    ] {
        assert!(Value::from_state_json(&json, &Type::Dynamic).is_err(), "{json}");
    }
}

#[test]
fn what_is_unknown_is_not_written_and_the_error_says_where() {
    let value = object([("a", list(["x".into(), Value::unknown()]))]);
    let error = value.to_json(&ty(r#"["object",{"a":["list","string"]}]"#)).unwrap_err();
    assert_eq!((error.path.to_string().as_str(), error.problem), (".a[1]", EncodeProblem::Unknown));
    let infinite = Value::Number(number("Inf")).to_json(&Type::Number).unwrap_err();
    assert_eq!(infinite.problem, EncodeProblem::Infinite);
}

#[test]
fn a_number_that_json_readers_would_round_is_written_as_text() {
    let written = |text: &str| Value::Number(number(text)).to_json(&Type::Number).unwrap();
    assert_eq!(written("5"), json!(5));
    assert_eq!(written("0.1"), json!(0.1));
    assert_eq!(written("3.14159265358979323846"), json!("3.14159265358979323846"));
    assert_eq!(written("1e25"), json!(1e25));
}

#[test]
fn all_attributes_are_written() {
    let of = ty(r#"["object",{"a":"string","b":"string"}]"#);
    let written = object([("b", "x".into())]).to_json(&of).unwrap();
    assert_eq!(written, json!({ "a": null, "b": "x" }));
    assert!(object([("c", Value::Null)]).to_json(&of).is_err());
}

proptest! {
    #[test]
    fn a_value_that_is_known_survives_a_state(typed in any_typed()) {
        let Typed { ty, value } = typed;
        match value.to_json(&ty) {
            Ok(json) => {
                // Through the text, as states are.
                let json = serde_json::from_str(&json.to_string()).unwrap();
                let again = Value::from_state_json(&json, &ty).unwrap();
                // A float in JSON is its shortest digits, for go-cty as well: it is that
                // which has to survive from then on.
                prop_assert_eq!(again.to_json(&ty).unwrap(), json);
                let floats = format!("{value:?}").contains("Float");
                prop_assert!(floats || again == value, "{:?} and {:?}", again, value);
            }
            Err(EncodeError { problem: EncodeProblem::Unknown, .. }) => {
                prop_assert!(!value.is_wholly_known());
            }
            Err(EncodeError { problem: EncodeProblem::Infinite, .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}
