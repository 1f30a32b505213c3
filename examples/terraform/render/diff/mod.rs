//! How a resource changes, as a tree: what is created, updated and deleted in it, and what
//! stays. `text` writes it down.

mod collections;
mod compare;
mod text;

#[cfg(test)]
mod tests;

pub use compare::compare;
pub use compare::is_same;
pub use compare::unchanged;
pub use text::Shown;
pub use text::block_text;
pub use text::value_text;

use crate::tfplugin::cty::Value;

/// What happens to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Same,
    Create,
    Update,
    Delete,
}

/// A value before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diff {
    pub mark: Mark,
    /// Its change makes the resource another one.
    pub forces: bool,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No collection. What is absent is `None`; null may be there, in a list.
    Scalar { before: Option<Value>, after: Option<Value> },
    /// It will be known later.
    Unknown { before: Option<Box<Diff>> },
    /// It is not to be shown.
    Sensitive,
    /// It is not kept, so that nobody knows whether it changes.
    WriteOnly,
    /// A list, a set or a tuple.
    Sequence {
        elements: Vec<Diff>,
        /// What changes is shown with its neighbours.
        has_order: bool,
    },
    Map {
        elements: Vec<(String, Diff)>,
        /// They have a schema of their own, and are shown like those of blocks.
        is_nested: bool,
    },
    Object {
        attributes: Vec<(String, Diff)>,
        /// They have a schema of their own, and are shown like those of blocks.
        is_nested: bool,
    },
    Block {
        attributes: Vec<(String, Diff)>,
        /// With the label of each, if it has one.
        blocks: Vec<(String, Option<String>, Diff)>,
    },
    /// It becomes something of another type.
    Retyped { before: Box<Diff>, after: Box<Diff> },
}

type Side<'a> = Option<&'a Value>;

impl Mark {
    /// Of something, before what is inside is looked at.
    fn of(before: Side<'_>, after: Side<'_>) -> Self {
        match (before, after) {
            (None, Some(_)) => Self::Create,
            (Some(_), None) => Self::Delete,
            _ => Self::Same,
        }
    }

    /// With one that is inside.
    fn with(self, inner: Self) -> Self {
        match inner {
            Self::Same => self,
            _ if self == inner => self,
            _ => Self::Update,
        }
    }

    fn with_all<'a>(self, inner: impl IntoIterator<Item = &'a Diff>) -> Self {
        inner.into_iter().fold(self, |mark, diff| mark.with(diff.mark))
    }
}
