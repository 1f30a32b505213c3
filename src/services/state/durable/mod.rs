//! A state store in a file, by means of redb.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::MappedRwLockReadGuard;
use parking_lot::RwLock;
use parking_lot::RwLockReadGuard;
use redb::Database;
use tokio::sync::Semaphore;

use crate::services::state::Conflict;
use crate::services::state::Entry;
use crate::services::state::Expected;
use crate::services::state::Page;
use crate::services::state::Query;
use crate::services::state::Store;
use crate::services::state::StoreError;
use crate::services::state::StoreFuture;
use crate::services::state::Version;

mod tables;

#[cfg(test)]
pub(super) mod tests;

/// Operations that may be in the runtime's blocking threads at once; redb
/// writes one after the other anyway. The rest wait without a thread, so that a
/// burst of them leaves the runtime's threads to others.
const READS_AT_ONCE: usize = 8;
const WRITES_AT_ONCE: usize = 1;

/// What redb keeps in memory of the file, at most. redb's own default is 1 GiB,
/// too much for a helper inside somebody's application.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// A durable [`Store`] in one file.
///
/// A write is on disk when it is answered, and versions go on where they were
/// when the file is opened again. One process has the file open at a time.
/// Operations run on the runtime's blocking threads, at most 8 reads and one
/// write at once; redb caches at most 16 MiB. After a failure to read or write
/// the file is opened anew by the next operation, so a disk that was full needs
/// no restart of the host. Dropping the store closes the file, when the last
/// operation has ended.
///
/// Needs the feature `redb`.
#[derive(Clone)]
pub struct RedbStore {
    file: Arc<File>,
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
}

/// How the database is opened, at first and after a failure.
type Opener = Box<dyn Fn() -> Result<Database, redb::Error> + Send + Sync>;

struct File {
    open: Opener,
    database: RwLock<Option<Database>>,
}

impl RedbStore {
    /// Opens the store in this file, and creates it if there is none. A new
    /// file can be read and written by its owner only. The folder must exist.
    ///
    /// # Errors
    /// [`StoreError::NotAStore`] if the file is something else, which is left
    /// as it is; [`StoreError::InUse`] if the file is open already;
    /// [`StoreError::Io`] if it cannot be created, read or written;
    /// [`StoreError::Corrupt`] if it was damaged.
    ///
    /// # Cancel safety
    /// Dropping the future may leave a new, empty store behind.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let path = path.into();
        Self::open_with(Box::new(move || open_file(&path))).await
    }

    pub(super) async fn open_with(open: Opener) -> Result<Self, StoreError> {
        let store = Self {
            file: Arc::new(File { open, database: RwLock::new(None) }),
            reads: Arc::new(Semaphore::new(READS_AT_ONCE)),
            writes: Arc::new(Semaphore::new(WRITES_AT_ONCE)),
        };
        store.run(&store.writes, |_| Ok(())).await?;
        Ok(store)
    }

    /// Runs an operation on a blocking thread. It goes on to its end when the
    /// future is dropped.
    async fn run<R: Send + 'static>(
        &self,
        turns: &Arc<Semaphore>,
        operation: impl FnOnce(&Database) -> Result<R, redb::Error> + Send + 'static,
    ) -> Result<R, StoreError> {
        let turn = Arc::clone(turns).acquire_owned().await.map_err(internal)?;
        let file = Arc::clone(&self.file);
        let blocking = tokio::task::spawn_blocking(move || {
            let result = file.run(operation);
            drop(turn);
            result
        });
        blocking.await.map_err(internal)?
    }
}

impl File {
    fn run<R>(
        &self,
        operation: impl FnOnce(&Database) -> Result<R, redb::Error>,
    ) -> Result<R, StoreError> {
        let database = self.database()?;
        let result = operation(&database);
        drop(database);
        result.map_err(|error| {
            if needs_reopening(&error) {
                *self.database.write() = None;
            }
            StoreError::from(error)
        })
    }

