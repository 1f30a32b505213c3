//! A state store in memory, for tests and for hosts that need none to last.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::ops::Bound;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::services::state::Conflict;
use crate::services::state::Entry;
use crate::services::state::Expected;
use crate::services::state::Page;
use crate::services::state::PageBuilder;
use crate::services::state::Query;
use crate::services::state::Store;
use crate::services::state::StoreError;
use crate::services::state::StoreFuture;
use crate::services::state::Version;

/// The default limit of a [`MemoryStore`]: 64 MiB over all namespaces.
const DEFAULT_LIMIT: usize = 64 * 1024 * 1024;

/// What an entry is charged beside its key and value, for the map's own parts.
const ENTRY_OVERHEAD: usize = 128;

/// A [`Store`] in memory. Dropping it forgets everything.
///
/// It holds at most 64 MiB, or what [`with_limit`](Self::with_limit) says, over
/// all namespaces; a write beyond it fails with [`StoreError::Full`]. An entry
/// counts as its key, its value and 128 bytes.
#[derive(Debug)]
pub struct MemoryStore {
    limit: usize,
    spaces: Mutex<Spaces>,
}

#[derive(Debug, Default)]
struct Spaces {
    used: usize,
    by_name: HashMap<String, Space>,
}

#[derive(Debug, Default)]
struct Space {
    /// Of the last write. Outlives the entries.
    last: Option<Version>,
    entries: BTreeMap<Bytes, Entry>,
}

impl MemoryStore {
    /// An empty store with the default limit.
    pub fn new() -> Self {
        Self::with_limit(DEFAULT_LIMIT)
    }

    /// An empty store that holds at most `bytes`.
    pub fn with_limit(bytes: usize) -> Self {
        Self { limit: bytes, spaces: Mutex::default() }
    }

    fn write(
        &self,
        namespace: &str,
        key: &[u8],
        value: &[u8],
        expected: Expected,
    ) -> Result<Result<Version, Conflict>, StoreError> {
        let mut spaces = self.spaces.lock();
        let Spaces { used, by_name } = &mut *spaces;
        let space = by_name.entry(namespace.to_owned()).or_default();
        let old = space.entries.get(key);
        if let Err(conflict) = expected.check(old.map(|entry| entry.version)) {
            return Ok(Err(conflict));
        }

        let freed = old.map_or(0, |entry| charge(key, &entry.value));
        let needed = (*used - freed).saturating_add(charge(key, value));
        if needed > self.limit {
            return Err(StoreError::Full(None));
        }
        let next = space.last.map_or(Some(Version::FIRST), Version::next);
        let version = next.ok_or(StoreError::Full(None))?;

        *used = needed;
        space.last = Some(version);
        // Copied: what arrives is a slice of a receive buffer, which a small
        // value would keep alive as a whole.
        let entry = Entry { value: Bytes::copy_from_slice(value), version };
        space.entries.insert(Bytes::copy_from_slice(key), entry);
        Ok(Ok(version))
    }

    fn remove(
        &self,
        namespace: &str,
        key: &[u8],
        expected: Expected,
    ) -> Result<Option<Version>, Conflict> {
        let mut spaces = self.spaces.lock();
        let Spaces { used, by_name } = &mut *spaces;
        let entries = by_name.get_mut(namespace).map(|space| &mut space.entries);
        let current = entries.as_ref().and_then(|entries| entries.get(key)).map(|old| old.version);
        expected.check(current)?;
        if let Some(old) = entries.and_then(|entries| entries.remove(key)) {
            *used -= charge(key, &old.value);
        }
        Ok(current)
    }

    fn page(&self, namespace: &str, query: &Query) -> Page {
        let spaces = self.spaces.lock();
        let mut page = PageBuilder::new(query);
        let Some(space) = spaces.by_name.get(namespace) else {
            return page.finish();
        };
        for (key, entry) in space.entries.range::<[u8], _>((query.start(), Bound::Unbounded)) {
            if page.offer(key, &entry.value, entry.version).is_break() {
                break;
            }
        }
        page.finish()
    }
}

/// What an entry counts towards the limit.
fn charge(key: &[u8], value: &[u8]) -> usize {
    key.len().saturating_add(value.len()).saturating_add(ENTRY_OVERHEAD)
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for MemoryStore {
    fn get<'a>(&'a self, namespace: &'a str, key: &'a [u8]) -> StoreFuture<'a, Option<Entry>> {
        Box::pin(async move {
            let spaces = self.spaces.lock();
            let space = spaces.by_name.get(namespace);
            Ok(space.and_then(|space| space.entries.get(key)).cloned())
        })
    }

    fn put<'a>(
        &'a self,
        namespace: &'a str,
        key: &'a [u8],
        value: Bytes,
        expected: Expected,
    ) -> StoreFuture<'a, Result<Version, Conflict>> {
        Box::pin(async move { self.write(namespace, key, &value, expected) })
    }

    fn delete<'a>(
        &'a self,
        namespace: &'a str,
        key: &'a [u8],
        expected: Expected,
    ) -> StoreFuture<'a, Result<Option<Version>, Conflict>> {
        Box::pin(async move { Ok(self.remove(namespace, key, expected)) })
    }

    fn list<'a>(&'a self, namespace: &'a str, query: Query) -> StoreFuture<'a, Page> {
        Box::pin(async move { Ok(self.page(namespace, &query)) })
    }
}
