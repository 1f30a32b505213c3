//! The rules of a note: what is wrong with one, what a change leads to, what is made of an
//! old state. Pure, on values.

use std::sync::LazyLock;

use serde_json::Value as Json;
use sha2::Digest;
use sha2::Sha256;
use thiserror::Error;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::notebook::schema;
use crate::tfplugin::cty::DecodeError;
use crate::tfplugin::cty::Path;
use crate::tfplugin::cty::Refinement;
use crate::tfplugin::cty::Step;
use crate::tfplugin::cty::Type;
use crate::tfplugin::cty::Value;
use crate::tfplugin::diagnostic::Diagnostic;

/// The type of a note's values.
pub static TYPE: LazyLock<Type> = LazyLock::new(|| schema::note().block.implied_type());

/// The longest title, in characters: it is to fit on a line.
const LONGEST_TITLE: usize = 120;

/// What is wrong with a note, as far as it is known.
pub fn check(note: &Value) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if let Some(title) = note.get("title").as_str() {
        found.extend(check_title(title));
    }
    for (name, value) in note.get("tags").as_mapping().into_iter().flatten() {
        let path = attribute("tags").join(Step::Key(name.clone()));
        if name.trim().is_empty() {
            found.push(Diagnostic::error("A tag without a name", "Give it one.").at(path));
        } else if value.is_null() {
            let detail = format!("Give {name:?} a value, which may be empty, or leave it out.");
            found.push(Diagnostic::error("A tag without a value", detail).at(path));
        }
    }
    let email = note.get("author").get("email");
    if email.as_str().is_some_and(|email| !email.contains('@')) {
        let path = attribute("author").join(Step::Attribute("email".to_owned()));
        let detail = "An address has an `@` in it.";
        found.push(Diagnostic::error("Not an address of e-mail", detail).at(path));
    }
    for (at, reminder) in (0..).zip(note.get("reminder").as_sequence().unwrap_or_default()) {
        if let Some(Err(error)) = reminder.get("at").as_str().map(parse_time) {
            let path = attribute("reminder").join(Step::Index(at));
            let path = path.join(Step::Attribute("at".to_owned()));
            let detail = format!("Write it as in RFC 3339, `2027-01-31T09:00:00Z`: {error}.");
            found.push(Diagnostic::error("Not a time", detail).at(path));
        }
    }
    found
}

fn check_title(title: &str) -> Option<Diagnostic> {
    let found = if title.trim().is_empty() {
        Diagnostic::error("A note without a title", "Give it one.")
    } else if title.contains(char::is_control) {
        let detail = "A title has no line breaks and no other control characters in it.";
        Diagnostic::error("The title is more than a line", detail)
    } else if title.chars().count() > LONGEST_TITLE {
        let detail = format!("A title has at most {LONGEST_TITLE} characters.");
        Diagnostic::error("The title is too long", detail)
    } else if title.trim() != title {
        let detail = "They are kept, and count when notes are searched by their prefix.";
        Diagnostic::warning("The title has spaces around it", detail)
    } else {
        return None;
    };
    Some(found.at(attribute("title")))
}

fn parse_time(text: &str) -> Result<OffsetDateTime, time::error::Parse> {
    OffsetDateTime::parse(text, &Rfc3339)
}

/// What a change leads to, and what of it cannot be done in place. Null stands for a note that
/// is not there.
pub fn plan(prior: &Value, proposed: &Value) -> (Value, Vec<Path>) {
    let Some(proposed) = proposed.as_mapping() else { return (Value::Null, Vec::new()) };
    let mut planned = proposed.clone();
    for name in schema::COMPUTED {
        planned.insert(name.to_owned(), prior.get(name).clone());
    }
    if prior.as_mapping() == Some(&planned) {
        return (prior.clone(), Vec::new());
    }
    let mut set = |name: &str, value| planned.insert(name.to_owned(), value);
    set("checksum", checksum(proposed.get("body").unwrap_or(&Value::Null)));
    set("revision", Value::Unknown(Refinement::not_null()));
    if prior.is_null() {
        set("id", Value::Unknown(Refinement::not_null()));
    }
    let is_another = !prior.is_null() && proposed.get("title") != Some(prior.get("title"));
    let requires_replace = if is_another { vec![attribute("title")] } else { Vec::new() };
    (Value::Mapping(planned), requires_replace)
}

