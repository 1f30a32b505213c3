//! What notes, the list of notes and the provider's configuration look like.

use std::collections::BTreeMap;

use crate::tfplugin::cty::Type;
use crate::tfplugin::schema::Attribute;
use crate::tfplugin::schema::Block;
use crate::tfplugin::schema::Description;
use crate::tfplugin::schema::Nested;
use crate::tfplugin::schema::NestedBlock;
use crate::tfplugin::schema::Nesting;
use crate::tfplugin::schema::Schema;

/// The type of the resource.
pub const NOTE: &str = "notebook_note";

/// The type of the data source.
pub const NOTES: &str = "notebook_notes";

/// Of the states of notes. In version 0 the title was called `name`, and neither revisions nor
/// checksums were kept.
pub const NOTE_VERSION: i64 = 1;

/// What the provider sets in a note, and nobody else.
pub const COMPUTED: [&str; 3] = ["checksum", "id", "revision"];

/// A note that needs more is a calendar.
pub const MOST_REMINDERS: i64 = 10;

/// The provider's configuration.
pub fn provider() -> Schema {
    let path = "The file in which the notes are kept. By default they are kept by the program \
                that runs the provider, if it is built on Trunkline. Otherwise the environment \
                variable NOTEBOOK_PATH names the file, or it is `notebook.redb` in the working \
                directory. The file is made if it is not there.";
    let block = Block {
        attributes: attributes([("path", optional(Type::String, path))]),
        description: text("Notes, which a provider written in Rust keeps."),
        ..Block::default()
    };
    Schema { version: 0, block }
}

/// A note.
pub fn note() -> Schema {
    let tags = "What to find it by: names and values.";
    let secret = "Is not shown. It stands in the state and in the notebook as it is.";
    let checksum = "The SHA-256 of the body, in hexadecimal digits; null without a body.";
    let author = Attribute {
        optional: true,
        description: text("Who wrote the note."),
        ..Attribute::with_nested(author())
    };
    let attributes = attributes([
        ("id", computed(Type::String, "What the note is known by; `import` takes it.")),
        ("title", required(Type::String, "One line. Another title makes another note.")),
        ("body", optional(Type::String, "The text.")),
        ("tags", optional(Type::map(Type::String), tags)),
        ("secret", Attribute { sensitive: true, ..optional(Type::String, secret) }),
        ("author", author),
        ("revision", computed(Type::Number, "How often it has been written.")),
        ("checksum", computed(Type::String, checksum)),
    ]);
    let reminder =
        NestedBlock { max_items: MOST_REMINDERS, ..NestedBlock::new(Nesting::List, reminder()) };
    let block = Block {
        attributes,
        blocks: BTreeMap::from([("reminder".to_owned(), reminder)]),
        description: text("A note."),
        ..Block::default()
    };
    Schema { version: NOTE_VERSION, block }
}

fn author() -> Nested {
    let attributes = attributes([
        ("name", required(Type::String, "What to call the author.")),
        ("email", optional(Type::String, "Where to reach the author.")),
    ]);
    Nested { nesting: Nesting::Single, attributes }
}

fn reminder() -> Block {
    Block {
        attributes: attributes([
            ("at", required(Type::String, "When, as in RFC 3339: `2027-01-31T09:00:00Z`.")),
            ("text", optional(Type::String, "Of what.")),
        ]),
        description: text("When to be reminded of the note, and of what."),
        ..Block::default()
    }
}

/// A list of notes.
pub fn notes() -> Schema {
    let listed = Nested {
        nesting: Nesting::List,
        attributes: attributes([
            ("id", computed(Type::String, "What the note is known by.")),
            ("title", computed(Type::String, "Its title.")),
            ("tags", computed(Type::map(Type::String), "Its tags.")),
            ("revision", computed(Type::Number, "How often it has been written.")),
            ("checksum", computed(Type::String, "The SHA-256 of its body.")),
        ]),
    };
    let found = "The notes that were found, the oldest first.";
    let found =
        Attribute { computed: true, description: text(found), ..Attribute::with_nested(listed) };
    let block = Block {
        attributes: attributes([
            ("prefix", optional(Type::String, "Only notes whose title begins so.")),
            ("tag", optional(Type::String, "Only notes that have a tag of this name.")),
            ("notes", found),
        ]),
        description: text("The notes that are kept, also those of other configurations."),
        ..Block::default()
    };
    Schema { version: 0, block }
}

fn attributes<const N: usize>(all: [(&str, Attribute); N]) -> BTreeMap<String, Attribute> {
    all.into_iter().map(|(name, attribute)| (name.to_owned(), attribute)).collect()
}

fn required(ty: Type, description: &str) -> Attribute {
    Attribute { required: true, description: text(description), ..Attribute::new(ty) }
}

fn optional(ty: Type, description: &str) -> Attribute {
    Attribute { optional: true, description: text(description), ..Attribute::new(ty) }
}

fn computed(ty: Type, description: &str) -> Attribute {
    Attribute { computed: true, description: text(description), ..Attribute::new(ty) }
}

fn text(text: &str) -> Description {
    Description { text: text.to_owned(), is_markdown: true }
}
