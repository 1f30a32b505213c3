//! `notebook_note`: the rules of a note, applied to the notes that are kept.

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value as Json;
use trunkline::services::state::Expected;
use trunkline::services::state::Version;
use uuid::Uuid;

use crate::notebook::note;
use crate::notebook::notes::Kept;
use crate::notebook::notes::NotesError;
use crate::notebook::place::Notebook;
use crate::notebook::schema;
use crate::server::Change;
use crate::server::Instance;
use crate::server::Plan;
use crate::server::Problems;
use crate::server::Resource;
use crate::tfplugin::cty::Value;
use crate::tfplugin::diagnostic::Diagnostic;
use crate::tfplugin::diagnostic::has_errors;
use crate::tfplugin::schema::Schema;

/// The resource `notebook_note`.
pub struct NoteResource {
    notebook: Arc<Notebook>,
}

/// What is kept beside a note's state: which write of it the user has seen. A change is made
/// of that and of no other, so that nobody's change is lost.
#[derive(Deserialize, Serialize)]
struct Private {
    version: u64,
}

impl NoteResource {
    pub fn new(notebook: Arc<Notebook>) -> Self {
        Self { notebook }
    }

    async fn create(&self, planned: &Value) -> Result<Instance, Problems> {
        let id = Uuid::now_v7().to_string();
        let note = note::fulfil(planned, &id, 1);
        let put = self.notebook.notes().await?.put(&id, &note, Expected::Absent).await;
        let version = put.map_err(|error| {
            let is_uncertain = error.is_uncertain();
            let mut problem = Diagnostic::from(error);
            if is_uncertain {
                problem.detail += &format!("\n\nIf it was, `import` takes it as {id}.");
            }
            problem
        })?;
        tracing::info!(id, "wrote a note");
        Ok(instance(note, version))
    }

    async fn update(&self, change: &Change) -> Result<Instance, Problems> {
        let (prior, seen) = (&change.prior, version(&change.private)?);
        let id = id(prior)?;
        let revision = prior.get("revision").as_i64().unwrap_or_default().saturating_add(1);
        let note = note::fulfil(&change.planned, id, revision);
        let put = self.notebook.notes().await?.put(id, &note, seen).await;
        let version = put.map_err(Diagnostic::from)?;
        tracing::info!(id, revision, "wrote a note anew");
        Ok(instance(note, version))
    }

    async fn destroy(&self, change: &Change) -> Result<Instance, Problems> {
        let (id, seen) = (id(&change.prior)?, version(&change.private)?);
        self.notebook.notes().await?.delete(id, seen).await.map_err(Diagnostic::from)?;
        tracing::info!(id, "removed a note");
        Ok(nothing())
    }

    async fn find(&self, id: &str) -> Result<Option<Instance>, Problems> {
        let found = self.notebook.notes().await?.get(id).await;
        let found = found.map_err(|error: NotesError| Diagnostic::from(error))?;
        Ok(found.map(|Kept { note, version }| instance(note, version)))
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
        Ok(Plan { planned, requires_replace, private: change.private })
    }

    async fn read(&self, current: Instance) -> Result<Instance, Problems> {
        Ok(self.find(id(&current.state)?).await?.unwrap_or_else(nothing))
    }

    async fn apply(&self, change: Change) -> Result<Instance, Problems> {
        refuse_errors(&change.planned)?;
        match (change.prior.is_null(), change.planned.is_null()) {
            (true, true) => Ok(nothing()),
            (true, false) => self.create(&change.planned).await,
            (false, false) => self.update(&change).await,
            (false, true) => self.destroy(&change).await,
        }
    }

    async fn import(&self, id: &str) -> Result<Instance, Problems> {
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

fn nothing() -> Instance {
    Instance { state: Value::Null, private: Bytes::new() }
}

fn instance(state: Value, version: Version) -> Instance {
    let private = serde_json::json!(Private { version: version.as_u64() });
    Instance { state, private: private.to_string().into() }
}

fn id(state: &Value) -> Result<&str, Problems> {
    state.get("id").as_str().ok_or_else(|| {
        let detail = "Its state has none. Remove the note from the state and import it again.";
        Diagnostic::error("The note has no id", detail).into()
    })
}

/// Which write of the note the change is made of.
fn version(private: &[u8]) -> Result<Version, Problems> {
    let private: Option<Private> = serde_json::from_slice(private).ok();
    private.and_then(|private| Version::from_u64(private.version)).ok_or_else(|| {
        let detail = "The state does not say which version of the note was seen last, so that \
                      somebody else's change could be lost. Run it again with `-refresh=true`.";
        Diagnostic::error("The note has to be read first", detail).into()
    })
}
