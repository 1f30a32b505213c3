//! Schemas, for people. `schema_json` has them for programs.

use crate::render::Style;
use crate::render::name;
use crate::render::printable;
use crate::tfplugin::schema::Attribute;
use crate::tfplugin::schema::Block;
use crate::tfplugin::schema::Description;
use crate::tfplugin::schema::Function;
use crate::tfplugin::schema::NestedBlock;
use crate::tfplugin::schema::Nesting;
use crate::tfplugin::schema::Parameter;
use crate::tfplugin::schema::ProviderSchema;
use crate::tfplugin::schema::Schema;

/// How far descriptions are broken: a width that is easy to read.
const WIDTH: usize = 90;

/// What a provider has, by name.
pub fn overview(schema: &ProviderSchema, style: Style) -> String {
    let mut text = String::new();
    let mut list = |heading: &str, names: Vec<String>| {
        text.push_str(&format!("{} ({})\n", style.bold(heading), names.len()));
        for name in names {
            text.push_str(&format!("  {}\n", printable(&name)));
        }
        text.push('\n');
    };
    let configuration = &schema.provider.block;
    let names = configuration.attributes.keys().chain(configuration.blocks.keys());
    list("Configuration", names.cloned().collect());
    list("Resources", schema.resources.keys().cloned().collect());
    list("Data sources", schema.data_sources.keys().cloned().collect());
    list("Ephemeral resources", schema.ephemeral_resources.keys().cloned().collect());
    let functions = schema.functions.iter();
    list("Functions", functions.map(|(name, function)| signature(name, function)).collect());
    text.trim_end().to_owned()
}

/// What stands between two braces, below a heading.
pub fn object(heading: &str, schema: &Schema, style: Style) -> String {
    let version = match schema.version {
        0 => String::new(),
        version => format!(", version {version}"),
    };
    let deprecated = if schema.block.deprecated { ", deprecated" } else { "" };
    let mut text = format!("{}{version}{deprecated}\n", style.bold(heading));
    describe(&schema.block.description, 0, &mut text);
    block(&schema.block, 0, style, &mut text);
    text.trim_end().to_owned()
}

/// A function.
pub fn function(name: &str, function: &Function, style: Style) -> String {
    let mut text = format!("{}\n", style.bold(&signature(name, function)));
    if !function.summary.is_empty() {
        text.push_str(&format!("\n{}\n", printable(&function.summary)));
    }
    describe(&function.description, 0, &mut text);
    if !function.deprecation.is_empty() {
        text.push_str(&format!("\nDeprecated: {}\n", printable(&function.deprecation)));
    }
    if !function.parameters.is_empty() || function.variadic.is_some() {
        text.push('\n');
    }
    for parameter in &function.parameters {
        text.push_str(&self::parameter(parameter, "", style));
    }
    if let Some(variadic) = &function.variadic {
        text.push_str(&parameter(variadic, "...", style));
    }
    text.trim_end().to_owned()
}

/// As it is called: `rfc3339_parse(timestamp string) object { … }`.
fn signature(name: &str, function: &Function) -> String {
    let shown = |parameter: &Parameter, dots: &str| {
        format!("{}{dots} {}", printable(&parameter.name), parameter.ty)
    };
    let parameters = function.parameters.iter().map(|parameter| shown(parameter, ""));
    let variadic = function.variadic.iter().map(|parameter| shown(parameter, "..."));
    let parameters: Vec<String> = parameters.chain(variadic).collect();
    format!("{}({}) {}", printable(name), parameters.join(", "), function.returns)
}

fn parameter(parameter: &Parameter, dots: &str, style: Style) -> String {
    let mut traits = vec![parameter.ty.to_string()];
    traits.extend(parameter.allows_null.then(|| "may be null".to_owned()));
    traits.extend(parameter.allows_unknown.then(|| "may be unknown".to_owned()));
    let name = style.bold(&printable(&parameter.name));
    let mut text = format!("  {name}{dots} ({})\n", traits.join(", "));
    describe(&parameter.description, 2, &mut text);
    text
}

fn block(block: &Block, level: usize, style: Style, text: &mut String) {
    if !block.attributes.is_empty() {
        text.push('\n');
    }
    for (name, attribute) in &block.attributes {
        self::attribute(name, attribute, level, style, text);
    }
    for (name, nested) in &block.blocks {
        nested_block(name, nested, level, style, text);
    }
}

