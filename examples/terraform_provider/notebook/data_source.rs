//! `notebook_notes`: the notes that are kept, whoever has written them.

use std::sync::Arc;

use futures::TryStreamExt;

use crate::notebook::place::Notebook;
use crate::notebook::schema;
use crate::server::DataSource;
use crate::server::Problems;
use crate::tfplugin::cty::Value;
use crate::tfplugin::diagnostic::Diagnostic;
use crate::tfplugin::schema::Schema;

/// The most notes that are listed: they all stand in one message, and in the user's state.
const MOST_NOTES: usize = 10_000;

/// What of a note is listed. Bodies would make the list large, secrets would make it secret.
const LISTED: [&str; 5] = ["checksum", "id", "revision", "tags", "title"];

/// The data source `notebook_notes`.
pub struct Listing {
    notebook: Arc<Notebook>,
}

impl Listing {
    pub fn new(notebook: Arc<Notebook>) -> Self {
        Self { notebook }
    }
}

#[tonic::async_trait]
impl DataSource for Listing {
    fn schema(&self) -> Schema {
        schema::notes()
    }

    fn validate(&self, _: &Value) -> Vec<Diagnostic> {
        Vec::new()
    }

    async fn read(&self, config: Value) -> Result<Value, Problems> {
        let mut all = self.notebook.notes().await?.all();
        let mut found = Vec::new();
        while let Some(note) = all.try_next().await.map_err(Diagnostic::from)? {
            if is_wanted(&config, &note) {
                if found.len() == MOST_NOTES {
                    return Err(too_many().into());
                }
                let listed = LISTED.into_iter().map(|name| (name, note.get(name).clone()));
                found.push(listed.collect::<Value>());
            }
        }
        let mut read = config.as_mapping().cloned().unwrap_or_default();
        read.insert("notes".to_owned(), found.into_iter().collect());
        Ok(Value::Mapping(read))
    }
}

/// Both filters hold, if they are there.
fn is_wanted(config: &Value, note: &Value) -> bool {
    let title = note.get("title").as_str().unwrap_or_default();
    let has_prefix = config.get("prefix").as_str().is_none_or(|prefix| title.starts_with(prefix));
    let tag = config.get("tag").as_str();
    has_prefix && tag.is_none_or(|tag| !note.get("tags").get(tag).is_null())
}

fn too_many() -> Diagnostic {
    Diagnostic::error(
        "Too many notes",
        format!("More than {MOST_NOTES} were found. Set `prefix` or `tag`, to find fewer."),
    )
}
