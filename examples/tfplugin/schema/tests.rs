//! What schemas imply, and that they survive the wire.

use prost::Message;
use serde_json::json;

use super::*;
use crate::tfplugin::cty::DecodeProblem;
use crate::tfplugin::cty::Step;
use crate::tfplugin::cty::Value;
use crate::tfplugin::diagnostic::Severity;
use crate::tfplugin::wire::tfplugin5;
use crate::tfplugin::wire::tfplugin6;

fn ty(json: &str) -> Type {
    Type::from_json(json.as_bytes()).unwrap()
}

fn named<const N: usize, T>(entries: [(&str, T); N]) -> BTreeMap<String, T> {
    entries.into_iter().map(|(name, entry)| (name.to_owned(), entry)).collect()
}

fn block<const N: usize>(attributes: [(&str, Attribute); N]) -> Block {
    Block { attributes: named(attributes), ..Block::default() }
}

fn object<const N: usize>(attributes: [(&str, Value); N]) -> Value {
    attributes.into_iter().collect()
}

fn list<const N: usize>(elements: [Value; N]) -> Value {
    elements.into_iter().collect()
}

fn optional(ty: Type) -> Attribute {
    Attribute { optional: true, ..Attribute::new(ty) }
}

fn secret() -> Attribute {
    Attribute { sensitive: true, ..optional(Type::String) }
}

fn path<const N: usize>(steps: [Step; N]) -> Path {
    steps.into_iter().collect()
}

fn attribute(name: &str) -> Step {
    Step::Attribute(name.to_owned())
}

const NESTINGS: [Nesting; 5] =
    [Nesting::Single, Nesting::List, Nesting::Set, Nesting::Map, Nesting::Group];

/// A block with a block of every nesting, named by it.
fn nestings(inner: &Block) -> Block {
    let blocks = NESTINGS.map(|nesting| {
        let name = format!("{nesting:?}").to_lowercase();
        (name, NestedBlock::new(nesting, inner.clone()))
    });
    Block { blocks: blocks.into(), ..Block::default() }
}

#[test]
fn the_type_of_a_block_is_an_object_of_its_attributes_and_blocks() {
    let inner = block([("on", optional(Type::Bool))]);
    let of = r#"["object",{"on":"bool"}]"#;
    let expected = format!(
        r#"["object",{{"single":{of},"list":["list",{of}],"set":["set",{of}],"map":["map",{of}],
            "group":{of}}}]"#
    );
    assert_eq!(nestings(&inner).implied_type(), ty(&expected));
}

#[test]
fn lists_and_maps_of_blocks_with_an_open_type_are_open_as_a_whole() {
    let inner = block([("any", optional(Type::map(Type::Dynamic)))]);
    let of = r#"["object",{"any":["map","dynamic"]}]"#;
    let expected = format!(
        r#"["object",{{"single":{of},"list":"dynamic","set":["set",{of}],"map":"dynamic",
            "group":{of}}}]"#
    );
    assert_eq!(nestings(&inner).implied_type(), ty(&expected));
}

