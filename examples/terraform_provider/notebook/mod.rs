//! The provider `notebook`: notes, and what is kept of them.
//!
//! | module | what is in it |
//! |---|---|
//! | `schema` | what notes, the list of notes and the provider's configuration look like |
//! | `note` | the rules of a note: pure, on values |
//! | `resource` | `notebook_note`: the rules applied to what is kept |
//! | `data_source` | `notebook_notes` |
//! | `functions` | `slug` and `join_tags` |
//! | `notes` | the notes that are kept |
//! | `place` | where they are kept: with the host, or in a file |

use std::collections::BTreeMap;

use trunkline::plugin::HostHandle;

use crate::notebook::data_source::Listing;
use crate::notebook::place::Notebook;
use crate::notebook::place::Place;
use crate::notebook::resource::NoteResource;
use crate::server::DataSource;
use crate::server::Provider;
use crate::server::Resource;

mod data_source;
mod functions;
mod note;
mod notes;
mod place;
mod resource;
mod schema;

/// The provider, for this host.
pub fn provider(host: HostHandle) -> Provider {
    let notebook = Notebook::default();
    let note: Box<dyn Resource> = Box::new(NoteResource::new(notebook.clone()));
    let notes: Box<dyn DataSource> = Box::new(Listing::new(notebook.clone()));
    Provider {
        configuration: Box::new(Place::new(host, notebook)),
        resources: BTreeMap::from([(schema::NOTE, note)]),
        data_sources: BTreeMap::from([(schema::NOTES, notes)]),
        functions: BTreeMap::from([
            ("slug", functions::slug()),
            ("join_tags", functions::join_tags()),
        ]),
    }
}
