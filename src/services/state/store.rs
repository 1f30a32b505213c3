//! Where a host keeps its plugins' state: the contract of a store.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

use crate::services::state::Conflict;
use crate::services::state::Entry;
use crate::services::state::Expected;
use crate::services::state::Page;
use crate::services::state::Query;
use crate::services::state::Version;

/// What the methods of a [`Store`] return.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Where a host keeps its plugins' state. One store serves many plugins, each
/// in a namespace of its own. [`MemoryStore`](super::MemoryStore) and, with the
/// feature `redb`, the durable `RedbStore` are given; a host with a database of
/// its own implements this.
///
/// # Contract
/// - A namespace is there as soon as it is named. Namespaces do not see each
///   other.
/// - The precondition of a write is checked and the write done as one step:
///   writes of one namespace have an order, and every read sees the writes
///   that were answered before it began. [`Expected::check`] is the check.
/// - Versions follow what [`Version`] promises. A store that is durable keeps
///   the counter too.
/// - A durable store answers a write when it would survive a crash.
/// - An error means that the write was not done, with the exception of
///   [`StoreError::Io`] and [`StoreError::Internal`], after which it may have
///   been.
/// - A list needs not be one view in time: between two pages keys may come and
///   go. Each page is one.
/// - Limits on keys and values are the service's concern, not the store's.
///
/// # Cancel safety
/// A future may be dropped at any time. A write whose future was dropped is
/// done wholly or not at all.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Reads the entry of a key, if it has one.
    fn get<'a>(&'a self, namespace: &'a str, key: &'a [u8]) -> StoreFuture<'a, Option<Entry>>;

    /// Writes the value of a key and gives the new version, or says that the
    /// key is not as expected.
    fn put<'a>(
        &'a self,
        namespace: &'a str,
        key: &'a [u8],
        value: Bytes,
        expected: Expected,
    ) -> StoreFuture<'a, Result<Version, Conflict>>;

    /// Removes a key and gives the version it had (`None`: it had no value and
    /// was expected or allowed not to), or says that it is not as expected.
    fn delete<'a>(
        &'a self,
        namespace: &'a str,
        key: &'a [u8],
        expected: Expected,
    ) -> StoreFuture<'a, Result<Option<Version>, Conflict>>;

    /// Lists keys in the order of their bytes. A
    /// [`PageBuilder`](super::PageBuilder) knows when a page is full.
    fn list<'a>(&'a self, namespace: &'a str, query: Query) -> StoreFuture<'a, Page>;
}

/// What a store's own failures are caused by.
type Cause = Box<dyn Error + Send + Sync>;

/// A store could not do what it was asked to. Never the plugin's fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no room, on the disk or within the store's limit. Nothing was
    /// written. Free some; no need to open the store again.
    #[error("the state store has no room left")]
    Full(#[source] Option<Cause>),
    /// What is stored contradicts itself. Restore it from a backup.
    #[error("the state store is corrupt")]
    Corrupt(#[source] Cause),
    /// The file is not a state store, or not one that this version can read. It
    /// was left as it is. Name another file.
    #[error("the file is not a state store of this version")]
    NotAStore(#[source] Cause),
    /// Another process, or this one, has the file open as a store.
    #[error("the state store is open elsewhere")]
    InUse(#[source] Cause),
    /// The operating system failed to read or write. Whether a write was done
    /// is not known. The next operation tries again from the start.
    #[error("the state store could not be read or written")]
    Io(#[source] Cause),
    /// The store failed in a way that it does not know, or the runtime is
    /// shutting down. Whether a write was done is not known.
    #[error("the state store failed")]
    Internal(#[source] Cause),
}