#[test]
fn nothing_is_optional_in_an_implied_type() {
    let attribute = optional(ty(r#"["object",{"a":"string"},["a"]]"#));
    let implied = block([("o", attribute)]).implied_type();
    assert_eq!(implied, ty(r#"["object",{"o":["object",{"a":"string"}]}]"#));
}

#[test]
fn attributes_of_an_attribute_imply_its_type() {
    let attributes = named([("a", optional(Type::String)), ("b", optional(Type::Dynamic))]);
    let of = r#"["object",{"a":"string","b":"dynamic"}]"#;
    for (nesting, json) in [
        (Nesting::Single, of.to_owned()),
        (Nesting::List, format!(r#"["list",{of}]"#)),
        (Nesting::Set, format!(r#"["set",{of}]"#)),
        (Nesting::Map, format!(r#"["map",{of}]"#)),
    ] {
        let nested = Nested { nesting, attributes: attributes.clone() };
        assert_eq!(Attribute::with_nested(nested).ty, ty(&json));
    }
}

#[test]
fn an_empty_configuration_has_nulls_and_empty_collections() {
    let inner = block([("on", optional(Type::Bool))]);
    let outer = Block { attributes: named([("a", secret())]), ..nestings(&inner) };
    let expected = object([
        ("a", Value::Null),
        ("single", Value::Null),
        ("list", list([])),
        ("set", list([])),
        ("map", object([])),
        ("group", object([("on", Value::Null)])),
    ]);
    assert_eq!(outer.empty(), expected);
    assert!(outer.empty().to_msgpack(&outer.implied_type()).is_ok());
}

#[test]
fn open_collections_of_no_blocks_are_an_empty_tuple_and_an_empty_object() {
    let outer = nestings(&block([("any", optional(Type::Dynamic))]));
    let empty = outer.empty();
    assert_eq!(*empty.get("list"), Value::dynamic(Type::Tuple(Vec::new()), list([])));
    assert_eq!(*empty.get("map"), Value::dynamic(ty(r#"["object",{}]"#), object([])));
    assert_eq!(outer.from_json(&json!({})).unwrap(), empty);
    assert!(empty.to_msgpack(&outer.implied_type()).is_ok());
}

#[test]
fn a_configuration_has_one_block_or_an_array_of_them() {
    let inner = block([("on", optional(Type::Bool)), ("n", optional(Type::Number))]);
    let outer = nestings(&inner);
    let on = |on: bool| object([("on", on.into()), ("n", Value::Null)]);
    let read = outer.from_json(&json!({
        "single": { "on": "true" },
        "list": [{ "on": true }, { "on": false }, { "on": true }],
        "set": [{ "on": true }, { "on": false }, { "on": true }],
        "map": { "x": { "on": true } },
        "group": [{ "on": false }],
    }));
    let expected = object([
        ("single", on(true)),
        ("list", list([on(true), on(false), on(true)])),
        ("set", list([on(false), on(true)])),
        ("map", object([("x", on(true))])),
        ("group", on(false)),
    ]);
    assert_eq!(read.unwrap(), expected);

    let read = outer.from_json(&json!({ "list": { "on": true }, "single": null, "group": [] }));
    let expected = object([
        ("single", Value::Null),
        ("list", list([on(true)])),
        ("set", list([])),
        ("map", object([])),
        ("group", object([("on", Value::Null), ("n", Value::Null)])),
    ]);
    assert_eq!(read.unwrap(), expected);
}

#[test]
fn absent_blocks_in_blocks_are_empty_as_well() {
    let outer = Block {
        blocks: named([("l", NestedBlock::new(Nesting::List, nestings(&Block::default())))]),
        ..Block::default()
    };
    let read = outer.from_json(&json!({ "l": [{}] })).unwrap();
    assert_eq!(*read.get("l"), list([nestings(&Block::default()).empty()]));
}

#[test]
fn blocks_with_an_open_type_bring_the_types_that_they_have() {
    let inner = block([("any", optional(Type::Dynamic)), ("n", optional(Type::Number))]);
    let outer = nestings(&inner);
    let json = json!({ "list": [{ "any": [1] }, { "n": "5" }], "map": { "k": { "any": "x" } } });
    let read = outer.from_json(&json).unwrap();

    let first = r#"["object",{"any":["tuple",["number"]],"n":"number"}]"#;
    let second = r#"["object",{"any":"dynamic","n":"number"}]"#;
    let values = list([
        object([("any", list([1.into()])), ("n", Value::Null)]),
        object([("any", Value::Null), ("n", 5.into())]),
    ]);
    let expected = Value::dynamic(ty(&format!(r#"["tuple",[{first},{second}]]"#)), values);
    assert_eq!(*read.get("list"), expected);
    let labelled = ty(r#"["object",{"k":["object",{"any":"string","n":"number"}]}]"#);
    let values = object([("k", object([("any", "x".into()), ("n", Value::Null)]))]);
    assert_eq!(*read.get("map"), Value::dynamic(labelled, values));
    assert!(read.to_msgpack(&outer.implied_type()).is_ok());
}

#[test]
fn a_configuration_that_does_not_fit_is_refused_and_the_error_says_where() {
    let outer = nestings(&block([("on", optional(Type::Bool))]));
    let refused = |json| {
        let error = outer.from_json(&json).expect_err("no such configuration");
        (error.path.to_string(), error.problem)
    };
    let (at, problem) = refused(json!({ "list": [{}, { "on": 5 }] }));
    assert_eq!(at, ".list[1].on");
    assert!(matches!(problem, DecodeProblem::Kind { .. }));
    let (at, problem) = refused(json!({ "map": { "x": { "off": true } } }));
    assert_eq!(at, r#".map["x"]"#);
    assert!(matches!(problem, DecodeProblem::Unexpected(name) if name == "off"));
    let (at, problem) = refused(json!({ "single": [{}, {}] }));
    assert_eq!(at, ".single");
    assert!(matches!(problem, DecodeProblem::Length { expected: 1, found: 2 }));
    assert_eq!(refused(json!({ "map": [{}] })).0, ".map");
    assert_eq!(refused(json!([])).0, "");
}

#[test]
fn what_is_sensitive_is_found_at_every_depth() {
    let nested = Nested { nesting: Nesting::Map, attributes: named([("key", secret())]) };
    let write_only = Attribute { write_only: true, ..optional(Type::String) };
    let attributes = [
        ("plain", optional(Type::String)),
        ("token", secret()),
        ("once", write_only),
        ("keys", Attribute::with_nested(nested)),
    ];
    let inner = block(attributes);
    let element = object([
        ("plain", "p".into()),
        ("token", "t".into()),
        ("keys", object([("k", object([("key", "s".into())]))])),
    ]);
    let value = object([
        ("list", list([element.clone()])),
        ("set", list([element.clone()])),
        ("single", Value::Null),
        ("map", Value::unknown()),
        ("group", object([])),
    ]);
    let found = nestings(&inner).sensitive_paths(&value);

    let mut expected = Vec::new();
    for to in [
        path([attribute("group")]),
        path([attribute("list"), Step::Index(0)]),
        path([attribute("set"), Step::Element(element)]),
    ] {
        if to.0.len() > 1 {
            let key = to.join(attribute("keys")).join(Step::Key("k".into()));
            expected.push(key.join(attribute("key")));
        }
        expected.push(to.join(attribute("once")));
        expected.push(to.join(attribute("token")));
    }
    assert_eq!(found, expected);
    let secrets = found.iter().filter_map(|path| value.at(path)).filter_map(Value::as_str);
    assert_eq!(secrets.collect::<Vec<_>>(), ["s", "t", "s", "t"]);
}

#[test]
fn what_is_sensitive_is_found_in_blocks_that_bring_their_type() {
    let inner = block([("any", optional(Type::Dynamic)), ("token", secret())]);
    let outer = nestings(&inner);
    let value = outer.from_json(&json!({ "list": [{ "token": "t" }], "map": { "k": {} } }));
    let found = outer.sensitive_paths(&value.unwrap());
    let expected = [".group.token", ".list[0].token", r#".map["k"].token"#];
    assert_eq!(found.iter().map(Path::to_string).collect::<Vec<_>>(), expected);
}

/// With everything that version 5 can say.
fn everything() -> ProviderSchema {
    let described = |text: &str, is_markdown| Description { text: text.to_owned(), is_markdown };
    let all = Attribute {
        required: true,
        optional: true,
        computed: true,
        sensitive: true,
        write_only: true,
        deprecated: true,
        description: described("*all*", true),
        ..Attribute::new(Type::list(Type::Dynamic))
    };
    let inner = block([("all", all), ("none", Attribute::new(Type::Bool))]);
    let mut outer = Block { deprecated: true, ..nestings(&inner) };
    outer.description = described("outer", false);
    for (limit, nested) in (1..).zip(outer.blocks.values_mut()) {
        (nested.min_items, nested.max_items) = (limit, 2 * limit);
    }
    let schema = |version| Schema { version, block: outer.clone() };
    let parameter = |name: &str| Parameter {
        name: name.to_owned(),
        ty: Type::set(Type::Number),
        allows_null: name == "a",
        allows_unknown: name == "b",
        description: described(name, true),
    };
    let function = Function {
        parameters: vec![parameter("a"), parameter("b")],
        variadic: Some(parameter("rest")),
        returns: Type::Dynamic,
        summary: "sums".to_owned(),
        description: described("adds", true),
        deprecation: "use +".to_owned(),
    };
    ProviderSchema {
        provider: schema(1),
        provider_meta: Some(schema(2)),
        resources: named([("r", schema(3)), ("s", Schema::default())]),
        data_sources: named([("d", schema(4))]),
        ephemeral_resources: named([("e", schema(5))]),
        functions: named([("f", function)]),
        plan_destroy: true,
        is_optional: false,
        moves_state: true,
        diagnostics: vec![Diagnostic::warning("old", "")],
    }
}

/// With attributes that have attributes.
fn with_nested() -> ProviderSchema {
    let mut schema = everything();
    let attributes = named([("x", secret())]);
    for nesting in [Nesting::Single, Nesting::List, Nesting::Set, Nesting::Map] {
        let inner = Nested { nesting, attributes: attributes.clone() };
        let inner = named([("deep", Attribute::with_nested(inner))]);
        let outer = Attribute::with_nested(Nested { nesting, attributes: inner });
        let name = format!("{nesting:?}_attribute");
        schema.provider.block.attributes.insert(name, outer);
    }
    schema
}

#[test]
fn a_schema_survives_the_wire_in_version_6() {
    for schema in [everything(), with_nested(), ProviderSchema::default()] {
        let bytes = tfplugin6::GetSchemaResponse::from(&schema).encode_to_vec();
        let received = tfplugin6::GetSchemaResponse::decode(&bytes[..]).unwrap();
        assert_eq!(ProviderSchema::try_from(received).unwrap(), schema);
    }
}

#[test]
fn a_schema_survives_the_wire_in_version_5() {
    let schema = everything();
    let bytes = tfplugin5::GetSchemaResponse::try_from(&schema).unwrap().encode_to_vec();
    let received = tfplugin5::GetSchemaResponse::decode(&bytes[..]).unwrap();
    assert_eq!(ProviderSchema::try_from(received).unwrap(), schema);
}

#[test]
fn version_5_cannot_say_that_an_attribute_has_attributes() {
    let mut schema = everything();
    let resource = schema.resources.get_mut("r").unwrap();
    let nested = Nested { nesting: Nesting::Single, attributes: BTreeMap::new() };
    let block = &mut resource.block.blocks.get_mut("list").unwrap().block;
    block.attributes.insert("n".to_owned(), Attribute::with_nested(nested));
    let error = tfplugin5::GetSchemaResponse::try_from(&schema).unwrap_err();
    assert!(matches!(error.problem, SchemaProblem::NestedAttributes), "{error}");
    assert_eq!(error.place, Place::Resource("r".to_owned()));
    assert_eq!(error.path.to_string(), ".list.n");
}

#[test]
fn with_errors_there_are_only_diagnostics() {
    let mut wire = tfplugin6::GetSchemaResponse::from(&everything());
    wire.provider = None;
    wire.diagnostics = vec![Diagnostic::error("broken", "").into()];
    let schema = ProviderSchema::try_from(wire).unwrap();
    assert_eq!(schema.diagnostics.len(), 1);
    assert_eq!(schema.diagnostics[0].severity, Severity::Error);
    let nothing_else = ProviderSchema { diagnostics: Vec::new(), ..schema };
    assert_eq!(nothing_else, ProviderSchema::default());
}

#[test]
fn a_schema_that_makes_no_sense_is_refused_and_the_error_says_where() {
    use tfplugin6::schema::NestedBlock as WireBlock;

    let refused = |change: fn(&mut tfplugin6::schema::Block)| {
        let mut wire = tfplugin6::GetSchemaResponse::from(&everything());
        let resource = wire.resource_schemas.get_mut("r").unwrap();
        let outer = resource.block.as_mut().unwrap();
        let list = outer.block_types.iter_mut().find(|block| block.type_name == "list").unwrap();
        change(list.block.as_mut().unwrap());
        let error = ProviderSchema::try_from(wire).expect_err("no schema");
        assert_eq!(error.place, Place::Resource("r".to_owned()));
        (error.path.to_string(), error.problem)
    };
    let (at, problem) = refused(|block| block.attributes[0].r#type = "\"int\"".into());
    assert_eq!(at, ".list.all");
    assert!(matches!(problem, SchemaProblem::Type(TypeError::Unknown(name)) if name == "int"));
    let (at, problem) = refused(|block| block.attributes[0].r#type.clear());
    assert_eq!(at, ".list.all");
    assert!(matches!(problem, SchemaProblem::NoType));
    let (_, problem) = refused(|block| block.attributes[0].nested_type = Some(Default::default()));
    assert!(matches!(problem, SchemaProblem::TwoTypes));
    let (_, problem) = refused(|block| block.attributes[0].name = "none".to_owned());
    assert!(matches!(problem, SchemaProblem::Duplicate(name) if name == "none"));
    let (at, problem) = refused(|block| block.block_types.push(WireBlock::default()));
    assert_eq!(at, ".list.\"\"");
    assert!(matches!(problem, SchemaProblem::Nesting(0)));
}

#[test]
fn a_provider_without_a_schema_and_without_an_error_is_refused() {
    let error = ProviderSchema::try_from(tfplugin5::GetSchemaResponse::default()).unwrap_err();
    assert!(matches!(error.problem, SchemaProblem::Missing), "{error}");
    assert_eq!(error.place, Place::Provider);
    let said = "the schema of the provider's configuration makes no sense: it is missing";
    assert_eq!(error.to_string(), said);
}
