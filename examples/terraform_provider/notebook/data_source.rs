//! `notebook_notes`: the notes that are kept, whoever has written them.

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
    notebook: Notebook,
}

impl Listing {
    pub fn new(notebook: Notebook) -> Self {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use trunkline::services::state::Expected;
    use trunkline::services::state::MemoryStore;
    use trunkline::services::state::StateService;

    use super::*;
    use crate::notebook::notes::Notes;

    /// Notes with these titles and a tag each, kept under ids in this order.
    async fn listing(notes: &[(&str, &str)]) -> Listing {
        let service = StateService::new(Arc::new(MemoryStore::new()), "notebook");
        let kept = Notes::new(service);
        for (id, (title, tag)) in notes.iter().enumerate() {
            let tags = [(*tag, Value::from(""))].into_iter().collect();
            let secret = Value::from("not to be shown");
            let note = [("title", Value::from(*title)), ("tags", tags), ("secret", secret)];
            let note: Value = note.into_iter().collect();
            kept.put(&format!("{id:05}"), &note, Expected::Absent).await.expect("room");
        }
        Listing::new(Notebook::of(kept))
    }

    async fn titles(listing: &Listing, config: &[(&str, &str)]) -> Vec<String> {
        let config = config.iter().map(|(name, value)| (*name, Value::from(*value))).collect();
        let read = listing.read(config).await.expect("read");
        let notes = read.get("notes").as_sequence().expect("a list").to_vec();
        notes.iter().filter_map(|note| note.get("title").as_str().map(str::to_owned)).collect()
    }

    #[tokio::test]
    async fn notes_are_found_by_title_and_tag() {
        let listing = listing(&[("ab", "x"), ("b", "y"), ("ac", "y")]).await;
        assert_eq!(titles(&listing, &[]).await, ["ab", "b", "ac"]);
        assert_eq!(titles(&listing, &[("prefix", "a")]).await, ["ab", "ac"]);
        assert_eq!(titles(&listing, &[("tag", "y")]).await, ["b", "ac"]);
        assert_eq!(titles(&listing, &[("prefix", "a"), ("tag", "y")]).await, ["ac"]);
    }

    #[tokio::test]
    async fn what_is_listed_fits_the_schema_and_has_no_secrets() {
        let listing = listing(&[("a", "x")]).await;
        let config = schema::notes().block.empty();
        let read = listing.read(config).await.expect("read");
        let json = read.to_json(&schema::notes().block.implied_type()).expect("fits");
        assert!(!json.to_string().contains("not to be shown"), "{json}");
    }

    #[tokio::test]
    async fn a_list_without_end_is_refused() {
        let notes = vec![("a", "x"); MOST_NOTES + 1];
        let problems = listing(&notes).await.read(schema::notes().block.empty()).await;
        assert_eq!(problems.expect_err("refused").0[0].summary, "Too many notes");
    }
}