    fn database(&self) -> Result<MappedRwLockReadGuard<'_, Database>, StoreError> {
        loop {
            let open = RwLockReadGuard::try_map(self.database.read(), Option::as_ref);
            if let Ok(database) = open {
                return Ok(database);
            }
            drop(open);
            let mut database = self.database.write();
            if database.is_none() {
                *database = Some((self.open)()?);
            }
        }
    }
}

fn open_file(path: &Path) -> Result<Database, redb::Error> {
    let new = create_private(path).map_err(redb::StorageError::Io)?;
    let database = tables::prepare(redb::Builder::new().set_cache_size(CACHE_BYTES).create(path)?)?;
    if new {
        // The file's name is as durable as its content only when its folder is.
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = std::fs::File::open(folder.unwrap_or_else(|| Path::new(".")));
        folder.and_then(|folder| folder.sync_all()).map_err(redb::StorageError::Io)?;
    }
    Ok(database)
}

/// Creates an empty file that only its owner can read, unless there is one.
fn create_private(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::OpenOptionsExt;
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// After these redb refuses every further operation on the open database.
fn needs_reopening(error: &redb::Error) -> bool {
    use redb::Error as E;
    matches!(
        error,
        E::Io(_) | E::Backend(_) | E::PreviousIo | E::LockPoisoned(_) | E::DatabaseClosed
    )
}

impl From<redb::Error> for StoreError {
    fn from(error: redb::Error) -> Self {
        use io::ErrorKind;
        use redb::Error as E;
        let io = match &error {
            E::Io(io) => Some(io.kind()),
            _ => None,
        };
        match (&error, io) {
            (_, Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded)) => {
                Self::Full(Some(Box::new(error)))
            }
            // redb's way to say that the file is not its own.
            (E::UpgradeRequired(_), _) | (_, Some(ErrorKind::InvalidData)) => {
                Self::NotAStore(Box::new(error))
            }
            (E::TableTypeMismatch { .. } | E::TableIsMultimap(_), _) => {
                Self::NotAStore(Box::new(error))
            }
            (E::DatabaseAlreadyOpen | E::LockProtocolMismatch, _) => Self::InUse(Box::new(error)),
            (E::Corrupted(_), _) => Self::Corrupt(Box::new(error)),
            (E::Io(_) | E::Backend(_) | E::PreviousIo, _) => Self::Io(Box::new(error)),
            _ => Self::Internal(Box::new(error)),
        }
    }
}

fn internal(error: impl Error + Send + Sync + 'static) -> StoreError {
    StoreError::Internal(Box::new(error))
}

impl Store for RedbStore {
    fn get<'a>(&'a self, namespace: &'a str, key: &'a [u8]) -> StoreFuture<'a, Option<Entry>> {
        let (space, key) = (namespace.to_owned(), key.to_owned());
        Box::pin(self.run(&self.reads, move |database| tables::read(database, &space, &key)))
    }

    fn put<'a>(
        &'a self,
        namespace: &'a str,
        key: &'a [u8],
        value: Bytes,
        expected: Expected,
    ) -> StoreFuture<'a, Result<Version, Conflict>> {
        let (space, key) = (namespace.to_owned(), key.to_owned());
        Box::pin(self.run(&self.writes, move |database| {
            tables::write(database, &space, &key, &value, expected)
        }))
    }

    fn delete<'a>(
        &'a self,
        namespace: &'a str,
        key: &'a [u8],
        expected: Expected,
    ) -> StoreFuture<'a, Result<Option<Version>, Conflict>> {
        let (space, key) = (namespace.to_owned(), key.to_owned());
        Box::pin(
            self.run(&self.writes, move |database| {
                tables::remove(database, &space, &key, expected)
            }),
        )
    }

    fn list<'a>(&'a self, namespace: &'a str, query: Query) -> StoreFuture<'a, Page> {
        let space = namespace.to_owned();
        Box::pin(self.run(&self.reads, move |database| tables::page(database, &space, &query)))
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore").finish_non_exhaustive()
    }
}
