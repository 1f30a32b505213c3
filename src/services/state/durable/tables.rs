//! The tables in a store's file, and what is done with them in transactions.

use std::ops::Bound;

use bytes::Bytes;
use redb::Database;
use redb::ReadableDatabase;
use redb::ReadableTable;
use redb::TableDefinition;

use crate::services::state::Conflict;
use crate::services::state::Entry;
use crate::services::state::Expected;
use crate::services::state::Page;
use crate::services::state::PageBuilder;
use crate::services::state::Query;
use crate::services::state::Version;

type Key = (&'static str, &'static [u8]);
type Value = (u64, &'static [u8]);

/// Namespace and key to version and value. The names of the tables say the
/// layout's version.
const ENTRIES: TableDefinition<'_, Key, Value> = TableDefinition::new("trunkline.state.v1.entries");

/// Namespace to the version of its last write.
const COUNTERS: TableDefinition<'_, &str, u64> =
    TableDefinition::new("trunkline.state.v1.counters");

/// Creates the tables, so that every operation finds them.
pub(super) fn prepare(database: Database) -> Result<Database, redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(ENTRIES)?;
    transaction.open_table(COUNTERS)?;
    transaction.commit()?;
    Ok(database)
}

pub(super) fn read(
    database: &Database,
    namespace: &str,
    key: &[u8],
) -> Result<Option<Entry>, redb::Error> {
    let entries = database.begin_read()?.open_table(ENTRIES)?;
    let Some(found) = entries.get((namespace, key))? else {
        return Ok(None);
    };
    let (version, value) = found.value();
    let version = stored_version(version)?;
    Ok(Some(Entry { value: Bytes::copy_from_slice(value), version }))
}

pub(super) fn write(
    database: &Database,
    namespace: &str,
    key: &[u8],
    value: &[u8],
    expected: Expected,
) -> Result<Result<Version, Conflict>, redb::Error> {
    let transaction = database.begin_write()?;
    let version = {
        let mut entries = transaction.open_table(ENTRIES)?;
        let mut counters = transaction.open_table(COUNTERS)?;
        if let Err(conflict) = expected.check(current(&entries, namespace, key)?) {
            return Ok(Err(conflict));
        }
        let last = counters.get(namespace)?.map(|last| last.value());
        let next = match last {
            None => Some(Version::FIRST),
            Some(last) => stored_version(last)?.next(),
        };
        let version = next.ok_or_else(|| corrupt("the counter of versions is at its end"))?;
        counters.insert(namespace, version.as_u64())?;
        entries.insert((namespace, key), (version.as_u64(), value))?;
        version
    };
    transaction.commit()?;
    Ok(Ok(version))
}

pub(super) fn remove(
    database: &Database,
    namespace: &str,
    key: &[u8],
    expected: Expected,
) -> Result<Result<Option<Version>, Conflict>, redb::Error> {
    let transaction = database.begin_write()?;
    let removed = {
        let mut entries = transaction.open_table(ENTRIES)?;
        let current = current(&entries, namespace, key)?;
        if let Err(conflict) = expected.check(current) {
            return Ok(Err(conflict));
        }
        entries.remove((namespace, key))?;
        current
    };
    transaction.commit()?;
    Ok(Ok(removed))
}

pub(super) fn page(
    database: &Database,
    namespace: &str,
    query: &Query,
) -> Result<Page, redb::Error> {
    let entries = database.begin_read()?.open_table(ENTRIES)?;
    let start = query.start().map(|key| (namespace, key));
    let mut page = PageBuilder::new(query);
    for entry in entries.range::<(&str, &[u8])>((start, Bound::Unbounded))? {
        let (key, entry) = entry?;
        let (space, key) = key.value();
        let (version, value) = entry.value();
        if space != namespace || page.offer(key, value, stored_version(version)?).is_break() {
            break;
        }
    }
    Ok(page.finish())
}

fn current(
    entries: &impl ReadableTable<Key, Value>,
    namespace: &str,
    key: &[u8],
) -> Result<Option<Version>, redb::Error> {
    let found = entries.get((namespace, key))?;
    found.map(|entry| stored_version(entry.value().0)).transpose()
}

fn stored_version(number: u64) -> Result<Version, redb::Error> {
    Version::from_u64(number).ok_or_else(|| corrupt("a version is 0"))
}

fn corrupt(what: &str) -> redb::Error {
    redb::Error::Corrupted(what.to_owned())
}
