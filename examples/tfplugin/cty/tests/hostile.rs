//! Bytes of somebody who means harm.

use proptest::collection::vec;
use proptest::prelude::*;

use super::arbitrary::any_bytes;
use super::*;

/// How many values there are in it, with itself.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Sequence(elements) => elements.iter().map(count).sum(),
        Value::Mapping(elements) => elements.values().map(count).sum(),
        Value::Dynamic(typed) => count(&typed.value),
        _ => 0,
    }
}

#[test]
fn an_announced_length_reserves_nothing() {
    let announcements: [(&[u8], &str); 7] = [
        (b"\xdd\xff\xff\xff\xff\xc0\xc0", r#"["list","bool"]"#),
        (b"\xdd\xff\xff\xff\xff\xc0\xc0", r#"["set","bool"]"#),
        (b"\xdf\xff\xff\xff\xff\xa1a\xc0", r#"["map","bool"]"#),
        (b"\xdb\xff\xff\xff\xffabc", r#""string""#),
        (b"\xc6\xff\xff\xff\xffabc", r#""string""#),
        (b"\xc9\xff\xff\xff\xff\x0cabc", r#""string""#),
        (b"\x92\xc6\xff\xff\xff\xff\"bool\"", r#""dynamic""#),
    ];
    for (bytes, json) in announcements {
        let error = Value::from_msgpack(bytes, &ty(json)).unwrap_err();
        assert!(matches!(error.problem, DecodeProblem::Truncated), "{bytes:x?}: {error}");
    }
}

#[test]
fn a_value_without_end_is_refused() {
    // Each level brings the next.
    let open = b"\x92\xa9\"dynamic\"".repeat(100_000);
    let error = Value::from_msgpack(&open, &Type::Dynamic).unwrap_err();
    assert!(matches!(error.problem, DecodeProblem::TooDeep), "{error}");
    let lists = (0..DEPTH_LIMIT + 1).fold(Type::Bool, |of, _| Type::list(of));
    let error = Value::from_msgpack(&[0x91; 1000], &lists).unwrap_err();
    assert!(matches!(error.problem, DecodeProblem::TooDeep), "{error}");
    assert_eq!(error.path.0.len(), DEPTH_LIMIT + 1);

    let nested = |levels| (0..levels).fold(Value::Null, |of, _| Value::Sequence(vec![of]));
    let deepest = nested(DEPTH_LIMIT).to_msgpack(&lists).unwrap();
    assert_eq!(Value::from_msgpack(&deepest, &lists).unwrap(), nested(DEPTH_LIMIT));
    let error = nested(DEPTH_LIMIT + 1).to_msgpack(&lists).unwrap_err();
    assert_eq!(error.problem, EncodeProblem::TooDeep);
    let error = nested(DEPTH_LIMIT + 1).to_json(&lists).unwrap_err();
    assert_eq!(error.problem, EncodeProblem::TooDeep);
}

#[test]
fn a_json_without_end_is_refused() {
    let nested = (0..1000).fold(serde_json::Value::Null, |of, _| serde_json::json!([of]));
    let error = Value::from_json(&nested, &Type::Dynamic).unwrap_err();
    assert!(matches!(error.problem, DecodeProblem::TooDeep), "{error}");
    let lists = (0..2000).fold(Type::Bool, |of, _| Type::list(of));
    let error = Value::from_json(&nested, &lists).unwrap_err();
    assert!(matches!(error.problem, DecodeProblem::TooDeep), "{error}");
    let wrapped = |of| serde_json::json!({ "type": "dynamic", "value": of });
    let nested = (0..1000).fold(serde_json::Value::Null, |of, _| wrapped(of));
    let error = Value::from_state_json(&nested, &Type::Dynamic).unwrap_err();
    assert!(matches!(error.problem, DecodeProblem::TooDeep), "{error}");
}

#[test]
fn a_refinement_without_end_is_passed_over_without_recursion() {
    // A key that is not known, and arrays in arrays up to the limit.
    let depth = 1021;
    let mut bytes = b"\xc8\x04\x00\x0c\x81\x63".to_vec();
    bytes.extend(vec![0x91; depth]);
    bytes.push(0xc0);
    assert!(Value::from_msgpack(&bytes, &Type::String).unwrap().is_unknown());
    // The last one is announced, and not there.
    let last = bytes.len() - 1;
    bytes[last] = 0x91;
    assert!(Value::from_msgpack(&bytes, &Type::String).is_err());
}

/// A list of so many nulls.
fn nulls(count: usize) -> Vec<u8> {
    let mut bytes = vec![0xdd];
    bytes.extend(u32::try_from(count).unwrap().to_be_bytes());
    bytes.resize(bytes.len() + count, 0xc0);
    bytes
}

#[test]
fn a_value_of_more_elements_than_the_limit_is_refused_at_any_depth() {
    let lists = Type::list(Type::list(Type::Bool));
    // The list is an element of itself.
    let most = nulls(ELEMENT_LIMIT - 1);
    let value = Value::from_msgpack(&most, &lists).unwrap();
    assert_eq!(value.as_sequence().unwrap().len(), ELEMENT_LIMIT - 1);
    let error = Value::from_msgpack(&nulls(ELEMENT_LIMIT), &lists).unwrap_err();
    assert!(matches!(error.problem, DecodeProblem::TooMany), "{error}");
    let split = [&[0x92][..], &nulls(ELEMENT_LIMIT / 2), &nulls(ELEMENT_LIMIT / 2)].concat();
    let error = Value::from_msgpack(&split, &lists).unwrap_err();
    assert!(matches!(error.problem, DecodeProblem::TooMany), "{error}");
    assert!(error.to_string().contains("1000000"), "{error}");
}

#[test]
fn a_json_of_more_elements_than_the_limit_is_refused_before_it_is_parsed() {
    let text = format!("[{}null]", "null,".repeat(ELEMENT_LIMIT));
    let error = Value::from_state_text(text.as_bytes(), &Type::list(Type::Bool)).unwrap_err();
    assert!(matches!(error.problem, DecodeProblem::TooMany), "{error}");
    assert!(error.path.0.is_empty(), "nothing was looked at");
    let few = Value::from_state_text(b"[null, true]", &Type::list(Type::Bool)).unwrap();
    assert_eq!(few.as_sequence().unwrap().len(), 2);
    let error = Value::from_state_text(b"[", &Type::Bool).unwrap_err();
    assert!(matches!(error.problem, DecodeProblem::Json(_)), "{error}");
}

#[test]
fn attributes_that_are_absent_count_as_elements() {
    let names = (0..1000).map(|at| (format!("a{at}"), Type::Bool));
    let objects = Type::list(Type::object(names));
    let text = format!("[{}{{}}]", "{},".repeat(1000));
    let error = Value::from_state_text(text.as_bytes(), &objects).unwrap_err();
    assert!(matches!(error.problem, DecodeProblem::TooMany), "{error}");
}

#[test]
fn the_parts_of_a_type_that_a_value_brings_count_as_elements() {
    let parts = format!(r#"["tuple",[{}"bool"]]"#, r#""bool","#.repeat(ELEMENT_LIMIT / 2));
    let mut bytes = vec![0x92, 0xc6];
    bytes.extend(u32::try_from(parts.len()).unwrap().to_be_bytes());
    bytes.extend(parts.as_bytes());
    bytes.push(0xc0);
    assert!(Value::from_msgpack(&bytes, &Type::Dynamic).is_ok());
    let twice = [&[0x92][..], &bytes, &bytes].concat();
    let error = Value::from_msgpack(&twice, &Type::list(Type::Dynamic)).unwrap_err();
    assert!(matches!(error.problem, DecodeProblem::TooMany), "{error}");
    let long = format!(r#"["tuple",[{}"bool"]]"#, r#""bool","#.repeat(ELEMENT_LIMIT));
    assert!(matches!(Type::from_json(long.as_bytes()), Err(TypeError::TooMany)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_a_value_or_an_error_and_never_more_than_they_are((ty, bytes) in any_bytes()) {
        if let Ok(value) = Value::from_msgpack(&bytes, &ty) {
            prop_assert!(count(&value) <= bytes.len());
            // A value that was decoded is encoded in one way only.
            let encoded = value.to_msgpack(&ty).unwrap();
            let again = Value::from_msgpack(&encoded, &ty).unwrap();
            prop_assert_eq!(again.to_msgpack(&ty).unwrap(), encoded);
        }
    }

    #[test]
    fn a_refinement_of_any_bytes_is_kept_or_refused(payload in vec(any::<u8>(), 2..40)) {
        let head = [0xc7, payload.len() as u8, 12];
        let bytes = [&head[..], &payload].concat();
        if let Ok(Value::Unknown(refinement)) = Value::from_msgpack(&bytes, &Type::Dynamic) {
            let _ = refinement.range();
            let sent = Value::Unknown(refinement).to_msgpack(&Type::Dynamic).unwrap();
            prop_assert_eq!(&sent[sent.len() - payload.len()..], &payload[..]);
        }
    }
}
