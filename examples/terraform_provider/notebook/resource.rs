//! `notebook_note`: the rules of a note, applied to the notes that are kept.

use serde_json::Value as Json;
use trunkline::services::state::Expected;
use trunkline::services::state::Version;
use uuid::Uuid;

use crate::notebook::note;
use crate::notebook::notes::Notes;
use crate::notebook::notes::changed;
use crate::notebook::notes::removed;
use crate::notebook::place::Notebook;
use crate::notebook::schema;
use crate::server::Change;
use crate::server::Plan;
use crate::server::Problems;
use crate::server::Resource;
use crate::tfplugin::cty::Value;
use crate::tfplugin::diagnostic::Diagnostic;
use crate::tfplugin::diagnostic::has_errors;
use crate::tfplugin::schema::Schema;

/// The resource `notebook_note`.
pub struct NoteResource {
    notebook: Notebook,
}

impl NoteResource {
    pub fn new(notebook: Notebook) -> Self {
        Self { notebook }
    }

    async fn create(&self, planned: &Value) -> Result<Value, Problems> {
        let id = Uuid::now_v7().to_string();
        let note = note::fulfil(planned, &id, 1);
        let put = self.notebook.notes().await?.put(&id, &note, Expected::Absent).await;
        put.map_err(|error| {
            let is_uncertain = error.is_uncertain();
            let mut problem = Diagnostic::from(error);
            if is_uncertain {
                problem.detail += &format!("\n\nIf it was, `import` takes it as {id}.");
            }
            problem
        })?;
        tracing::info!(id, "wrote a note");
        Ok(note)
    }

    async fn update(&self, prior: &Value, planned: &Value) -> Result<Value, Problems> {
        let id = id(prior)?;
        let notes = self.notebook.notes().await?;
        let seen = version(&notes, id, prior).await?.ok_or_else(removed)?;
        let revision = prior.get("revision").as_i64().unwrap_or_default().saturating_add(1);
        let note = note::fulfil(planned, id, revision);
        notes.put(id, &note, seen).await.map_err(Diagnostic::from)?;
        tracing::info!(id, revision, "wrote a note anew");
        Ok(note)
    }

    async fn destroy(&self, prior: &Value) -> Result<Value, Problems> {
        let id = id(prior)?;
        let notes = self.notebook.notes().await?;
        if let Some(seen) = version(&notes, id, prior).await? {
            notes.delete(id, seen).await.map_err(Diagnostic::from)?;
            tracing::info!(id, "removed a note");
        }
        Ok(Value::Null)
    }

    async fn find(&self, id: &str) -> Result<Option<Value>, Problems> {
        let found = self.notebook.notes().await?.get(id).await.map_err(Diagnostic::from)?;
        Ok(found.map(|kept| kept.note))
    }
}

#[tonic::async_trait]
impl Resource for NoteResource {
    fn schema(&self) -> Schema {
        schema::note()
    }

    fn validate(&self, config: &Value) -> Vec<Diagnostic> {
        note::check(config)
    }

    fn upgrade(&self, version: i64, state: Json) -> Result<Value, Problems> {
        note::upgrade(version, state).map_err(|error| {
            let detail = format!(
                "{error}. Use the version of the provider that has written it, or remove the \
                 note from the state and import it again."
            );
            Diagnostic::error("The state of the note cannot be read", detail).into()
        })
    }

    fn plan(&self, change: Change) -> Result<Plan, Problems> {
        // What was not known when the configuration was validated may be now.
        refuse_errors(&change.planned)?;
        let (planned, requires_replace) = note::plan(&change.prior, &change.planned);
        Ok(Plan { planned, requires_replace })
    }

    async fn read(&self, state: Value) -> Result<Value, Problems> {
        Ok(self.find(id(&state)?).await?.unwrap_or(Value::Null))
    }

    async fn apply(&self, change: Change) -> Result<Value, Problems> {
        let Change { prior, planned } = change;
        refuse_errors(&planned)?;
        match (prior.is_null(), planned.is_null()) {
            (true, true) => Ok(Value::Null),
            (true, false) => self.create(&planned).await,
            (false, false) => self.update(&prior, &planned).await,
            (false, true) => self.destroy(&prior).await,
        }
    }

    async fn import(&self, id: &str) -> Result<Value, Problems> {
        let Ok(parsed) = Uuid::parse_str(id) else {
            let detail = format!("{id:?} is none: ids are written as {}.", Uuid::nil());
            return Err(Diagnostic::error("Not the id of a note", detail).into());
        };
        let found = self.find(&parsed.to_string()).await?;
        found.ok_or_else(|| {
            let detail = format!("No note is kept with the id {parsed}.");
            Diagnostic::error("There is no such note", detail).into()
        })
    }
}

fn refuse_errors(note: &Value) -> Result<(), Problems> {
    let found = note::check(note);
    if has_errors(&found) { Err(found.into()) } else { Ok(()) }
}

fn id(state: &Value) -> Result<&str, Problems> {
    state.get("id").as_str().ok_or_else(|| {
        let detail = "Its state has none. Remove the note from the state and import it again.";
        Diagnostic::error("The note has no id", detail).into()
    })
}

