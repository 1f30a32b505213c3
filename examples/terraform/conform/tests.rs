//! Rules, and what breaks them.

use super::*;
use crate::testing::block;
use crate::testing::blocks;
use crate::testing::computed;
use crate::testing::either;
use crate::testing::list;
use crate::testing::nested;
use crate::testing::object;
use crate::testing::optional;
use crate::testing::sensitive;
use crate::testing::text;
use crate::testing::write_only;
use crate::tfplugin::cty::Bound;
use crate::tfplugin::cty::Number;
use crate::tfplugin::cty::Range;
use crate::tfplugin::cty::Refinement;
use crate::tfplugin::cty::Type;
use crate::tfplugin::schema::Block;
use crate::tfplugin::schema::NestedBlock;
use crate::tfplugin::schema::Nesting;

/// A schema of one attribute `a`, and what is wrong with a plan for it.
fn planned(attribute: Attribute, [prior, config, planned]: [Value; 3]) -> Vec<String> {
    let schema = block([("a", attribute)], []);
    let [prior, config, planned] = [prior, config, planned].map(|value| object([("a", value)]));
    said(broken_by_plan(&schema, &prior, &config, &planned))
}

/// A schema of one attribute `a`, and what is wrong with a result of it.
fn applied(attribute: Attribute, planned: Value, actual: Value) -> Vec<String> {
    let schema = block([("a", attribute)], []);
    let [planned, actual] = [planned, actual].map(|value| object([("a", value)]));
    said(broken_by_result(&schema, &planned, &actual))
}

fn said(problems: Vec<Problem>) -> Vec<String> {
    problems.iter().map(Problem::to_string).collect()
}

const NONE: [&str; 0] = [];

fn a() -> Value {
    text("a")
}

fn b() -> Value {
    text("b")
}

fn c() -> Value {
    text("c")
}

fn null() -> Value {
    Value::Null
}

fn string() -> Attribute {
    optional(Type::String)
}

/// Blocks `a` with an attribute `x`.
fn block_of(nesting: Nesting) -> Block {
    let inner = block([("x", string())], []);
    block([], [("a", blocks(nesting, inner))])
}

fn x(value: Value) -> Value {
    object([("x", value)])
}

fn planned_blocks(nesting: Nesting, config: Value, planned: Value) -> Vec<String> {
    let [config, planned] = [config, planned].map(|value| object([("a", value)]));
    said(broken_by_plan(&block_of(nesting), &Value::Null, &config, &planned))
}

fn applied_blocks(nesting: Nesting, planned: Value, actual: Value) -> Vec<String> {
    let [planned, actual] = [planned, actual].map(|value| object([("a", value)]));
    said(broken_by_result(&block_of(nesting), &planned, &actual))
}

#[test]
fn a_plan_is_as_configured_or_as_it_was() {
    assert_eq!(planned(string(), [a(), b(), b()]), NONE);
    assert_eq!(planned(string(), [a(), b(), a()]), NONE);
    assert_eq!(planned(string(), [null(), Value::unknown(), Value::unknown()]), NONE);
    let other = planned(string(), [a(), b(), c()]);
    assert_eq!(other, [".a is planned as \"c\"; configured is \"b\", it was \"a\""]);
    let new = planned(string(), [null(), b(), c()]);
    assert_eq!(new, [".a is planned as \"c\"; configured is \"b\""]);
    assert_eq!(planned(string(), [null(), b(), null()]).len(), 1);
    assert_eq!(planned(string(), [null(), b(), Value::unknown()]).len(), 1);
    assert_eq!(planned(string(), [null(), Value::unknown(), b()]).len(), 1);
}

#[test]
fn only_what_is_computed_may_be_filled_in() {
    assert_eq!(planned(computed(Type::String), [null(), null(), c()]), NONE);
    assert_eq!(planned(either(Type::String), [a(), null(), Value::unknown()]), NONE);
    assert_eq!(planned(either(Type::String), [null(), b(), c()]).len(), 1);
    let filled = planned(string(), [null(), null(), c()]);
    assert_eq!(filled, [".a is planned as \"c\"; nothing is configured, and it is not computed"]);
    // The prior value is no excuse where nothing is configured.
    assert_eq!(planned(string(), [a(), null(), a()]).len(), 1);
}

