//! The words of the state store: versions, entries, preconditions, pages.

use std::fmt;
use std::num::NonZeroU64;
use std::ops::Bound;
use std::ops::ControlFlow;

use bytes::Bytes;

/// Which write a value is of.
///
/// Versions come from a counter of the namespace that only goes up, so no two
/// writes in a namespace share one, not even when the key was deleted between
/// them. A later write has a higher version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(NonZeroU64);

impl Version {
    /// The version of the first write in a namespace.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// The version of this number, as a store or a wire keeps it. `None` for 0,
    /// which is no version.
    pub const fn from_u64(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// This version as a number, never 0.
    pub const fn as_u64(self) -> u64 {
        self.0.get()
    }

    /// The version of the write after the one with this version. `None` after
    /// 2^64 - 1 writes.
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A value with its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What was written.
    pub value: Bytes,
    /// Of the write that wrote it.
    pub version: Version,
}

/// What must hold for a write to be done. Checked together with the write, so
/// nothing can come between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Expected {
    /// Nothing: write in any case.
    Any,
    /// The key has no value.
    Absent,
    /// The key has a value, of this version.
    Version(Version),
}

impl Expected {
    /// Holds this precondition against the version that a key has (`None`: it
    /// has no value). What every [`Store`](super::Store) does before a write.
    ///
    /// # Errors
    /// The [`Conflict`] to answer with, if it does not hold.
    pub fn check(self, current: Option<Version>) -> Result<(), Conflict> {
        let holds = match self {
            Self::Any => true,
            Self::Absent => current.is_none(),
            Self::Version(version) => current == Some(version),
        };
        if holds { Ok(()) } else { Err(Conflict { current }) }
    }
}

impl From<Version> for Expected {
    fn from(version: Version) -> Self {
        Self::Version(version)
    }
}

/// A precondition did not hold, and nothing was written. An ordinary outcome:
/// read again, decide again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key is not as expected: {}", Current(*.current))]
pub struct Conflict {
    /// The version that the key has. `None`: it has no value.
    pub current: Option<Version>,
}

/// Says which version a key has, for people.
struct Current(Option<Version>);

impl fmt::Display for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(version) => write!(f, "it has version {version}"),
            None => f.write_str("it has no value"),
        }
    }
}

/// A key with its value and version, in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The whole key, prefix and all.
    pub key: Bytes,
    /// Its value. Empty if only keys were asked for.
    pub value: Bytes,
    /// Of the write that wrote it.
    pub version: Version,
}

/// Which part of a namespace to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Keys that begin with these bytes. Empty: all keys.
    pub prefix: Bytes,
    /// Only keys that come after this one, which does not need to exist.
    pub after: Option<Bytes>,
    /// At most so many items. At least 1.
    pub items: usize,
    /// At most so many bytes of keys and values, but always at least one item.
    pub bytes: usize,
    /// Leave the values out.
    pub keys_only: bool,
}

impl Query {
    /// Where in the order of keys to begin.
    pub fn start(&self) -> Bound<&[u8]> {
        match &self.after {
            Some(after) if *after >= self.prefix => Bound::Excluded(after),
            _ => Bound::Included(&self.prefix),
        }
    }
}

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In the order of the keys' bytes. Not empty if there is `more`.
    pub items: Vec<Item>,
    /// There are more keys after the last of these.
    pub more: bool,
}

/// Makes a [`Page`] of entries that are offered in order, from
/// [`Query::start`] on. What a [`Store`](super::Store) uses to list.
#[derive(Debug)]
pub struct PageBuilder<'a> {
    query: &'a Query,
    page: Page,
    room: usize,
}

impl<'a> PageBuilder<'a> {
    /// An empty page for this query.
    pub fn new(query: &'a Query) -> Self {
        Self { query, page: Page::default(), room: query.bytes }
    }

    /// Adds the next entry, copying it, or finds that the page ends before it.
    ///
    /// Breaks when nothing more needs to be offered.
    pub fn offer(&mut self, key: &[u8], value: &[u8], version: Version) -> ControlFlow<()> {
        if !key.starts_with(&self.query.prefix) {
            return ControlFlow::Break(());
        }
        let value = if self.query.keys_only { &[] } else { value };
        let size = key.len().saturating_add(value.len());
        let items = &mut self.page.items;
        // One item must fit in any case, or a list could not get past it.
        if !items.is_empty() && (items.len() >= self.query.items || size > self.room) {
            self.page.more = true;
            return ControlFlow::Break(());
        }
        self.room = self.room.saturating_sub(size);
        items.push(Item {
            key: Bytes::copy_from_slice(key),
            value: Bytes::copy_from_slice(value),
            version,
        });
        ControlFlow::Continue(())
    }

    /// The page.
    pub fn finish(self) -> Page {
        self.page
    }
}