/// Which write of the note the user has seen: a change is made of that and of no other, so that
/// nobody's change is lost. `None`: the note is gone.
async fn version(notes: &Notes, id: &str, seen: &Value) -> Result<Option<Version>, Problems> {
    match notes.get(id).await.map_err(Diagnostic::from)? {
        Some(kept) if kept.note != *seen => Err(changed().into()),
        kept => Ok(kept.map(|kept| kept.version)),
    }
}

#[cfg(test)]
mod tests {
    use trunkline::services::state::MemoryStore;
    use trunkline::services::state::StateService;

    use super::*;

    /// Two providers that have one store.
    fn two() -> [NoteResource; 2] {
        let service = StateService::new(std::sync::Arc::new(MemoryStore::new()), "notebook");
        let notes = Notes::new(service);
        [(); 2].map(|()| NoteResource::new(Notebook::of(notes.clone())))
    }

    fn config(body: &str) -> Value {
        let mut config = schema::note().block.empty().as_mapping().expect("an object").clone();
        config.insert("title".to_owned(), "a".into());
        config.insert("body".to_owned(), body.into());
        Value::Mapping(config)
    }

    /// Plans and applies, as a host does.
    async fn change(of: &NoteResource, prior: &Value, to: Value) -> Result<Value, Problems> {
        let plan = of.plan(Change { prior: prior.clone(), planned: to })?;
        of.apply(Change { prior: prior.clone(), planned: plan.planned }).await
    }

    fn summary<T: std::fmt::Debug>(result: Result<T, Problems>) -> String {
        let problems = result.expect_err("refused").0;
        problems.into_iter().map(|problem| problem.summary).collect()
    }

    #[tokio::test]
    async fn a_note_goes_through_its_life() {
        let [one, other] = two();
        let made = change(&one, &Value::Null, config("first")).await.expect("made");
        assert_eq!(made.get("revision"), &1.into());
        let changed = change(&one, &made, config("second")).await.expect("changed");
        assert_eq!(changed.get("revision"), &2.into());
        assert_eq!(other.read(made).await.expect("read"), changed);
        let id = changed.get("id").as_str().expect("an id").to_uppercase();
        assert_eq!(other.import(&id).await.expect("found"), changed);
        let gone = change(&one, &changed, Value::Null).await.expect("removed");
        assert_eq!(gone, Value::Null);
        assert_eq!(other.read(changed).await.expect("read"), Value::Null);
        assert_eq!(summary(other.import(&id).await), "There is no such note");
    }

    #[tokio::test]
    async fn nobody_elses_change_is_lost() {
        let [one, other] = two();
        let made = change(&one, &Value::Null, config("first")).await.expect("made");
        let theirs = change(&other, &made, config("theirs")).await.expect("changed");
        let changed = "The note has been changed by somebody else";
        assert_eq!(summary(change(&one, &made, config("mine")).await), changed);
        assert_eq!(summary(change(&one, &made, Value::Null).await), changed);
        assert_eq!(one.read(made.clone()).await.expect("read"), theirs);
        change(&other, &theirs, Value::Null).await.expect("removed");
        let removed = "The note has been removed by somebody else";
        assert_eq!(summary(change(&one, &made, config("mine")).await), removed);
        change(&one, &made, Value::Null).await.expect("as gone as it was to be");
    }

    #[tokio::test]
    async fn what_turns_out_to_be_wrong_is_refused_before_it_is_written() {
        let [one, _] = two();
        let mut wrong = config("text").as_mapping().expect("an object").clone();
        wrong.insert("title".to_owned(), "".into());
        let wrong = Change { prior: Value::Null, planned: Value::Mapping(wrong) };
        assert_eq!(summary(one.plan(wrong.clone())), "A note without a title");
        assert_eq!(summary(one.apply(wrong).await), "A note without a title");
    }

    #[tokio::test]
    async fn a_change_that_leaves_something_open_is_refused() {
        let [one, _] = two();
        let mut open = config("text").as_mapping().expect("an object").clone();
        open.insert("body".to_owned(), Value::unknown());
        let applied = change(&one, &Value::Null, Value::Mapping(open)).await;
        assert_eq!(summary(applied), "The note cannot be kept");
    }

    #[tokio::test]
    async fn a_note_that_is_too_large_is_told_by_its_body() {
        let [one, _] = two();
        let applied = change(&one, &Value::Null, config(&"x".repeat(2 << 20))).await;
        let problems = applied.expect_err("refused").0;
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].summary, "The note is too large");
        assert_eq!(problems[0].attribute, note::attribute("body"));
    }

    #[tokio::test]
    async fn what_is_no_id_and_what_has_none_is_refused() {
        let [one, _] = two();
        assert_eq!(summary(one.import("none").await), "Not the id of a note");
        assert_eq!(summary(one.read(config("text")).await), "The note has no id");
    }

    #[tokio::test]
    async fn before_it_is_configured_there_are_no_notes() {
        let one = NoteResource::new(Notebook::default());
        let made = change(&one, &Value::Null, config("text")).await;
        assert_eq!(summary(made), "The provider is not configured");
    }
}