#[test]
fn what_is_sensitive_is_not_named_in_a_problem() {
    let plan = planned(sensitive(string()), [null(), b(), c()]);
    assert_eq!(plan, [".a is sensitive, and is not planned as configured"]);
    let result = applied(sensitive(string()), b(), c());
    assert_eq!(result, [".a is sensitive, and is not as it was planned"]);
    let inner = nested(Nesting::Single, [("x", sensitive(string()))]);
    let result = applied(inner, x(b()), x(c()));
    assert_eq!(result, [".a is sensitive, and is not as it was planned"]);
}

#[test]
fn what_is_write_only_is_planned_as_null() {
    assert_eq!(planned(write_only(Type::String), [null(), b(), null()]), NONE);
    assert_eq!(planned(write_only(Type::String), [null(), b(), c()]).len(), 1);
}

#[test]
fn what_is_known_of_an_unknown_value_makes_no_difference_to_a_plan() {
    let refined = || Value::Unknown(Refinement::not_null());
    assert_eq!(planned(string(), [null(), Value::unknown(), refined()]), NONE);
    let ty = optional(Type::list(Type::String));
    assert_eq!(planned(ty, [null(), list([Value::unknown()]), list([refined()])]), NONE);
}

#[test]
fn attributes_of_an_attribute_are_looked_into() {
    let inner = |nesting| nested(nesting, [("x", string()), ("id", computed(Type::String))]);
    let one = |x: Value, id: Value| object([("x", x), ("id", id)]);
    let config = || list([one(a(), null()), one(b(), null())]);
    let plan = list([one(a(), c()), one(c(), Value::unknown())]);
    let found = planned(inner(Nesting::List), [null(), config(), plan]);
    assert_eq!(found, [".a[1].x is planned as \"c\"; configured is \"b\""]);
    let shorter = list([one(a(), c())]);
    let found = planned(inner(Nesting::List), [null(), config(), shorter]);
    assert_eq!(found, [".a has 1 elements in the plan, 2 are configured"]);
    let config = object([("k", one(a(), null()))]);
    let plan = object([("l", one(a(), c()))]);
    let found = planned(inner(Nesting::Map), [null(), config, plan]);
    let expected = [
        ".a[\"l\"] is planned, but is not configured",
        ".a[\"k\"] is configured, but is not planned",
    ];
    assert_eq!(found, expected);
    let found = planned(inner(Nesting::Single), [null(), one(a(), null()), null()]);
    assert_eq!(found, [".a is planned to be absent, but is configured"]);
    let found = planned(inner(Nesting::Single), [null(), one(a(), null()), Value::unknown()]);
    assert_eq!(found, [".a is planned as unknown, although it is configured"]);
}

#[test]
fn of_a_set_only_the_number_is_compared_and_only_where_it_is_certain() {
    let inner = || nested(Nesting::Set, [("x", string())]);
    let config = || Value::set([x(a()), x(b())]);
    assert_eq!(planned(inner(), [null(), config(), Value::set([x(a()), x(c())])]), NONE);
    assert_eq!(planned(inner(), [null(), config(), Value::set([x(a())])]).len(), 1);
    let open = Value::set([x(a()), x(b()), x(Value::unknown())]);
    assert_eq!(planned(inner(), [null(), config(), open]), NONE);
    let open = Value::set([x(Value::unknown())]);
    assert_eq!(planned(inner(), [null(), config(), open]).len(), 1);
}

#[test]
fn blocks_are_as_many_as_are_configured_and_never_null_or_unknown() {
    let config = || list([x(a())]);
    assert_eq!(planned_blocks(Nesting::List, config(), config()), NONE);
    assert_eq!(planned_blocks(Nesting::List, config(), list([x(b())])).len(), 1);
    let found = planned_blocks(Nesting::List, config(), list([]));
    assert_eq!(found, [".a has 0 elements in the plan, 1 are configured"]);
    for nesting in [Nesting::List, Nesting::Set] {
        let found = planned_blocks(nesting, config(), null());
        assert_eq!(found, [".a must be empty to say that there are no blocks, not null"]);
        let found = planned_blocks(nesting, config(), Value::unknown());
        assert_eq!(found, [".a is a block and cannot be unknown: its attributes may be"]);
    }
    let found = planned_blocks(Nesting::Set, config(), Value::set([Value::unknown()]));
    assert_eq!(found, [".a has a block that is unknown: its attributes may be"]);
    let found = planned_blocks(Nesting::List, Value::unknown(), config());
    assert_eq!(found, [".a is planned, although it is not known how many there will be"]);
    assert_eq!(planned_blocks(Nesting::List, Value::unknown(), Value::unknown()), NONE);
    let found = planned_blocks(Nesting::Map, object([("k", x(a()))]), object([]));
    assert_eq!(found, [".a[\"k\"] is configured, but is not planned"]);
    let found = planned_blocks(Nesting::Single, null(), x(a()));
    assert_eq!(found, [".a is planned, but is absent from the configuration"]);
}

