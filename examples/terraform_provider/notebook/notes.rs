//! The notes that are kept, in whatever store: every write says what it expects to find.

use futures::StreamExt;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value as Json;
use thiserror::Error;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::StdError;
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;
use trunkline::services::state::Expected;
use trunkline::services::state::State;
use trunkline::services::state::StateError;
use trunkline::services::state::Version;

use crate::notebook::note;
use crate::notebook::note::UpgradeError;
use crate::notebook::schema;
use crate::tfplugin::cty::EncodeError;
use crate::tfplugin::cty::Value;
use crate::tfplugin::diagnostic::Diagnostic;

/// What the keys of notes begin with, before the id.
const PREFIX: &str = "note/";

/// To the host's store, or to one in this process.
type Channel = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Status>;

/// The notes in a store. Clones are the same.
#[derive(Clone, Debug)]
pub struct Notes {
    state: State<Channel>,
}

/// A note as it was read.
#[derive(Debug)]
pub struct Kept {
    pub note: Value,
    /// Of the write that wrote it.
    pub version: Version,
}

/// The value of a key. It goes through the same upgrades as a state of the user's.
#[derive(Deserialize, Serialize)]
struct Record {
    schema: i64,
    note: Json,
}

/// Why a note could not be read or written.
#[derive(Debug, Error)]
pub enum NotesError {
    /// The store has not done it.
    #[error("the store of the notes failed")]
    Store(#[from] StateError),
    /// Something else than a note is kept under its key.
    #[error("what is kept under {key} is no note")]
    NotANote { key: String, source: serde_json::Error },
    /// It cannot be read by this version of the provider.
    #[error("the note that is kept under {key} cannot be read")]
    Unreadable { key: String, source: UpgradeError },
    /// Something in it is not known, or does not fit.
    #[error("the note cannot be written as JSON")]
    Unwritable(#[from] EncodeError),
}

impl Notes {
    /// The notes in what answers here as a state service. Makes no call.
    pub fn new<S, B>(service: S) -> Self
    where
        S: Service<http::Request<Body>, Response = http::Response<B>>,
        S: Clone + Send + Sync + 'static,
        S::Error: Into<StdError>,
        S::Future: Send + 'static,
        B: http_body::Body<Data = bytes::Bytes, Error: Into<StdError>> + Send + 'static,
    {
        let service = service
            .map_response(|response| response.map(Body::new))
            .map_err(|error| Status::from_error(error.into()));
        Self { state: State::new(BoxCloneSyncService::new(service)) }
    }

    /// Whether the store answers.
    pub async fn probe(&self) -> Result<(), StateError> {
        self.state.get(PREFIX).await.map(|_| ())
    }

    pub async fn get(&self, id: &str) -> Result<Option<Kept>, NotesError> {
        let key = key(id);
        let Some(entry) = self.state.get(&key).await? else { return Ok(None) };
        let note = read(key, &entry.value)?;
        Ok(Some(Kept { note, version: entry.version }))
    }

    /// Writes a note, if what is kept of it so far is as expected.
    pub async fn put(
        &self,
        id: &str,
        note: &Value,
        expected: impl Into<Expected>,
    ) -> Result<Version, NotesError> {
        let record = Record { schema: schema::NOTE_VERSION, note: note.to_json(&note::TYPE)? };
        let record = serde_json::json!(record).to_string();
        Ok(self.state.put_if(key(id), record, expected).await?)
    }

    /// Removes a note, if it is as expected.
    pub async fn delete(&self, id: &str, expected: Version) -> Result<(), NotesError> {
        match self.state.delete_if(key(id), expected).await {
            // It was to go, and it is gone.
            Ok(_) | Err(StateError::Conflict { current: None }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// All notes, the oldest first: ids begin with the time.
    pub fn all(&self) -> BoxStream<'static, Result<Value, NotesError>> {
        let items = self.state.list(PREFIX).map_err(NotesError::from);
        let note = |item: trunkline::services::state::Item| {
            read(String::from_utf8_lossy(&item.key).into_owned(), &item.value)
        };
        items.map(move |item| item.and_then(note)).boxed()
    }
}

fn key(id: &str) -> String {
    format!("{PREFIX}{id}")
}

fn read(key: String, value: &[u8]) -> Result<Value, NotesError> {
    let Record { schema, note } = match serde_json::from_slice(value) {
        Ok(record) => record,
        Err(source) => return Err(NotesError::NotANote { key, source }),
    };
    note::upgrade(schema, note).map_err(|source| NotesError::Unreadable { key, source })
}

impl NotesError {
    /// Whether a write that failed so may have been done all the same.
    pub fn is_uncertain(&self) -> bool {
        matches!(self, Self::Store(StateError::Store(_) | StateError::Unavailable(_)))
    }
}

/// For the user: what happened, and what to do.
impl From<NotesError> for Diagnostic {
    fn from(error: NotesError) -> Self {
        let error = match error {
            NotesError::Store(error) => error,
            NotesError::Unwritable(error) => {
                let detail =
                    format!("{error}. This is a bug of the program that runs the provider.");
                return Self::error("The note cannot be kept", detail).at(error.path);
            }
            NotesError::NotANote { .. } | NotesError::Unreadable { .. } => {
                let detail = format!(
                    "{}. Use the version of the provider that has written it, or remove it.",
                    causes(&error)
                );
                return Self::error("A note that is kept cannot be read", detail);
            }
        };
        let why = causes(&error);
        let (summary, advice) = match &error {
            StateError::Conflict { current: Some(_) } => return changed(),
            StateError::Conflict { current: None } => return removed(),
            StateError::ValueTooLarge { .. } => {
                let path = note::attribute("body");
                let advice = format!("Shorten its body, or make two of it: {why}.");
                return Self::error("The note is too large", advice).at(path);
            }
            StateError::Full(_) => (
                "There is no room for notes left",
                "Nothing was written. Remove something, or free some room on the disk.",
            ),
            StateError::Corrupt(_) => ("The notes are damaged", "Restore them from a copy."),
            StateError::NotOffered(_) => (
                "The host does not let the provider keep its notes with it",
                "Grant it the service `trunkline.state.v1.State`, or set `path` in the \
                 provider's configuration to keep the notes in a file.",
            ),
            _ => (
                "The notes cannot be read or written",
                "The log says more. If it was a write, whether it was done is not known: plan \
                 again.",
            ),
        };
        Self::error(summary, format!("{advice} ({why})"))
    }
}

/// A note is not what it was when it was last read.
pub fn changed() -> Diagnostic {
    let detail = "It was changed after it was last read here. Plan again, to see what would be \
                  done now.";
    Diagnostic::error("The note has been changed by somebody else", detail)
}

/// A note that was to be changed is gone.
pub fn removed() -> Diagnostic {
    let detail = "It was removed after it was last read here. Plan again, to make it anew.";
    Diagnostic::error("The note has been removed by somebody else", detail)
}

/// An error with all that caused it, in one line.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = match error.downcast_ref::<Status>() {
            // It would show itself at length.
            Some(status) => status.message().to_owned(),
            None => error.to_string(),
        };
        // A status says what its cause says.
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use trunkline::services::state::MemoryStore;
    use trunkline::services::state::StateService;

    use super::*;

    /// A store with one value under the key of a note.
    async fn holding(value: &str) -> Notes {
        let service = StateService::new(Arc::new(MemoryStore::new()), "notebook");
        State::new(service.clone()).put(key("a"), value.to_owned()).await.expect("room");
        Notes::new(service)
    }

    #[tokio::test]
    async fn a_note_that_an_older_provider_has_kept_is_read() {
        let notes = holding(r#"{"schema": 0, "note": {"id": "a", "name": "old"}}"#).await;
        let kept = notes.get("a").await.expect("readable").expect("there");
        assert_eq!(kept.note.get("title"), &"old".into());
    }

    #[tokio::test]
    async fn what_is_no_note_is_told_with_its_key() {
        for value in ["", "[]", r#"{"schema": 9, "note": {}}"#, r#"{"schema": 1, "note": 1}"#] {
            let notes = holding(value).await;
            let problem = Diagnostic::from(notes.get("a").await.expect_err(value));
            assert_eq!(problem.summary, "A note that is kept cannot be read", "{value}");
            assert!(problem.detail.contains("note/a"), "{}", problem.detail);
            assert!(notes.all().try_next().await.is_err(), "{value}");
        }
    }

    #[tokio::test]
    async fn a_note_that_is_gone_is_removed_all_the_same() {
        let notes = holding("").await;
        notes.delete("b", Version::FIRST).await.expect("nothing to do");
        let other = Version::FIRST.next().expect("a version");
        assert!(notes.delete("a", other).await.is_err());
    }

    #[test]
    fn a_cause_that_says_the_same_is_said_once() {
        let status = Status::new(tonic::Code::PermissionDenied, "not granted");
        let causes = causes(&StateError::NotOffered(status));
        assert_eq!(causes, "the host does not offer this: not granted");
    }
}