/// The note that was planned, with what the plan left open. Nothing else of it changes.
pub fn fulfil(planned: &Value, id: &str, revision: i64) -> Value {
    let mut note = planned.as_mapping().cloned().unwrap_or_default();
    let checksum = checksum(planned.get("body"));
    for (name, value) in [("id", id.into()), ("revision", revision.into()), ("checksum", checksum)]
    {
        let planned = planned.get(name);
        if planned.is_null() || planned.is_unknown() {
            note.insert(name.to_owned(), value);
        }
    }
    Value::Mapping(note)
}

/// Known as soon as the body is.
fn checksum(body: &Value) -> Value {
    match body {
        Value::String(text) => {
            let hash = Sha256::digest(text);
            hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
        }
        body if body.is_unknown() => Value::unknown(),
        _ => Value::Null,
    }
}

/// A state that cannot be brought to the present version.
#[derive(Debug, Error)]
pub enum UpgradeError {
    /// Some other version of the provider has written it.
    #[error("it has version {found} of the schema, and this provider knows versions 0 to {known}")]
    Version { found: i64, known: i64 },
    /// It is not what a version of the provider writes.
    #[error("it is not a note")]
    Content(#[from] DecodeError),
}

/// Reads a note that was kept with this version of the schema.
pub fn upgrade(version: i64, mut state: Json) -> Result<Value, UpgradeError> {
    let known = schema::NOTE_VERSION;
    match version {
        0 => {
            rename(&mut state, "name", "title");
            // What it had not is as in an empty configuration.
            let note = schema::note().block.from_json(&state)?;
            let id = note.get("id").as_str().unwrap_or_default();
            // Nobody has counted: what is there counts as the first.
            Ok(fulfil(&note, id, 1))
        }
        version if version == known => Ok(Value::from_state_json(&state, &TYPE)?),
        found => Err(UpgradeError::Version { found, known }),
    }
}

fn rename(state: &mut Json, from: &str, to: &str) {
    let Some(attributes) = state.as_object_mut() else { return };
    if let Some(value) = attributes.remove(from) {
        attributes.insert(to.to_owned(), value);
    }
}

/// The path of an attribute of a note.
pub fn attribute(name: &str) -> Path {
    Path(vec![Step::Attribute(name.to_owned())])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn note(attributes: &[(&str, Value)]) -> Value {
        let mut note = schema::note().block.empty().as_mapping().expect("an object").clone();
        note.insert("title".to_owned(), "a".into());
        note.extend(attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        Value::Mapping(note)
    }

    /// One that is kept.
    fn kept(attributes: &[(&str, Value)]) -> Value {
        fulfil(&note(attributes), "the id", 3)
    }

    fn problems(attributes: &[(&str, Value)]) -> Vec<String> {
        check(&note(attributes)).iter().map(|problem| problem.attribute.to_string()).collect()
    }

    fn map(entries: &[(&str, Value)]) -> Value {
        entries.iter().map(|(name, value)| (*name, value.clone())).collect()
    }

    #[test]
    fn a_new_note_has_no_id_yet_but_a_checksum() {
        let (planned, replaced) = plan(&Value::Null, &note(&[("body", "text".into())]));
        assert!(planned.get("id").is_unknown());
        assert!(planned.get("revision").is_unknown());
        let hash = "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1";
        assert_eq!(planned.get("checksum"), &hash.into());
        assert_eq!(replaced, []);
    }

    #[test]
    fn the_checksum_is_as_known_as_the_body() {
        let checksum =
            |body| plan(&Value::Null, &note(&[("body", body)])).0.get("checksum").clone();
        assert!(checksum(Value::unknown()).is_unknown());
        assert_eq!(checksum(Value::Null), Value::Null);
    }

    #[test]
    fn a_note_that_stays_as_it_is_is_planned_as_it_is() {
        let prior = kept(&[("body", "text".into())]);
        // Whether the host leaves out what the provider has computed or not.
        for proposed in [prior.clone(), note(&[("body", "text".into())])] {
            assert_eq!(plan(&prior, &proposed), (prior.clone(), vec![]));
        }
    }

    #[test]
    fn a_changed_note_keeps_its_id_and_has_another_revision() {
        let prior = kept(&[("body", "text".into())]);
        let (planned, replaced) = plan(&prior, &kept(&[("body", "other".into())]));
        assert_eq!(planned.get("id"), &"the id".into());
        assert!(planned.get("revision").is_unknown());
        assert_ne!(planned.get("checksum"), prior.get("checksum"));
        assert_eq!(replaced, []);
    }

    #[test]
    fn another_title_makes_another_note() {
        let title = Path(vec![Step::Attribute("title".to_owned())]);
        for other in ["b".into(), Value::unknown()] {
            let (_, replaced) = plan(&kept(&[]), &kept(&[("title", other)]));
            assert_eq!(replaced, std::slice::from_ref(&title));
        }
    }

    #[test]
    fn a_destruction_is_planned_as_nothing() {
        assert_eq!(plan(&kept(&[]), &Value::Null), (Value::Null, vec![]));
    }

    #[test]
    fn what_was_planned_is_what_is_written() {
        let tags = map(&[("a", "1".into())]);
        let proposed = note(&[("body", "text".into()), ("tags", tags)]);
        let (planned, _) = plan(&Value::Null, &proposed);
        let written = fulfil(&planned, "the id", 1);
        assert!(written.is_wholly_known());
        let open = ["id", "revision"];
        for (name, value) in planned.as_mapping().expect("an object") {
            assert!(open.contains(&&**name) || written.get(name) == value, "{name}");
        }
        assert_eq!(written.get("id"), &"the id".into());
        assert_eq!(written.get("revision"), &1.into());
    }

    #[test]
    fn problems_name_the_attribute() {
        let long = "x".repeat(LONGEST_TITLE + 1);
        for title in ["", " ", "two\nlines", " spaces", &long] {
            assert_eq!(problems(&[("title", title.into())]), [".title"], "{title:?}");
        }
        let tags = map(&[(" ", "1".into()), ("b", Value::Null), ("c", "".into())]);
        assert_eq!(problems(&[("tags", tags)]), [".tags[\" \"]", ".tags[\"b\"]"]);
        let author = map(&[("name", "Ada".into()), ("email", "none".into())]);
        assert_eq!(problems(&[("author", author)]), [".author.email"]);
        let at = |at: &str| map(&[("at", at.into()), ("text", Value::Null)]);
        let reminders = [at("2027-01-31T09:00:00+01:00"), at("tomorrow")].into_iter().collect();
        assert_eq!(problems(&[("reminder", reminders)]), [".reminder[1].at"]);
    }

    #[test]
    fn what_is_not_known_yet_is_not_complained_about() {
        let unknown = Value::unknown();
        let inner = map(&[("name", unknown.clone()), ("email", unknown.clone())]);
        let all = ["title", "body", "tags", "secret", "reminder"];
        let mut all: Vec<_> = all.into_iter().map(|name| (name, unknown.clone())).collect();
        all.push(("author", inner));
        assert_eq!(problems(&all), [""; 0]);
    }

    #[test]
    fn spaces_around_a_title_are_a_warning_only() {
        assert!(!crate::tfplugin::diagnostic::has_errors(&check(&note(&[("title", " a".into())]))));
    }

    #[test]
    fn a_state_of_version_0_has_its_name_as_the_title() {
        let old = json!({ "id": "the id", "name": "a", "body": "text", "tags": { "b": "c" } });
        let tags = map(&[("b", "c".into())]);
        let now = fulfil(&note(&[("body", "text".into()), ("tags", tags)]), "the id", 1);
        let upgraded = upgrade(0, old).expect("an old note");
        assert_eq!(upgraded, now);
    }

    #[test]
    fn a_state_of_the_present_version_stays_as_it_is() {
        let note = kept(&[("tags", map(&[]))]);
        let state = note.to_json(&TYPE).expect("known");
        assert_eq!(upgrade(schema::NOTE_VERSION, state).expect("a note"), note);
    }

    #[test]
    fn a_state_that_is_no_note_is_refused() {
        assert!(matches!(upgrade(2, json!({})), Err(UpgradeError::Version { found: 2, .. })));
        assert!(matches!(upgrade(-1, json!({})), Err(UpgradeError::Version { .. })));
        for state in [json!([]), json!({ "tags": 1 })] {
            assert!(matches!(upgrade(1, state.clone()), Err(UpgradeError::Content(_))), "{state}");
            assert!(matches!(upgrade(0, state.clone()), Err(UpgradeError::Content(_))), "{state}");
        }
    }
}
