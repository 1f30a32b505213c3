//! Paths, and what they lead to.

use super::*;

fn path<const N: usize>(steps: [Step; N]) -> Path {
    steps.into_iter().collect()
}

fn attribute(name: &str) -> Step {
    Step::Attribute(name.to_owned())
}

fn key(key: &str) -> Step {
    Step::Key(key.to_owned())
}

#[test]
fn a_path_is_printed_as_an_expression_would_continue() {
    let to = path([attribute("tags"), key("a\"b"), attribute("list"), Step::Index(0)]);
    assert_eq!(to.to_string(), r#".tags["a\"b"].list[0]"#);
    assert_eq!(path([]).to_string(), "");
}

#[test]
fn an_element_of_a_set_is_not_printed_as_it_may_be_secret() {
    let to = path([attribute("tags"), Step::Element("secret".into())]);
    assert_eq!(to.to_string(), ".tags[...]");
}

#[test]
fn a_path_leads_through_everything_that_has_something_inside() {
    let set = Value::set(["x".into(), object([("deep", 5.into())])]);
    let open = Value::dynamic(ty(r#"["list","string"]"#), list(["first".into()]));
    let value = object([("set", set), ("open", open), ("map", object([("k", true.into())]))]);

    assert_eq!(value.at(&path([])), Some(&value));
    assert_eq!(value.at(&path([attribute("open"), Step::Index(0)])), Some(&"first".into()));
    assert_eq!(value.at(&path([attribute("map"), key("k")])), Some(&true.into()));
    let element = Step::Element(object([("deep", 5.into())]));
    let to = path([attribute("set"), element, attribute("deep")]);
    assert_eq!(value.at(&to), Some(&5.into()));
}

#[test]
fn a_path_to_what_is_not_there_leads_nowhere() {
    let value = object([("list", list(["x".into()]))]);
    for to in [
        path([attribute("no")]),
        path([Step::Index(0)]),
        path([attribute("list"), Step::Index(1)]),
        path([attribute("list"), Step::Index(-1)]),
        path([attribute("list"), Step::Index(0), attribute("deeper")]),
        path([attribute("list"), Step::Element("y".into())]),
    ] {
        assert_eq!(value.at(&to), None, "{to}");
    }
}

#[test]
fn what_is_asked_of_a_value_sees_through_its_type() {
    let open = |ty: &str, value| Value::dynamic(self::ty(ty), value);
    assert_eq!(open(r#""string""#, "x".into()).as_str(), Some("x"));
    assert_eq!(open(r#""number""#, 5.into()).as_i64(), Some(5));
    assert!(open(r#""bool""#, Value::Null).is_null());
    assert!(open(r#""bool""#, Value::unknown()).is_unknown());
    assert!(!open(r#""bool""#, Value::unknown()).is_wholly_known());
    assert_eq!(Value::from("x").as_bool(), None);
    assert_eq!(*object([("a", 1.into())]).get("b"), Value::Null);
    assert_eq!(*Value::Null.get("b"), Value::Null);
    assert!(!list([1.into(), Value::unknown()]).is_wholly_known());
}

#[test]
fn a_set_is_sorted_and_without_duplicates_as_far_as_that_is_known() {
    let unknown = Value::unknown;
    let set = Value::set(["b".into(), Value::Null, unknown(), "a".into(), "b".into(), unknown()]);
    assert_eq!(set, list(["a".into(), "b".into(), unknown(), unknown(), Value::Null]));
}

#[test]
fn the_real_type_of_an_open_value_is_that_which_it_brings() {
    let text = |text: &str| Value::dynamic(Type::String, text.into());
    let number = |number: i64| Value::dynamic(Type::Number, number.into());
    let real = |value: Value, json: &str| {
        let Typed { ty, value } = value.into_typed(&ty(json));
        (String::from_utf8(ty.to_json()).unwrap(), value)
    };
    let json = |ty: &str| ty.to_owned();

    let several = object([("a", text("x")), ("b", list([number(1), number(2)]))]);
    let expected = r#"["object",{"a":"string","b":["list","number"],"c":"dynamic"}]"#;
    let bare = [("a", "x".into()), ("b", list([1.into(), 2.into()])), ("c", Value::Null)];
    let open = r#"["object",{"a":"dynamic","b":["list","dynamic"],"c":"dynamic"}]"#;
    assert_eq!(real(several, open), (json(expected), object(bare)));

    let mixed = list([text("x"), number(1)]);
    let open = r#"["list","dynamic"]"#;
    assert_eq!(real(mixed.clone(), open), (json(open), mixed.clone()));
    let expected = r#"["tuple",["string","number"]]"#;
    let bare = list(["x".into(), 1.into()]);
    assert_eq!(real(mixed, r#"["tuple",["dynamic","dynamic"]]"#), (json(expected), bare));

    let map = object([("k", text("x"))]);
    let bare = object([("k", "x".into())]);
    assert_eq!(real(map, r#"["map","dynamic"]"#), (json(r#"["map","string"]"#), bare));
}
