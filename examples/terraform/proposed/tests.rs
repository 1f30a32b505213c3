//! What is proposed, place by place, and that it always is a plan that would be accepted.

use proptest::prelude::*;

use super::*;
use crate::conform::broken_by_plan;
use crate::testing::block;
use crate::testing::blocks;
use crate::testing::computed;
use crate::testing::either;
use crate::testing::list;
use crate::testing::nested;
use crate::testing::object;
use crate::testing::optional;
use crate::testing::text;
use crate::tfplugin::cty::Type;

const STRING: Type = Type::String;

/// `name` is configured, `id` computed, `size` either.
fn simple() -> Block {
    block([("name", optional(STRING)), ("id", computed(STRING)), ("size", either(STRING))], [])
}

fn three(name: Value, id: Value, size: Value) -> Value {
    object([("name", name), ("id", id), ("size", size)])
}

/// An object with a name that is configured and an id that is computed.
fn item(name: &str, id: Value) -> Value {
    object([("name", text(name)), ("id", id)])
}

fn attribute_of(nesting: Nesting) -> Block {
    let inner = [("name", optional(STRING)), ("id", computed(STRING))];
    block([("items", nested(nesting, inner))], [])
}

fn block_of(nesting: Nesting) -> Block {
    let inner = block([("name", optional(STRING)), ("id", computed(STRING))], []);
    block([], [("items", blocks(nesting, inner))])
}

/// What becomes of the items, in attributes and in blocks: the same.
fn items(nesting: Nesting, prior: Value, config: Value) -> Value {
    let object = |items: Value| object([("items", items)]);
    let [prior, config] = [object(prior), object(config)];
    let in_attribute = proposed_new(&attribute_of(nesting), &prior, &config);
    let in_block = proposed_new(&block_of(nesting), &prior, &config);
    assert_eq!(in_attribute, in_block);
    in_attribute.get("items").clone()
}

#[test]
fn what_is_computed_stays_null_where_nothing_was() {
    let config = three(text("a"), Value::Null, Value::Null);
    assert_eq!(proposed_new(&simple(), &Value::Null, &config), config);
}

#[test]
fn what_is_configured_wins_and_what_is_computed_stays() {
    let prior = three(text("a"), text("1"), text("s"));
    let config = three(text("b"), Value::Null, Value::Null);
    let expected = three(text("b"), text("1"), text("s"));
    assert_eq!(proposed_new(&simple(), &prior, &config), expected);
    let config = three(text("b"), Value::Null, text("t"));
    assert_eq!(proposed_new(&simple(), &prior, &config), three(text("b"), text("1"), text("t")));
}

#[test]
fn what_is_configured_no_more_becomes_null_unless_it_is_computed() {
    let prior = three(text("a"), text("1"), text("s"));
    let config = three(Value::Null, Value::Null, Value::Null);
    let expected = three(Value::Null, text("1"), text("s"));
    assert_eq!(proposed_new(&simple(), &prior, &config), expected);
}

#[test]
fn what_is_not_known_yet_stays_unknown() {
    let prior = three(text("a"), text("1"), text("s"));
    let config = three(Value::unknown(), Value::Null, Value::unknown());
    let expected = three(Value::unknown(), text("1"), Value::unknown());
    assert_eq!(proposed_new(&simple(), &prior, &config), expected);
}

#[test]
fn nothing_stays_nothing() {
    assert_eq!(proposed_new(&simple(), &Value::Null, &Value::Null), Value::Null);
}

#[test]
fn lists_are_matched_by_index() {
    let prior = list([item("a", text("1")), item("b", text("2"))]);
    let config = list([item("x", Value::Null), item("b", Value::Null), item("c", Value::Null)]);
    let expected = list([item("x", text("1")), item("b", text("2")), item("c", Value::Null)]);
    assert_eq!(items(Nesting::List, prior.clone(), config), expected);
    let shorter = list([item("a", Value::Null)]);
    assert_eq!(items(Nesting::List, prior, shorter), list([item("a", text("1"))]));
}

