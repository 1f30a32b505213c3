//! Where the notes are kept: by the host, if it keeps state for its plugins, or in a file of
//! the provider's own.

use std::env;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Mutex;
use tonic::server::NamedService;
use trunkline::Reason;
use trunkline::plugin::HostHandle;
use trunkline::services::state::RedbStore;
use trunkline::services::state::StateError;
use trunkline::services::state::StateService;
use trunkline::services::state::StoreError;

use crate::notebook::note::attribute;
use crate::notebook::notes::Notes;
use crate::notebook::notes::NotesError;
use crate::notebook::notes::causes;
use crate::notebook::schema;
use crate::server::Configuration;
use crate::server::Problems;
use crate::tfplugin::cty::Value;
use crate::tfplugin::diagnostic::Diagnostic;
use crate::tfplugin::schema::Schema;

/// Names the file, where neither the configuration nor the host says where to keep notes.
const VARIABLE: &str = "NOTEBOOK_PATH";

/// The file that nobody has named.
const DEFAULT: &str = "notebook.redb";

/// What a file's notes are called in it, as a host calls what it keeps for a plugin.
const NAMESPACE: &str = "notebook";

/// How long to wait for a file that is open elsewhere: hosts run one instance of the provider
/// after the other, and may kill one only when it has had two seconds to end.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// The notes, once the provider is configured. Clones are the same.
#[derive(Clone, Default)]
pub struct Notebook(Arc<Mutex<Option<Open>>>);

/// The provider's configuration, which opens the notebook.
pub struct Place {
    host: HostHandle,
    notebook: Notebook,
}

struct Open {
    /// `None`: the host keeps them.
    file: Option<PathBuf>,
    notes: Notes,
}

/// Why there are no notes to be had.
#[derive(Debug, Error)]
enum OpenError {
    #[error("the host cannot be asked for its state store")]
    Host(#[source] trunkline::Error),
    #[error("the host's state store is not to be had")]
    HostStore(#[from] StateError),
    #[error("the path {} cannot be made absolute", path.display())]
    Path { path: PathBuf, source: std::io::Error },
    #[error("{} cannot be opened", path.display())]
    File { path: PathBuf, source: StoreError },
}

impl Notebook {
    /// A notebook that is open.
    #[cfg(test)]
    pub fn of(notes: Notes) -> Self {
        Self(Arc::new(Mutex::new(Some(Open { file: None, notes }))))
    }

    /// The notes.
    pub async fn notes(&self) -> Result<Notes, Problems> {
        let open = self.0.lock().await;
        open.as_ref().map(|open| open.notes.clone()).ok_or_else(|| {
            let detail = "This is a bug of the program that runs the provider: it has to \
                          configure the provider first.";
            Diagnostic::error("The provider is not configured", detail).into()
        })
    }
}

impl Place {
    pub fn new(host: HostHandle, notebook: Notebook) -> Self {
        Self { host, notebook }
    }

    async fn open(&self, configured: Option<&str>) -> Result<(), OpenError> {
        let mut open = self.notebook.0.lock().await;
        let file = match configured {
            Some(path) => PathBuf::from(path),
            None => match self.host.open(StateService::NAME) {
                Ok(store) => {
                    *open = None;
                    let notes = Notes::new(store);
                    notes.probe().await?;
                    *open = Some(Open { file: None, notes });
                    return Ok(());
                }
                // Hosts that were not built on Trunkline have no services by name.
                Err(error) if error.reason() == Reason::Unknown => default_file(),
                Err(error) => return Err(OpenError::Host(error)),
            },
        };
        let file = std::path::absolute(&file)
            .map_err(|source| OpenError::Path { path: file.clone(), source })?;
        if open.as_ref().is_some_and(|open| open.file.as_deref() == Some(&*file)) {
            return Ok(());
        }
        // It may be the file that is wanted, by another name.
        *open = None;
        let store = open_file(&file).await;
        let store = store.map_err(|source| OpenError::File { path: file.clone(), source })?;
        let notes = Notes::new(StateService::new(Arc::new(store), NAMESPACE));
        tracing::info!(file = %file.display(), "the notebook is open");
        *open = Some(Open { file: Some(file), notes });
        Ok(())
    }
}

fn default_file() -> PathBuf {
    let named = env::var_os(VARIABLE).filter(|path| !path.is_empty());
    named.unwrap_or_else(|| DEFAULT.into()).into()
}

async fn open_file(path: &Path) -> Result<RedbStore, StoreError> {
    for _ in 1..TRIES {
        match RedbStore::open(path).await {
            Err(StoreError::InUse(_)) => tokio::time::sleep(PAUSE).await,
            opened => return opened,
        }
    }
    RedbStore::open(path).await
}

#[tonic::async_trait]
impl Configuration for Place {
    fn schema(&self) -> Schema {
        schema::provider()
    }

    fn validate(&self, config: &Value) -> Vec<Diagnostic> {
        let path = config.get("path").as_str();
        let is_empty = path.is_some_and(str::is_empty);
        let problem = || {
            let detail = "Leave it out to have the notes in the default place.";
            Diagnostic::error("The path is empty", detail).at(attribute("path"))
        };
        is_empty.then(problem).into_iter().collect()
    }

    async fn configure(&self, config: &Value) -> Result<(), Problems> {
        let path = config.get("path");
        if path.is_unknown() {
            let detail = "Notes are read when changes are planned, and the path depends on what \
                          is known only when they are made. Apply what it depends on first.";
            return Err(Diagnostic::error("The path is not known yet", detail)
                .at(attribute("path"))
                .into());
        }
        let problems = self.validate(config);
        if !problems.is_empty() {
            return Err(problems.into());
        }
        self.open(path.as_str()).await.map_err(|error| Diagnostic::from(error).into())
    }
}

/// For the user: what happened, and what to do.
impl From<OpenError> for Diagnostic {
    fn from(error: OpenError) -> Self {
        let why = causes(&error);
        let (summary, advice) = match error {
            OpenError::HostStore(error) => return NotesError::from(error).into(),
            OpenError::Host(_) => {
                ("The host's state store is not to be had", "Start the run again.")
            }
            OpenError::Path { .. } => {
                ("The notebook cannot be found", "Set `path` to an absolute path.")
            }
            OpenError::File { source, .. } => match source {
                StoreError::InUse(_) => (
                    "The notebook is open elsewhere",
                    "One program has it open at a time: wait until the other run has ended. Two \
                     configurations of the provider in one run need a `path` each.",
                ),
                StoreError::NotAStore(_) => (
                    "The file is no notebook",
                    "It was left as it is. Set `path` to another, or to one that is not there.",
                ),
                StoreError::Corrupt(_) => {
                    ("The notebook is damaged", "Restore the file from a copy.")
                }
                StoreError::Full(_) => {
                    ("There is no room for the notebook", "Free some room on the disk.")
                }
                _ => (
                    "The notebook cannot be opened",
                    "See that its folder is there, and that the file may be read and written.",
                ),
            },
        };
        Self::error(summary, format!("{advice} ({why})")).at(attribute("path"))
    }
}
