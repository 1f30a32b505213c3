//! Differences as they are shown: what Terraform shows of the same.

use super::*;
use crate::render::Style;
use crate::testing::block;
use crate::testing::blocks;
use crate::testing::computed;
use crate::testing::list;
use crate::testing::nested;
use crate::testing::object;
use crate::testing::optional;
use crate::testing::sensitive;
use crate::testing::text;
use crate::testing::write_only;
use crate::tfplugin::cty::Path;
use crate::tfplugin::cty::Step;
use crate::tfplugin::cty::Type;
use crate::tfplugin::schema::Attribute;
use crate::tfplugin::schema::Block;
use crate::tfplugin::schema::Nesting;

const PLAIN: Shown = Shown { style: Style::OFF, is_plain: true };
const SIGNS: Shown = Shown { style: Style::OFF, is_plain: false };

/// A schema of one attribute `a`, before and after.
fn shown(attribute: Attribute, before: Value, after: Value) -> String {
    let schema = block([("a", attribute)], []);
    let [before, after] = [before, after].map(|value| object([("a", value)]));
    block_text(&compare(&schema, &before, &after, &[]), SIGNS)
}

fn null() -> Value {
    Value::Null
}

fn string() -> Attribute {
    optional(Type::String)
}

fn strings() -> Attribute {
    optional(Type::list(Type::String))
}

fn texts(values: &[&str]) -> Value {
    values.iter().map(|value| text(value)).collect()
}

/// Without the braces around, and the signs of that depth.
fn inside(shown: &str) -> String {
    let lines = shown.lines().skip(1).map(|line| line.strip_prefix("    ").unwrap_or(line));
    let lines: Vec<&str> = lines.collect();
    let (_, inside) = lines.split_last().unwrap();
    inside.join("\n")
}

#[test]
fn a_scalar_is_shown_with_what_happens_to_it() {
    let one = |before, after| inside(&shown(string(), before, after));
    assert_eq!(one(null(), text("x")), "  + a = \"x\"");
    assert_eq!(one(text("x"), null()), "  - a = \"x\" -> null");
    assert_eq!(one(text("x"), text("y")), "  ~ a = \"x\" -> \"y\"");
    assert_eq!(one(null(), Value::unknown()), "  + a = (known after apply)");
    assert_eq!(one(text("x"), Value::unknown()), "  ~ a = \"x\" -> (known after apply)");
    assert_eq!(one(text("x"), text("x")), "    # (1 unchanged attribute hidden)");
    assert_eq!(shown(string(), null(), null()), "{}");
    // Providers from before null mean that nothing is there.
    assert_eq!(shown(string(), null(), text("")), "{}");
}

#[test]
fn numbers_and_bools_are_shown_bare() {
    let number = shown(optional(Type::Number), Value::from(1), Value::from(2));
    assert_eq!(inside(&number), "  ~ a = 1 -> 2");
    let bool = shown(optional(Type::Bool), null(), Value::from(false));
    assert_eq!(inside(&bool), "  + a = false");
}

#[test]
fn what_is_sensitive_or_write_only_is_not_shown() {
    let secret = || sensitive(string());
    let one = |before, after| inside(&shown(secret(), before, after));
    assert_eq!(one(null(), text("x")), "  + a = (sensitive value)");
    assert_eq!(one(text("x"), text("y")), "  ~ a = (sensitive value)");
    assert_eq!(one(text("x"), null()), "  - a = (sensitive value) -> null");
    assert_eq!(one(null(), Value::unknown()), "  + a = (sensitive value)");
    let schema = block([("a", string()), ("w", write_only(Type::String))], []);
    let before = object([("a", text("x")), ("w", null())]);
    let after = object([("a", text("y")), ("w", null())]);
    let changed = block_text(&compare(&schema, &before, &after, &[]), SIGNS);
    assert_eq!(inside(&changed), "  ~ a = \"x\" -> \"y\"\n  ~ w = (write-only attribute)");
    assert!(is_same(&schema, &before, &before), "it is not known whether it changes");
}

#[test]
fn what_forces_a_replacement_says_so() {
    let schema = block([("a", string()), ("b", strings()), ("w", write_only(Type::String))], []);
    let path = |name: &str| Path(vec![Step::Attribute(name.to_owned())]);
    let paths = [path("a"), path("b"), path("w")];
    let of = |a: &str| object([("a", text(a)), ("b", texts(&[a])), ("w", null())]);
    let shown = block_text(&compare(&schema, &of("x"), &of("y"), &paths), SIGNS);
    let expected = "  ~ a = \"x\" -> \"y\" # forces replacement
  ~ b = [ # forces replacement
      - \"x\",
      + \"y\",
    ]
  ~ w = (write-only attribute) # forces replacement";
    assert_eq!(inside(&shown), expected);
}