#[test]
fn maps_are_matched_by_key() {
    let prior = object([("k", item("a", text("1"))), ("l", item("b", text("2")))]);
    let config = object([("l", item("x", Value::Null)), ("m", item("a", Value::Null))]);
    let expected = object([("l", item("x", text("2"))), ("m", item("a", Value::Null))]);
    assert_eq!(items(Nesting::Map, prior, config), expected);
}

#[test]
fn sets_are_matched_by_what_is_not_computed() {
    let prior = Value::set([item("a", text("1")), item("b", text("2"))]);
    let config = Value::set([item("b", Value::Null), item("c", Value::Null)]);
    let expected = Value::set([item("b", text("2")), item("c", Value::Null)]);
    assert_eq!(items(Nesting::Set, prior, config), expected);
}

#[test]
fn an_element_of_a_set_is_matched_once() {
    let inner = [("name", optional(STRING)), ("id", either(STRING))];
    let schema = block([("items", nested(Nesting::Set, inner))], []);
    let set = |elements: [Value; 2]| object([("items", Value::set(elements))]);
    let prior = set([item("a", text("1")), item("a", text("2"))]);
    let config = set([item("a", Value::Null), item("a", text("1"))]);
    // The one that names its id takes its own; the other has what is left.
    let proposed = proposed_new(&schema, &prior, &config);
    assert_eq!(proposed, set([item("a", text("1")), item("a", text("2"))]));
}

#[test]
fn a_single_object_is_matched_and_its_absence_is_kept() {
    let prior = item("a", text("1"));
    let config = item("b", Value::Null);
    assert_eq!(items(Nesting::Single, prior.clone(), config), item("b", text("1")));
    assert_eq!(items(Nesting::Single, prior, Value::Null), Value::Null);
    let created = items(Nesting::Single, Value::Null, item("b", Value::Null));
    assert_eq!(created, item("b", Value::Null));
}

#[test]
fn a_group_is_there_even_if_it_is_empty() {
    let schema = block_of(Nesting::Group);
    let config = schema.empty();
    let proposed = proposed_new(&schema, &Value::Null, &config);
    let expected = object([("name", Value::Null), ("id", Value::Null)]);
    assert_eq!(proposed.get("items"), &expected);
}

#[test]
fn blocks_whose_number_is_not_known_yet_stay_unknown() {
    let prior = list([item("a", text("1"))]);
    assert_eq!(items(Nesting::List, prior, Value::unknown()), Value::unknown());
}

#[test]
fn an_object_that_must_have_been_configured_is_not_kept() {
    let inner = [("name", optional(STRING)), ("id", computed(STRING))];
    let attribute = Attribute { computed: true, ..nested(Nesting::Single, inner) };
    let schema = block([("items", attribute)], []);
    let config = object([("items", Value::Null)]);
    // Its name can only have come from a configuration, which is without it now.
    let prior = object([("items", item("a", text("1")))]);
    assert_eq!(proposed_new(&schema, &prior, &config).get("items"), &Value::Null);
    // This one the provider may have made by itself.
    let made = object([("name", Value::Null), ("id", text("1"))]);
    let prior = object([("items", made.clone())]);
    assert_eq!(proposed_new(&schema, &prior, &config).get("items"), &made);
}

/// Every nesting, in attributes and in blocks, two deep.
fn rich() -> Block {
    let inner = || [("name", optional(STRING)), ("id", computed(STRING)), ("size", either(STRING))];
    let part = blocks(Nesting::Set, block(inner(), []));
    block(
        [
            ("name", optional(STRING)),
            ("id", computed(STRING)),
            ("one", nested(Nesting::Single, inner())),
            ("many", nested(Nesting::List, inner())),
            ("keyed", nested(Nesting::Map, inner())),
            ("some", nested(Nesting::Set, inner())),
        ],
        [
            ("single", blocks(Nesting::Single, block(inner(), []))),
            ("group", blocks(Nesting::Group, block(inner(), []))),
            ("disk", blocks(Nesting::List, block(inner(), [("part", part)]))),
            ("label", blocks(Nesting::Map, block(inner(), []))),
            ("tag", blocks(Nesting::Set, block(inner(), []))),
        ],
    )
}

