//! Configurations: JSON, as people write it, checked against a schema as far as a schema
//! goes. The rest is the provider's to validate.

mod document;
pub mod path;

pub use document::Document;
pub use document::DocumentError;
pub use document::Fault;

use std::fs;
use std::io::Read;
use std::path::Path as FilePath;

use serde_json::Map;
use serde_json::Value as Json;

use crate::options::ConfigOptions;
use crate::options::Setting;
use crate::report::Failed;
use crate::report::Report;
use crate::report::sentence;
use crate::tfplugin::cty::Path;
use crate::tfplugin::cty::Step;
use crate::tfplugin::cty::Type;
use crate::tfplugin::cty::Value;
use crate::tfplugin::diagnostic::Diagnostic;
use crate::tfplugin::schema::Attribute;
use crate::tfplugin::schema::Block;
use crate::tfplugin::schema::NestedBlock;
use crate::tfplugin::schema::Nesting;

/// The file that is standard input.
pub const STDIN: &str = "-";

/// Reads a file, or standard input. An absent one is empty.
pub fn load(file: Option<&FilePath>, report: &mut Report) -> Result<Document, Failed> {
    let Some(file) = file else { return Ok(Map::new()) };
    let (name, text) = if file.as_os_str() == STDIN {
        let mut text = Vec::new();
        let read = std::io::stdin().read_to_end(&mut text);
        ("standard input".to_owned(), read.map(|_| text))
    } else {
        (file.display().to_string(), fs::read(file))
    };
    let text = text.map_err(|error| {
        report.fail("", "Failed to read the configuration", format!("{name}: {error}"))
    })?;
    document::parse(&text)
        .map_err(|error| report.fail("", "Invalid configuration", format!("{name} {error}.")))
}

/// Makes the configuration of something that looks like the block.
pub fn read(
    mut document: Document,
    options: &ConfigOptions,
    block: &Block,
    subject: &str,
    report: &mut Report,
) -> Result<Value, Failed> {
    for setting in &options.set {
        let value = setting_value(setting, block, subject, report)?;
        document.insert(setting.name.clone(), value);
    }
    let mut problems = Vec::new();
    check_names(block, &document, &Path::default(), &mut problems);
    report.take(subject, problems)?;
    let mut value = block.from_json(&Json::Object(document)).map_err(|error| {
        let diagnostic = Diagnostic::error(
            "Incorrect attribute value type",
            format!("The value {}.", error.problem),
        );
        report.add(subject, diagnostic.at(error.path));
        Failed
    })?;
    let ty = block.implied_type();
    for text in &options.unknown {
        let made = path::parse(text).and_then(|path| path::make_unknown(&mut value, &ty, &path));
        made.map_err(|error| report.fail(subject, "Invalid --unknown", sentence(&error)))?;
    }
    let mut problems = Vec::new();
    check_required(block, &value, &Path::default(), &mut problems);
    report.take(subject, problems)?;
    Ok(value)
}

fn setting_value(
    Setting { name, value }: &Setting,
    block: &Block,
    subject: &str,
    report: &mut Report,
) -> Result<Json, Failed> {
    let ty = block.attributes.get(name).map_or(&Type::Dynamic, |attribute| &attribute.ty);
    argument(value, ty).map_err(|error| {
        report.fail(subject, "Invalid value", format!("--set {name}: the value {error}."))
    })
}

/// A value on the command line: JSON; where a string is wanted also just the text of it.
pub fn argument(text: &str, ty: &Type) -> Result<Json, DocumentError> {
    let json = document::json(text.as_bytes());
    match ty {
        Type::String => Ok(match json {
            Ok(json @ (Json::String(_) | Json::Null)) => json,
            // Not as a number, which might not come back as it was written.
            _ => Json::String(text.to_owned()),
        }),
        _ => json,
    }
}

/// Complains of names that the schema does not have.
fn check_names(
    block: &Block,
    object: &Map<String, Json>,
    path: &Path,
    problems: &mut Vec<Diagnostic>,
) {
    for (name, json) in object {
        let path = path.join(Step::Attribute(name.clone()));
        match block.blocks.get(name) {
            Some(nested) => check_block_names(nested, json, &path, problems),
            None if block.attributes.contains_key(name) => {}
            None => {
                let detail = format!("An argument named {name:?} is not expected here.");
                problems.push(Diagnostic::error("Unsupported argument", detail).at(path));
            }
        }
    }
}