#[test]
fn what_says_which_one_it_is_is_shown_even_if_it_stays() {
    let schema = block([("id", computed(Type::String)), ("size", string()), ("a", string())], []);
    let of = |a: &str| object([("id", text("1")), ("size", text("s")), ("a", text(a))]);
    let shown = block_text(&compare(&schema, &of("x"), &of("y"), &[]), SIGNS);
    let expected = "{
      ~ a    = \"x\" -> \"y\"
        id   = \"1\"
        # (1 unchanged attribute hidden)
    }";
    assert_eq!(shown, expected);
}

#[test]
fn lists_are_compared_in_order_and_show_the_neighbours_of_what_changes() {
    let before = texts(&["a", "b", "c", "d", "e", "f"]);
    let after = texts(&["a", "b", "c", "x", "e", "f"]);
    let expected = "  ~ a = [
        # (2 unchanged elements hidden)
        \"c\",
      - \"d\",
      + \"x\",
        \"e\",
        # (1 unchanged element hidden)
    ]";
    assert_eq!(inside(&shown(strings(), before, after)), expected);
    let created = shown(strings(), null(), list([text("a"), Value::unknown(), null()]));
    let expected = "  + a = [
      + \"a\",
      + (known after apply),
      + null,
    ]";
    assert_eq!(inside(&created), expected);
    assert_eq!(inside(&shown(strings(), texts(&[]), null())), "  - a = [] -> null");
}

#[test]
fn sets_show_what_comes_and_goes() {
    let set = || optional(Type::set(Type::String));
    let before = Value::set([text("a"), text("b")]);
    let after = Value::set([text("b"), text("c"), Value::unknown()]);
    let expected = "  ~ a = [
      - \"a\",
      + \"c\",
      + (known after apply),
        # (1 unchanged element hidden)
    ]";
    assert_eq!(inside(&shown(set(), before, after)), expected);
}

#[test]
fn maps_have_quoted_keys_and_objects_have_names() {
    let map = || optional(Type::map(Type::String));
    let before = object([("a", text("1")), ("bb", text("2")), ("c", text("3"))]);
    let after = object([("a", text("1")), ("bb", text("x")), ("${d}", text("4"))]);
    let expected = "  ~ a = {
      + \"$${d}\" = \"4\"
      ~ \"bb\"    = \"2\" -> \"x\"
      - \"c\"     = \"3\" -> null
        # (1 unchanged element hidden)
    }";
    assert_eq!(inside(&shown(map(), before, after)), expected);
    let ty = || optional(Type::object([("x", Type::String), ("long", Type::Bool)]));
    let of = |x: Value| object([("x", x), ("long", Value::from(true))]);
    let expected = "  ~ a = {
      ~ x    = \"1\" -> (known after apply)
        # (1 unchanged attribute hidden)
    }";
    assert_eq!(inside(&shown(ty(), of(text("1")), of(Value::unknown()))), expected);
    let gone = shown(ty(), of(text("1")), null());
    let expected = "  - a = {
      - long = true
      - x    = \"1\"
    } -> null";
    assert_eq!(inside(&gone), expected);
}

#[test]
fn attributes_of_attributes_are_shown_like_those_of_blocks() {
    let attribute = || nested(Nesting::Map, [("name", string()), ("secret", sensitive(string()))]);
    let one = |name: &str| object([("name", text(name)), ("secret", text("s"))]);
    let before = object([("k", one("x")), ("l", one("y"))]);
    let after = object([("k", one("z"))]);
    let expected = "  ~ a = {
      ~ \"k\" = {
          ~ name   = \"x\" -> \"z\"
            # (1 unchanged attribute hidden)
        },
      - \"l\" = {
          - name   = \"y\" -> null
          - secret = (sensitive value) -> null
        },
    }";
    assert_eq!(inside(&shown(attribute(), before, after)), expected);
}