#[test]
fn a_result_is_as_planned_and_what_was_unknown_may_be_anything() {
    assert_eq!(applied(string(), a(), a()), NONE);
    assert_eq!(applied(string(), Value::unknown(), a()), NONE);
    assert_eq!(applied(string(), Value::unknown(), null()), NONE);
    assert_eq!(applied(string(), a(), b()), [".a was \"a\", but now \"b\""]);
    assert_eq!(applied(string(), a(), null()), [".a was \"a\", but now null"]);
    assert_eq!(applied(string(), null(), a()), [".a was null, but now \"a\""]);
    assert_eq!(applied(string(), a(), Value::unknown()), [".a was known, but now is unknown"]);
}

#[test]
fn what_was_known_of_an_unknown_value_has_to_come_true() {
    let refined = |range: Range| Value::Unknown(Refinement::new(&range));
    let not_null = || refined(Range { is_null: Some(false), ..Range::default() });
    assert_eq!(applied(string(), not_null(), a()), NONE);
    assert_eq!(applied(string(), not_null(), null()).len(), 1);
    let prefix = || refined(Range { prefix: Some("ab".to_owned()), ..Range::default() });
    assert_eq!(applied(string(), prefix(), text("abc")), NONE);
    assert_eq!(applied(string(), prefix(), text("b")).len(), 1);
    let bound = |number: i64, inclusive| Some(Bound { number: Number::from(number), inclusive });
    let bounds =
        || refined(Range { lower: bound(1, true), upper: bound(3, false), ..Range::default() });
    for (number, problems) in [(0, 1), (1, 0), (2, 0), (3, 1)] {
        let found = applied(optional(Type::Number), bounds(), Value::from(number));
        assert_eq!(found.len(), problems, "{number}");
    }
    let length = || refined(Range { min_length: Some(1), max_length: Some(2), ..Range::default() });
    let strings = || optional(Type::list(Type::String));
    assert_eq!(applied(strings(), length(), list([])).len(), 1);
    assert_eq!(applied(strings(), length(), list([a(), b()])), NONE);
    assert_eq!(applied(strings(), length(), list([a(), b(), c()])).len(), 1);
}

#[test]
fn elements_neither_vanish_nor_appear() {
    let strings = || optional(Type::list(Type::String));
    let found = applied(strings(), list([a(), b()]), list([a()]));
    assert_eq!(found, [".a[1] has vanished"]);
    let found = applied(strings(), list([a()]), list([a(), b()]));
    assert_eq!(found, [".a[1] has appeared"]);
    let map = || optional(Type::map(Type::String));
    let found = applied(map(), object([("k", a())]), object([("l", a())]));
    assert_eq!(found, [".a[\"k\"] has vanished", ".a[\"l\"] has appeared"]);
    let ty = optional(Type::object([("x", Type::String)]));
    assert_eq!(applied(ty, x(a()), x(b())), [".a.x was \"a\", but now \"b\""]);
}

#[test]
fn elements_of_a_set_are_what_some_planned_one_may_have_become() {
    let set = || optional(Type::set(Type::String));
    let open = || Value::set([a(), Value::unknown()]);
    assert_eq!(applied(set(), open(), Value::set([a(), b()])), NONE);
    // What was unknown has turned out to be the same.
    assert_eq!(applied(set(), open(), Value::set([a()])), NONE);
    assert_eq!(applied(set(), open(), Value::set([b()])), [".a was planned to have \"a\""]);
    let found = applied(set(), Value::set([a()]), Value::set([a(), b()]));
    let expected =
        [".a was planned with 1 elements, but has 2", ".a has \"b\", which was not planned"];
    assert_eq!(found, expected);
}