/// What has the wrong shape is left to the conversion, which says so.
fn check_block_names(
    nested: &NestedBlock,
    json: &Json,
    path: &Path,
    problems: &mut Vec<Diagnostic>,
) {
    let mut check = |json: &Json, path: &Path| {
        if let Json::Object(object) = json {
            check_names(&nested.block, object, path, problems);
        }
    };
    match json {
        Json::Object(elements) if nested.nesting == Nesting::Map => {
            for (key, element) in elements {
                check(element, &path.join(Step::Key(key.clone())));
            }
        }
        Json::Array(elements) => {
            for (at, element) in (0..).zip(elements) {
                check(element, &path.join(Step::Index(at)));
            }
        }
        other => check(other, path),
    }
}

/// Complains of what has to be there and is not.
fn check_required(block: &Block, value: &Value, path: &Path, problems: &mut Vec<Diagnostic>) {
    if value.as_mapping().is_none() {
        return;
    }
    for (name, attribute) in &block.attributes {
        let path = path.join(Step::Attribute(name.clone()));
        check_required_attribute(name, attribute, value.get(name), &path, problems);
    }
    for (name, nested) in &block.blocks {
        let path = path.join(Step::Attribute(name.clone()));
        check_count(name, nested, value.get(name), &path, problems);
        for (step, element) in elements(value.get(name), nested.nesting) {
            let path = step.map_or_else(|| path.clone(), |step| path.join(step));
            check_required(&nested.block, element, &path, problems);
        }
    }
}

fn check_required_attribute(
    name: &str,
    attribute: &Attribute,
    value: &Value,
    path: &Path,
    problems: &mut Vec<Diagnostic>,
) {
    if attribute.required && value.is_null() {
        let detail = format!("The argument {name:?} is required, but no definition was found.");
        problems.push(Diagnostic::error("Missing required argument", detail).at(path.clone()));
    }
    let Some(nested) = &attribute.nested else { return };
    for (step, element) in elements(value, nested.nesting) {
        let path = step.map_or_else(|| path.clone(), |step| path.join(step));
        if element.as_mapping().is_some() {
            for (name, attribute) in &nested.attributes {
                let path = path.join(Step::Attribute(name.clone()));
                check_required_attribute(name, attribute, element.get(name), &path, problems);
            }
        }
    }
}

fn check_count(
    name: &str,
    nested: &NestedBlock,
    value: &Value,
    path: &Path,
    problems: &mut Vec<Diagnostic>,
) {
    // Of what is unknown the number is unknown too.
    if value.is_unknown() {
        return;
    }
    let count = elements(value, nested.nesting).count();
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let NestedBlock { min_items, max_items, .. } = *nested;
    let problem = if count < min_items {
        let detail = format!("At least {min_items} {name:?} blocks are required.");
        Diagnostic::error(format!("Insufficient {name} blocks"), detail)
    } else if max_items > 0 && count > max_items {
        let detail = format!("No more than {max_items} {name:?} blocks are allowed.");
        Diagnostic::error(format!("Too many {name} blocks"), detail)
    } else {
        return;
    };
    problems.push(problem.at(path.clone()));
}

/// The objects of a block or of an attribute with attributes, with the way to each.
fn elements(
    value: &Value,
    nesting: Nesting,
) -> Box<dyn Iterator<Item = (Option<Step>, &Value)> + '_> {
    let value = match value {
        Value::Dynamic(typed) => &typed.value,
        other => other,
    };
    match (nesting, value) {
        (Nesting::Single | Nesting::Group, Value::Mapping(_)) => {
            Box::new(std::iter::once((None, value)))
        }
        (Nesting::Map, Value::Mapping(elements)) => {
            let elements = elements.iter();
            Box::new(elements.map(|(key, element)| (Some(Step::Key(key.clone())), element)))
        }
        (_, Value::Sequence(elements)) => {
            Box::new((0..).zip(elements).map(|(at, element)| (Some(Step::Index(at)), element)))
        }
        _ => Box::new(std::iter::empty()),
    }
}

#[cfg(test)]
mod tests;