#[test]
fn blocks_stand_below_attributes_and_apart() {
    let inner = || block([("x", string())], []);
    let schema = block(
        [("a", string())],
        [
            ("disk", blocks(Nesting::List, inner())),
            ("label", blocks(Nesting::Map, inner())),
            ("one", blocks(Nesting::Single, inner())),
            ("tag", blocks(Nesting::Set, inner())),
        ],
    );
    let x = |value: &str| object([("x", text(value))]);
    let before = object([
        ("a", text("1")),
        ("disk", list([x("1"), x("2"), x("3")])),
        ("label", object([("k", x("1"))])),
        ("one", x("1")),
        ("tag", Value::set([x("1")])),
    ]);
    let after = object([
        ("a", text("2")),
        ("disk", list([x("1"), x("9")])),
        ("label", object([("k", x("2"))])),
        ("one", null()),
        ("tag", Value::set([x("1"), x("2")])),
    ]);
    let expected = "{
      ~ a = \"1\" -> \"2\"

      ~ disk {
          ~ x = \"2\" -> \"9\"
        }
      - disk {
          - x = \"3\" -> null
        }

      ~ label \"k\" {
          ~ x = \"1\" -> \"2\"
        }

      - one {
          - x = \"1\" -> null
        }

      + tag {
          + x = \"2\"
        }

        # (2 unchanged blocks hidden)
    }";
    assert_eq!(block_text(&compare(&schema, &before, &after, &[]), SIGNS), expected);
}

#[test]
fn long_texts_are_compared_by_line() {
    let created = shown(string(), null(), text("a\nb\n"));
    assert_eq!(inside(&created), "  + a = <<-EOT\n        a\n        b\n    EOT");
    let changed = shown(string(), text("a\nb\nc\n"), text("a\nx\nc\n"));
    let expected = "  ~ a = <<-EOT
        a
      - b
      + x
        c
    EOT";
    assert_eq!(inside(&changed), expected);
    let gone = shown(string(), text("a\nb"), null());
    assert_eq!(inside(&gone), "  - a = <<-EOT\n        a\n        b\n    EOT -> null");
    // All that changes is that the last line ends.
    let ended = shown(string(), text("a\nb"), text("a\nb\n"));
    assert!(ended.contains("      + \n"), "{ended}");
}

#[test]
fn values_with_a_type_of_their_own_are_compared_by_what_they_are() {
    let open = || optional(Type::Dynamic);
    let typed = |ty, value| Value::dynamic(ty, value);
    let retyped =
        shown(open(), typed(Type::String, text("x")), typed(Type::Number, Value::from(1)));
    assert_eq!(inside(&retyped), "  ~ a = \"x\" -> 1");
    let pair = || Type::Tuple(vec![Type::String, Type::String]);
    let before = typed(pair(), texts(&["x", "y"]));
    let changed = shown(open(), before.clone(), typed(pair(), texts(&["x", "z"])));
    assert_eq!(
        inside(&changed),
        "  ~ a = [\n        \"x\",\n      - \"y\",\n      + \"z\",\n    ]"
    );
    let retyped = shown(open(), before, typed(Type::String, text("x")));
    assert_eq!(inside(&retyped), "  ~ a = [\n      - \"x\",\n      - \"y\",\n    ] -> \"x\"");
    assert_eq!(inside(&shown(open(), null(), Value::unknown())), "  + a = (known after apply)");
}

#[test]
fn an_object_as_it_is_has_no_signs_and_all_of_its_attributes() {
    let schema = block(
        [("a", string()), ("n", strings())],
        [("b", blocks(Nesting::List, Block::default()))],
    );
    let value = object([("a", text("x")), ("n", texts(&["1", "2"])), ("b", list([object([])]))]);
    let expected = "{
    a = \"x\"
    n = [
        \"1\",
        \"2\",
    ]

    b {}
}";
    assert_eq!(block_text(&compare(&schema, &value, &value, &[]), PLAIN), expected);
    assert_eq!(
        value_text(&Type::list(Type::String), &texts(&["1"]), Style::OFF),
        "[\n    \"1\",\n]"
    );
    assert_eq!(value_text(&Type::String, &Value::unknown(), Style::OFF), "(known after apply)");
    assert_eq!(value_text(&Type::String, &null(), Style::OFF), "null");
}

#[test]
fn what_steers_terminals_is_not_passed_on() {
    let steering = "\u{1b}[2Ja\nb";
    let one = shown(string(), null(), text(steering));
    let key = shown(optional(Type::map(Type::String)), null(), object([("\u{1b}", text("\u{7}"))]));
    assert!(!one.contains('\u{1b}') && !key.contains(['\u{1b}', '\u{7}']), "{one}{key}");
}