#[test]
fn blocks_are_as_many_as_were_planned() {
    let found = applied_blocks(Nesting::List, list([x(a())]), list([]));
    assert_eq!(found, [".a was planned to have 1 blocks, but has 0"]);
    let found = applied_blocks(Nesting::List, list([x(a())]), list([x(b())]));
    assert_eq!(found, [".a[0].x was \"a\", but now \"b\""]);
    assert_eq!(applied_blocks(Nesting::List, Value::unknown(), list([x(b())])), NONE);
    let open = || Value::set([x(a()), x(Value::unknown())]);
    assert_eq!(applied_blocks(Nesting::Set, open(), Value::set([x(a()), x(b())])), NONE);
    assert_eq!(applied_blocks(Nesting::Set, open(), Value::set([x(b()), x(c())])).len(), 1);
    let found = applied_blocks(Nesting::Single, x(a()), null());
    assert_eq!(found, [".a was present, but now is absent"]);
    let map = |key: &str| object([(key, x(a()))]);
    assert_eq!(applied_blocks(Nesting::Map, map("k"), map("l")).len(), 2);
}

#[test]
fn a_value_with_its_type_keeps_its_type() {
    let dynamic = |value: Value, ty| Value::dynamic(ty, value);
    let open = || optional(Type::Dynamic);
    let planned = || dynamic(a(), Type::String);
    assert_eq!(applied(open(), planned(), planned()), NONE);
    let found = applied(open(), planned(), dynamic(Value::from(true), Type::Bool));
    assert_eq!(found, [".a was string, but now is bool"]);
    assert_eq!(applied(open(), Value::unknown(), planned()), NONE);
}

#[test]
fn an_object_that_appears_or_vanishes_is_named_as_a_whole() {
    let found = said(broken_by_result(&block_of(Nesting::List), &null(), &x(a())));
    assert_eq!(found, ["the whole object was absent, but now is present"]);
}

#[test]
fn unknown_values_are_found_and_become_null() {
    let value = object([("a", list([a(), Value::unknown()])), ("b", Value::unknown())]);
    let paths: Vec<String> = unknown_paths(&value).iter().map(ToString::to_string).collect();
    assert_eq!(paths, [".a[1]", ".b"]);
    let known = without_unknowns(value);
    assert_eq!(known, object([("a", list([a(), null()])), ("b", null())]));
}

#[test]
fn long_values_are_cut_in_messages() {
    let found = applied(string(), text(&"é".repeat(500)), a());
    assert!(found[0].len() < 200, "{}", found[0]);
}

#[test]
fn absent_blocks_become_empty_ones() {
    let inner = || block([("x", string())], [("deep", blocks(Nesting::Set, Block::default()))]);
    let of = |nesting| blocks(nesting, inner());
    let schema = block(
        [],
        [
            ("list", of(Nesting::List)),
            ("map", of(Nesting::Map)),
            ("set", of(Nesting::Set)),
            ("single", of(Nesting::Single)),
            ("full", NestedBlock { min_items: 1, ..of(Nesting::List) }),
        ],
    );
    let object_of = |full: Value| {
        object([
            ("list", null()),
            ("map", null()),
            ("set", null()),
            ("single", null()),
            ("full", list([full])),
        ])
    };
    let found = normalised(&schema, object_of(object([("x", a()), ("deep", null())])));
    assert_eq!(found.get("list"), &list([]));
    assert_eq!(found.get("map"), &object([]));
    assert_eq!(found.get("set"), &list([]));
    assert_eq!(found.get("single"), &null());
    assert_eq!(found.get("full"), &list([object([("x", a()), ("deep", list([]))])]));
    assert_eq!(normalised(&schema, found.clone()), found);
}

#[test]
fn what_is_write_only_is_taken_out_wherever_it_is() {
    let secret = || block([("s", write_only(Type::String)), ("x", string())], []);
    let in_attribute = nested(Nesting::Map, [("s", write_only(Type::String))]);
    let schema = block(
        [("top", write_only(Type::String)), ("keyed", in_attribute)],
        [("set", blocks(Nesting::Set, secret())), ("one", blocks(Nesting::Single, secret()))],
    );
    let both = |s: Value| object([("s", s), ("x", a())]);
    let value = object([
        ("top", a()),
        ("keyed", object([("k", object([("s", b())]))])),
        ("set", Value::set([both(c())])),
        ("one", both(null())),
    ]);
    let (clean, leaked) = without_write_only(&schema, value);
    let paths: Vec<String> = leaked.iter().map(ToString::to_string).collect();
    assert_eq!(paths, [".keyed[\"k\"].s", ".top", ".set[0].s"]);
    let (again, leaked) = without_write_only(&schema, clean.clone());
    assert_eq!((again, leaked), (clean, Vec::new()));
}
