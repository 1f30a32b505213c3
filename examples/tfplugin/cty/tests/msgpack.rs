//! Values in msgpack.

use proptest::prelude::*;

use super::arbitrary::any_typed;
use super::*;

fn sent(value: &Value, json: &str) -> Vec<u8> {
    value.to_msgpack(&ty(json)).unwrap_or_else(|error| panic!("{error}"))
}

fn received(bytes: &[u8], json: &str) -> Result<Value, DecodeError> {
    Value::from_msgpack(bytes, &ty(json))
}

/// What is wrong, and where, of bytes that are no value of the type.
fn refused(bytes: &[u8], json: &str) -> (String, DecodeProblem) {
    let error = received(bytes, json).expect_err("no value of the type");
    (error.path.to_string(), error.problem)
}

fn not_sent(value: &Value, json: &str) -> (String, EncodeProblem) {
    let error = value.to_msgpack(&ty(json)).expect_err("no value of the type");
    (error.path.to_string(), error.problem)
}

#[test]
fn every_kind_of_value_has_its_bytes() {
    let map = object([("k", true.into())]);
    let open = Value::dynamic(Type::String, "x".into());
    let values: [(Value, &str, &[u8]); 12] = [
        (Value::Null, r#""string""#, b"\xc0"),
        (Value::unknown(), r#""string""#, b"\xd4\x00\x00"),
        (true.into(), r#""bool""#, b"\xc3"),
        ("hi".into(), r#""string""#, b"\xa2hi"),
        (5.into(), r#""number""#, b"\x05"),
        (200.into(), r#""number""#, b"\xcc\xc8"),
        (Value::Number(number("0.5")), r#""number""#, b"\xcb\x3f\xe0\0\0\0\0\0\0"),
        (Value::Number(number("0.1")), r#""number""#, b"\xa30.1"),
        (list([1.into(), 2.into()]), r#"["list","number"]"#, b"\x92\x01\x02"),
        (map, r#"["map","bool"]"#, b"\x81\xa1k\xc3"),
        (open, r#""dynamic""#, b"\x92\xc4\x08\"string\"\xa1x"),
        (Value::Null, r#""dynamic""#, b"\xc0"),
    ];
    for (value, ty, bytes) in values {
        assert_eq!(sent(&value, ty), bytes, "{value:?}");
        assert_eq!(received(bytes, ty).unwrap(), value);
    }
}

#[test]
fn an_attribute_that_is_absent_is_null() {
    let json = r#"["object",{"a":"string","b":"string"}]"#;
    let bytes = sent(&object([("b", "x".into())]), json);
    assert_eq!(bytes, b"\x82\xa1a\xc0\xa1b\xa1x");
    assert!(received(&bytes, json).unwrap().get("a").is_null());
}

#[test]
fn a_set_is_sent_in_order_and_without_duplicates() {
    let unsorted = list(["b".into(), "a".into(), "b".into()]);
    assert_eq!(sent(&unsorted, r#"["set","string"]"#), b"\x92\xa1a\xa1b");
    let set = received(b"\x93\xa1b\xa1a\xa1b", r#"["set","string"]"#).unwrap();
    assert_eq!(set, list(["a".into(), "b".into()]));
}

#[test]
fn a_text_is_in_its_normal_form() {
    assert_eq!(received("\u{a3}e\u{301}".as_bytes(), r#""string""#).ok(), None);
    assert_eq!(received(b"\xa3e\xcc\x81", r#""string""#).unwrap(), "é".into());
    let map = received(b"\x81\xa3e\xcc\x81\xc3", r#"["map","bool"]"#).unwrap();
    assert_eq!(*map.get("é"), true.into());
}

#[test]
fn a_number_is_taken_in_all_the_forms_that_msgpack_has() {
    let forms: [(&[u8], &str); 8] = [
        (b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551615"),
        (b"\xd3\xff\xff\xff\xff\xff\xff\xff\xff", "-1"),
        (b"\xd0\xff", "-1"),
        (b"\xcd\x01\x00", "256"),
        (b"\xca\x3f\xc0\0\0", "1.5"),
        (b"\xcb\x40\x14\0\0\0\0\0\0", "5"),
        (b"\xa41e25", "10000000000000000000000000"),
        (b"\xc4\x030.1", "0.1"),
    ];
    for (bytes, text) in forms {
        assert_eq!(received(bytes, r#""number""#).unwrap(), number(text).into(), "{bytes:x?}");
    }
}

#[test]
fn any_extension_is_unknown() {
    let extensions: [&[u8]; 6] = [
        b"\xd4\x00\x00",
        b"\xd4\x0c\x80",
        b"\xc7\x00\x00",
        b"\xd5\x05ab",
        b"\xc7\x03\x7fabc",
        b"\xd8\xffaaaaaaaaaaaaaaaa",
    ];
    for bytes in extensions {
        for json in [r#""string""#, r#"["list","bool"]"#, r#""dynamic""#] {
            assert_eq!(received(bytes, json).unwrap(), Value::unknown(), "{bytes:x?}");
        }
    }
}

#[test]
fn a_refinement_survives_byte_for_byte_with_what_is_not_known_of_it() {
    let refinements: [(&[u8], &str); 5] = [
        (b"\xc7\x03\x0c\x81\x01\xc2", r#""bool""#),
        (b"\xd7\x0c\x82\x01\xc2\x02\xa3foo", r#""string""#),
        // A key of the future, with something nested; then bytes after the map.
        (b"\xc7\x0b\x0c\x82\x63\x92\x81\xa1k\xc0\xc0\x01\xc2!", r#""string""#),
        // Not the shortest way to write it.
        (b"\xc7\x06\x0c\x81\xd1\x00\x05\xcc\x02", r#"["set","bool"]"#),
        (b"\xc7\x05\x0c\x81\x03\x92\x00\xc3", r#""number""#),
    ];
    for (bytes, json) in refinements {
        let value = received(bytes, json).unwrap();
        assert_eq!(sent(&value, json), bytes);
        assert!(matches!(&value, Value::Unknown(known) if *known != Refinement::none()));
    }
}

#[test]
fn a_refinement_says_what_is_known() {
    let bound = |text, inclusive| Some(Bound { number: number(text), inclusive });
    let range = Range {
        is_null: Some(false),
        prefix: Some("grüße-".to_owned()),
        lower: bound("-0.1", true),
        upper: bound("1e30", false),
        min_length: Some(1),
        max_length: Some(70_000),
    };
    assert_eq!(Refinement::new(&range).range(), range);
    assert_eq!(Refinement::new(&Range::default()), Refinement::none());
    assert_eq!(Refinement::none().range(), Range::default());
    assert_eq!(Refinement::not_null().range().is_null, Some(false));
}

#[test]
fn a_refinement_that_would_be_too_long_says_less() {
    let number = number(&"7".repeat(1000));
    let bound = Some(Bound { number, inclusive: true });
    let range = Range {
        prefix: Some("ü".repeat(1000)),
        lower: bound.clone(),
        upper: bound,
        ..Range::default()
    };
    let kept = Refinement::new(&range).range();
    assert_eq!(kept.prefix, Some("ü".repeat(128)));
    assert_eq!((kept.lower, kept.upper), (None, None));
}

#[test]
fn a_refinement_that_makes_no_sense_is_refused() {
    let wrong: [(&[u8], &str); 7] = [
        (b"\xc7\x02\x0c\x01\x02", r#""string""#),
        (b"\xc7\x03\x0c\x81\x02\xa0", r#""number""#),
        (b"\xc7\x03\x0c\x81\x05\x01", r#""string""#),
        (b"\xc7\x05\x0c\x81\x03\x92\x00\xc3", r#"["list","number"]"#),
        (b"\xc7\x03\x0c\x81\x01\xa0", r#""string""#),
        (b"\xc7\x03\x0c\x82\x01\xc2", r#""string""#),
        (b"\xc7\x05\x0c\x81\x03\x91\x00\xc3", r#""number""#),
    ];
    for (bytes, json) in wrong {
        let (_, problem) = refused(bytes, json);
        assert!(matches!(problem, DecodeProblem::Refinement { .. }), "{problem}");
    }
    let long = [&b"\xc8\x04\x01\x0c\x81\x01\xc2"[..], &[0; 1022]].concat();
    let (_, problem) = refused(&long, r#""string""#);
    assert!(matches!(problem, DecodeProblem::LongRefinement { bytes: 1025 }), "{problem}");
}

#[test]
fn what_does_not_fit_is_refused_and_the_error_says_where_and_why() {
    let object = r#"["object",{"a":["list",["map","bool"]]}]"#;
    let (path, problem) = refused(b"\x81\xa1a\x92\x80\x81\xa1k\x05", object);
    assert_eq!(path, r#".a[1]["k"]"#);
    assert_eq!(problem.to_string(), "should be a bool, and is a number");
    let error = received(b"\x81\xa1a\x92\x80\x81\xa1k\x05", object).unwrap_err();
    let said = r#"the value.a[1]["k"] should be a bool, and is a number"#;
    assert_eq!(error.to_string(), said);
}

#[test]
fn decoding_is_strict() {
    use DecodeProblem as Problem;
    type Check = fn(&Problem) -> bool;
    let object = r#"["object",{"a":"bool","b":"bool"}]"#;
    let wrong: [(&[u8], &str, Check); 16] = [
        (b"", r#""bool""#, |p| matches!(p, Problem::Truncated)),
        (b"\xc3\xc3", r#""bool""#, |p| matches!(p, Problem::Trailing { bytes: 1 })),
        (b"\x01", r#""bool""#, |p| matches!(p, Problem::Kind { .. })),
        (b"\xc1", r#""bool""#, |p| matches!(p, Problem::Kind { .. })),
        (b"\x01", r#""string""#, |p| matches!(p, Problem::Kind { .. })),
        (b"\xa1\xff", r#""string""#, |p| matches!(p, Problem::NotUtf8)),
        (b"\xa3abc", r#""number""#, |p| matches!(p, Problem::Number(_))),
        (b"\xcb\x7f\xf8\0\0\0\0\0\0", r#""number""#, |p| matches!(p, Problem::NaN)),
        (b"\x80", r#"["list","bool"]"#, |p| matches!(p, Problem::Kind { .. })),
        (b"\x90", r#"["map","bool"]"#, |p| matches!(p, Problem::Kind { .. })),
        (b"\x91\xc3", r#"["tuple",["bool","bool"]]"#, |p| {
            matches!(p, Problem::Length { expected: 2, found: 1 })
        }),
        (b"\x81\xa1a\xc3", object, |p| matches!(p, Problem::Missing(name) if name == "b")),
        (
            b"\x82\xa1a\xc3\xa1c\xc3",
            object,
            |p| matches!(p, Problem::Unexpected(name) if name == "c"),
        ),
        (
            b"\x82\xa1a\xc3\xa1a\xc3",
            object,
            |p| matches!(p, Problem::Duplicate(name) if name == "a"),
        ),
        (b"\x92\xa5\"int\"\x01", r#""dynamic""#, |p| matches!(p, Problem::Type(_))),
        (b"\x93\xa6\"bool\"\xc3\xc3", r#""dynamic""#, |p| {
            matches!(p, Problem::Length { expected: 2, found: 3 })
        }),
    ];
    for (bytes, json, check) in wrong {
        let (_, problem) = refused(bytes, json);
        assert!(check(&problem), "{bytes:x?}: {problem:?}");
    }
}

#[test]
fn a_value_that_is_not_of_the_type_is_not_sent() {
    let object_type = r#"["object",{"a":["list","string"]}]"#;
    let (path, problem) = not_sent(&object([("a", list(["x".into(), 5.into()]))]), object_type);
    assert_eq!(path, ".a[1]");
    assert_eq!(problem, EncodeProblem::Kind { expected: "a string", found: "a number" });

    let (path, problem) = not_sent(&object([("b", Value::Null)]), object_type);
    assert_eq!((path.as_str(), problem), ("", EncodeProblem::Unexpected("b".to_owned())));
    let (_, problem) = not_sent(&list([1.into()]), r#"["tuple",[]]"#);
    assert_eq!(problem, EncodeProblem::Length { expected: 0, found: 1 });
    let (_, problem) = not_sent(&"x".into(), r#""dynamic""#);
    assert!(matches!(problem, EncodeProblem::Kind { .. }));
    let (_, problem) = not_sent(&Value::dynamic(Type::String, "x".into()), r#""string""#);
    assert!(matches!(problem, EncodeProblem::Kind { .. }));
}

#[test]
fn a_type_that_is_open_again_says_nothing() {
    let bytes = b"\x92\xa9\"dynamic\"\x92\xa6\"bool\"\xc3";
    let value = received(bytes, r#""dynamic""#).unwrap();
    assert_eq!(value, Value::dynamic(Type::Bool, true.into()));
    let twice = Value::dynamic(Type::Dynamic, value.clone());
    assert_eq!(sent(&twice, r#""dynamic""#), sent(&value, r#""dynamic""#));
}

proptest! {
    #[test]
    fn any_value_of_any_type_survives(typed in any_typed()) {
        let Typed { ty, value } = typed;
        let bytes = value.to_msgpack(&ty).unwrap();
        prop_assert_eq!(Value::from_msgpack(&bytes, &ty).unwrap(), value);
    }

    #[test]
    fn a_value_that_is_cut_is_refused(typed in any_typed(), at in any::<usize>()) {
        let Typed { ty, value } = typed;
        let bytes = value.to_msgpack(&ty).unwrap();
        let cut = &bytes[..at % bytes.len()];
        prop_assert!(Value::from_msgpack(cut, &ty).is_err());
    }

    #[test]
    fn a_value_that_is_followed_by_more_is_refused(typed in any_typed(), more: u8) {
        let Typed { ty, value } = typed;
        let mut bytes = value.to_msgpack(&ty).unwrap();
        bytes.push(more);
        let error = Value::from_msgpack(&bytes, &ty).unwrap_err();
        let is_trailing = matches!(error.problem, DecodeProblem::Trailing { bytes: 1 });
        prop_assert!(is_trailing, "{error}");
    }
}