fn attribute(name: &str, attribute: &Attribute, level: usize, style: Style, text: &mut String) {
    let mut traits = vec![match &attribute.nested {
        Some(nested) => nesting(nested.nesting, "attributes").to_owned(),
        None => attribute.ty.to_string(),
    }];
    let flags = [
        (attribute.required, "required"),
        (attribute.optional, "optional"),
        (attribute.computed, "computed"),
        (attribute.sensitive, "sensitive"),
        (attribute.write_only, "write-only"),
        (attribute.deprecated, "deprecated"),
    ];
    traits.extend(flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, name)| name.to_owned()));
    let indent = "  ".repeat(level + 1);
    let name = style.bold(&self::name(name));
    text.push_str(&format!("{indent}{name} ({})\n", traits.join(", ")));
    describe(&attribute.description, level + 2, text);
    let nested = attribute.nested.iter().flat_map(|nested| &nested.attributes);
    for (name, attribute) in nested {
        self::attribute(name, attribute, level + 1, style, text);
    }
}

fn nested_block(name: &str, nested: &NestedBlock, level: usize, style: Style, text: &mut String) {
    let mut traits = vec![nesting(nested.nesting, "blocks").to_owned()];
    traits.extend((nested.min_items > 0).then(|| format!("at least {}", nested.min_items)));
    traits.extend((nested.max_items > 0).then(|| format!("at most {}", nested.max_items)));
    traits.extend(nested.block.deprecated.then(|| "deprecated".to_owned()));
    let indent = "  ".repeat(level + 1);
    let name = style.bold(&self::name(name));
    text.push_str(&format!("\n{indent}{name} ({})\n", traits.join(", ")));
    describe(&nested.block.description, level + 2, text);
    block(&nested.block, level + 1, style, text);
}

fn nesting(nesting: Nesting, of: &'static str) -> &'static str {
    match (nesting, of) {
        (Nesting::Single, "blocks") => "a block",
        (Nesting::Group, "blocks") => "a block that is always there",
        (Nesting::Single | Nesting::Group, _) => "an object",
        (Nesting::List, "blocks") => "list of blocks",
        (Nesting::Set, "blocks") => "set of blocks",
        (Nesting::Map, "blocks") => "map of blocks",
        (Nesting::List, _) => "list of objects",
        (Nesting::Set, _) => "set of objects",
        (Nesting::Map, _) => "map of objects",
    }
}

/// A description, broken into lines below what it describes.
fn describe(description: &Description, level: usize, text: &mut String) {
    let described = printable(description.text.trim());
    if described.is_empty() {
        return;
    }
    let indent = "  ".repeat(level);
    if level == 0 {
        text.push('\n');
    }
    for line in described.lines() {
        for line in textwrap::wrap(line, WIDTH.saturating_sub(indent.len())) {
            let line = format!("{indent}{line}");
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::block;
    use crate::testing::blocks;
    use crate::testing::computed;
    use crate::testing::nested;
    use crate::testing::required;
    use crate::testing::sensitive;
    use crate::tfplugin::cty::Type;

    #[test]
    fn a_schema_is_shown_with_what_may_be_in_it() {
        let text = |text: &str| Description { text: text.to_owned(), is_markdown: false };
        let name = Attribute { description: text("What it is\u{7}."), ..required(Type::String) };
        let disk = blocks(Nesting::List, block([("size", required(Type::Number))], []));
        let schema = Schema {
            version: 2,
            block: Block {
                description: text("A thing."),
                ..block(
                    [
                        ("name", name),
                        (
                            "one",
                            nested(Nesting::Single, [("key", sensitive(computed(Type::String)))]),
                        ),
                    ],
                    [("disk", NestedBlock { min_items: 1, max_items: 2, ..disk })],
                )
            },
        };
        let expected = "\
resource thing, version 2

A thing.

  name (string, required)
    What it is\u{fffd}.
  one (an object, optional)
    key (string, computed, sensitive)

  disk (list of blocks, at least 1, at most 2)

    size (number, required)";
        assert_eq!(object("resource thing", &schema, Style::OFF), expected);
    }

    #[test]
    fn a_function_is_shown_as_it_is_called() {
        let parameter = |name: &str| Parameter {
            name: name.to_owned(),
            ty: Type::String,
            allows_null: true,
            allows_unknown: false,
            description: Description::default(),
        };
        let join = Function {
            parameters: vec![parameter("with")],
            variadic: Some(parameter("parts")),
            returns: Type::String,
            summary: "Joins.".to_owned(),
            description: Description::default(),
            deprecation: "Old.".to_owned(),
        };
        let expected = "\
join(with string, parts... string) string

Joins.

Deprecated: Old.

  with (string, may be null)
  parts... (string, may be null)";
        assert_eq!(function("join", &join, Style::OFF), expected);
    }
}