/// A string, null or, in a configuration, maybe unknown.
fn scalar(is_config: bool) -> BoxedStrategy<Value> {
    let known = prop_oneof![Just(Value::Null), "[ab]".prop_map(Value::from)];
    if is_config {
        prop_oneof![4 => known, 1 => Just(Value::unknown())].boxed()
    } else {
        known.boxed()
    }
}

/// A value of the block: a configuration, in which nothing is that is only computed, or a
/// state, in which all is known.
fn value_of(block: Block, is_config: bool) -> BoxedStrategy<Value> {
    let attributes: Vec<BoxedStrategy<(String, Value)>> = block
        .attributes
        .into_iter()
        .map(|(name, attribute)| {
            let strategy = match attribute.nested.clone() {
                Some(nested) => {
                    let inner = Block { attributes: nested.attributes, ..Block::default() };
                    collection_of(nested.nesting, value_of(inner, is_config), true)
                }
                None if is_config && !attribute.optional => Just(Value::Null).boxed(),
                None => scalar(is_config),
            };
            strategy.prop_map(move |value| (name.clone(), value)).boxed()
        })
        .collect();
    let blocks: Vec<BoxedStrategy<(String, Value)>> = block
        .blocks
        .into_iter()
        .map(|(name, nested)| {
            let may_be_null = nested.nesting == Nesting::Single;
            let inner = value_of(nested.block, is_config);
            let strategy = collection_of(nested.nesting, inner, may_be_null);
            strategy.prop_map(move |value| (name.clone(), value)).boxed()
        })
        .collect();
    (attributes, blocks)
        .prop_map(|(attributes, blocks)| attributes.into_iter().chain(blocks).collect())
        .boxed()
}

fn collection_of(
    nesting: Nesting,
    element: BoxedStrategy<Value>,
    may_be_null: bool,
) -> BoxedStrategy<Value> {
    let collection = match nesting {
        Nesting::Single | Nesting::Group => element,
        Nesting::List => prop::collection::vec(element, 0..3).prop_map(Value::from_iter).boxed(),
        Nesting::Set => prop::collection::vec(element, 0..3).prop_map(Value::set).boxed(),
        Nesting::Map => {
            prop::collection::btree_map("[kl]", element, 0..3).prop_map(Value::Mapping).boxed()
        }
    };
    if may_be_null {
        prop_oneof![3 => collection, 1 => Just(Value::Null)].boxed()
    } else {
        collection
    }
}

proptest! {
    #[test]
    fn what_is_proposed_would_be_accepted_as_a_plan(
        prior in prop_oneof![3 => value_of(rich(), false), 1 => Just(Value::Null)],
        config in value_of(rich(), true),
    ) {
        let schema = rich();
        let proposed = proposed_new(&schema, &prior, &config);
        let problems = broken_by_plan(&schema, &prior, &config, &proposed);
        prop_assert!(problems.is_empty(), "{problems:?}\n{proposed:?}");
    }

    #[test]
    fn what_is_proposed_again_is_the_same_where_all_can_be_told_apart(
        prior in value_of(rich(), false),
        config in value_of(rich(), true),
    ) {
        let schema = rich();
        let keep = |value: &Value| -> Value {
            let fields = value.as_mapping().into_iter().flatten();
            // Elements of sets change places when they are completed.
            let fields = fields.filter(|(name, _)| !["some", "tag", "disk"].contains(&name.as_str()));
            fields.map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        let once = proposed_new(&schema, &prior, &config);
        let twice = proposed_new(&schema, &once, &config);
        prop_assert_eq!(keep(&once), keep(&twice));
    }

    #[test]
    fn what_is_proposed_is_of_the_schemas_type(
        prior in value_of(rich(), false),
        config in value_of(rich(), true),
    ) {
        let schema = rich();
        let ty = schema.implied_type();
        let proposed = proposed_new(&schema, &prior, &config);
        let encoded = proposed.to_msgpack(&ty).expect("of the type");
        prop_assert_eq!(Value::from_msgpack(&encoded, &ty).expect("decodes"), proposed);
    }
}
