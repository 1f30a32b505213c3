//! Plans and objects, for people and for programs.

use serde_json::Value as Json;
use serde_json::json;

use crate::change::Action;
use crate::change::Change;
use crate::change::Reason;
use crate::render::Style;
use crate::render::diff;
use crate::render::diff::Shown;
use crate::render::json as values;
use crate::resource::Resource;
use crate::tfplugin::cty::Path;
use crate::tfplugin::cty::Step;
use crate::tfplugin::cty::Value;

/// What will be done, with the signs explained and the sum at the end.
pub fn text(resource: &Resource, change: &Change, style: Style) -> String {
    let [add, update, destroy] = change.counts();
    let sign = match change.action {
        Action::NoOp => {
            let none = style.bold(&style.green("No changes."));
            return format!(
                "\n{none} {}\n",
                style.bold(&format!("{} is as it is configured.", resource.address))
            );
        }
        Action::Create => format!("  {} create", style.green("+")),
        Action::Update => format!("  {} update in-place", style.yellow("~")),
        Action::Delete => format!("  {} destroy", style.red("-")),
        Action::Replace(_) => {
            format!("{}/{} destroy and then create replacement", style.red("-"), style.green("+"))
        }
    };
    format!(
        "\nResource actions are indicated with these symbols:\n{sign}\n\n{}\n\n{} {add} to add, {update} to \
         change, {destroy} to destroy.\n",
        change_text(resource, change, style),
        style.bold("Plan:"),
    )
}

fn change_text(resource: &Resource, change: &Change, style: Style) -> String {
    let Resource { address, kind, name, .. } = resource;
    let (sign, what) = match change.action {
        Action::NoOp => ("   ".to_owned(), "stays as it is".to_owned()),
        Action::Create => (format!("  {}", style.green("+")), "will be created".to_owned()),
        Action::Update => {
            (format!("  {}", style.yellow("~")), "will be updated in-place".to_owned())
        }
        Action::Delete => {
            (format!("  {}", style.red("-")), format!("will be {}", style.red("destroyed")))
        }
        Action::Replace(reason) => {
            let must = match reason {
                Reason::CannotUpdate => "must be",
                Reason::Tainted => "is tainted, so it must be",
            };
            let sign = format!("{}/{}", style.red("-"), style.green("+"));
            (sign, format!("{must} {}", style.red("replaced")))
        }
    };
    let diff = diff::compare(
        resource.block(),
        change.before_value(),
        change.after(),
        &change.replace_paths,
    );
    let block = diff::block_text(&diff, Shown { style, is_plain: false });
    let heading = style.bold(&format!("  # {address}"));
    format!("{heading} {what}\n{sign} resource \"{kind}\" \"{name}\" {block}")
}

/// What has changed without this program.
pub fn drift_text(resource: &Resource, before: &Value, after: &Value, style: Style) -> String {
    let Resource { address, kind, name, .. } = resource;
    let heading = style.bold(&format!("  # {address}"));
    if after.is_null() {
        return format!("{heading} has been deleted");
    }
    let diff = diff::compare(resource.block(), before, after, &[]);
    let block = diff::block_text(&diff, Shown { style, is_plain: false });
    let sign = style.yellow("~");
    format!("{heading} has changed\n  {sign} resource \"{kind}\" \"{name}\" {block}")
}

/// An object as it is. `keyword` is what a configuration calls it: `resource`, `data`.
pub fn object_text(resource: &Resource, keyword: &str, value: &Value, style: Style) -> String {
    let Resource { address, kind, name, .. } = resource;
    let diff = diff::compare(resource.block(), value, value, &[]);
    let block = diff::block_text(&diff, Shown { style, is_plain: true });
    format!("{}\n{keyword} \"{kind}\" \"{name}\" {block}", style.bold(&format!("# {address}:")))
}

/// The change as Terraform's plans in JSON have it, but without what is not to be shown.
pub fn json(resource: &Resource, change: &Change) -> Json {
    let before = values::object(resource.block(), change.before_value());
    let after = values::object(resource.block(), change.after());
    let paths = change.replace_paths.iter().map(path_json);
    let mut json = json!({
        "address": resource.address,
        "type": resource.kind,
        "name": resource.name,
        "change": {
            "actions": change.action.names(),
            "before": before.value,
            "after": after.value,
            "after_unknown": after.unknown,
            "before_sensitive": before.sensitive,
            "after_sensitive": after.sensitive,
            "replace_paths": paths.collect::<Json>(),
        },
    });
    let reason = match change.action {
        Action::Replace(Reason::CannotUpdate) => Some("replace_because_cannot_update"),
        Action::Replace(Reason::Tainted) => Some("replace_because_tainted"),
        _ => None,
    };
    if let (Json::Object(fields), Some(reason)) = (&mut json, reason) {
        fields.insert("action_reason".to_owned(), reason.into());
    }
    json
}

/// A path as a list of names and numbers.
fn path_json(path: &Path) -> Json {
    let step = |step: &Step| match step {
        Step::Attribute(name) | Step::Key(name) => Json::from(name.as_str()),
        Step::Index(index) => Json::from(*index),
        Step::Element(value) => values::plain(value),
    };
    path.0.iter().map(step).collect()
}
