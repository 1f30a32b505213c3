//! The cache that all instances of all plugins share.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use crate::host::handle::PluginHandle;
use crate::host::pin::Sha256Pin;
use crate::host::schema::flight::InstanceId;
use crate::host::schema::instance::Schemas;
use crate::host::schema::program::Programs;
use crate::host::schema::table::Table;

/// How many addresses are remembered. More than an application has plugins; and a schema may
/// be tens of MiB, so that this is no place to keep all that there ever were.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(128).unwrap();

/// Schemas of plugins, or whatever else a plugin says of itself: each is fetched once,
/// however many ask for it at once, and whichever instances of the plugin they have.
///
/// The key is an address, which the application chooses (where the plugin comes from, as
/// `registry.terraform.io/hashicorp/random`), and the SHA-256 of the program that runs. A
/// plugin at the same address that executes another program drops what was known of the one
/// before. Whether instances share an answer, the plugin says in it: [`Fetched`].
///
/// `S` is what is cached. `E` is the error of a fetch, which all get who waited for it; it
/// is not cached, and the next who asks fetches again.
///
/// Cheap to clone: clones are the same cache. Remembers 128 addresses, or as many as
/// [`with_capacity`](Self::with_capacity) says; the one that was asked for longest ago makes
/// room, and one that is being fetched only if all are. Who has a schema keeps it, whatever
/// the cache forgets.
///
/// ```
/// # #[derive(Clone)] struct ProviderClient;
/// # impl ProviderClient { async fn get_schema(&mut self) -> Result<u32, tonic::Status> { Ok(7) } }
/// # async fn example(plugin: trunkline::host::PluginHandle, client: ProviderClient) -> Result<(), tonic::Status> {
/// use trunkline::host::Fetched;
/// use trunkline::host::SchemaCache;
///
/// let cache = SchemaCache::new(); // one for the application
///
/// // For each instance:
/// let schemas = cache.of(&plugin, "registry.example.org/acme/widgets").await;
///
/// // As often as it is needed, from as many tasks:
/// let mut client = client.clone();
/// let schema = schemas.get(move || async move { client.get_schema().await.map(Fetched::shared) });
/// let schema = schema.await?;
/// # Ok(()) }
/// ```
///
/// [`Fetched`]: super::Fetched
pub struct SchemaCache<S, E = tonic::Status> {
    inner: Arc<Inner<S, E>>,
}

pub(super) struct Inner<S, E> {
    pub(super) table: Mutex<Table<S, E>>,
    pub(super) stats: Mutex<SchemaStats>,
    programs: Programs,
    /// Counts instances and fetches.
    last_id: AtomicU64,
}

impl<S, E> Inner<S, E> {
    pub(super) fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed)
    }
}

/// What a [`SchemaCache`] has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaStats {
    /// How often a schema was there already.
    pub hits: u64,
    /// How often somebody waited for a fetch that another had begun.
    pub joined: u64,
    /// How many fetches were begun.
    pub fetches: u64,
    /// How many of them failed. One that was given up by all who waited has not.
    pub failures: u64,
    /// How often an address had another program than before.
    pub replaced: u64,
    /// How often an address was forgotten to make room.
    pub evicted: u64,
}

impl<S, E> Clone for SchemaCache<S, E> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<S, E> fmt::Debug for SchemaCache<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SchemaCache")
            .field("stats", &*self.inner.stats.lock())
            .finish_non_exhaustive()
    }
}

impl<S, E> Default for SchemaCache<S, E>
where
    S: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    fn default() -> Self {
        Self::new()
    }
}

impl<S, E> SchemaCache<S, E>
where
    S: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// An empty cache for 128 addresses.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(CAPACITY)
    }

    /// An empty cache for so many addresses.
    #[must_use]
    pub fn with_capacity(addresses: NonZeroUsize) -> Self {
        Self {
            inner: Arc::new(Inner {
                table: Mutex::new(Table::new(addresses)),
                stats: Mutex::default(),
                programs: Programs::default(),
                last_id: AtomicU64::new(0),
            }),
        }
    }

    /// The schemas of a plugin that runs, as an instance of what is at the address.
    ///
    /// The program is what the process executes, not what its file holds by now: it is read
    /// from the process, once for all plugins that execute the same file. Where that says
    /// nothing, the instance has its schema for itself: with a `#!` script, which may run
    /// anything; with a process that is gone, or that belongs to another user; and on other
    /// systems than Linux. An interpreter that is given a script as its argument is known by
    /// the interpreter alone, and so is what starts others (`env`, `docker run`) and stays:
    /// choose the address of such a plugin accordingly, or use [`instance`](Self::instance).
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn of(&self, plugin: &PluginHandle, address: impl Into<String>) -> Schemas<S, E> {
        let address = address.into();
        let program = self.inner.programs.sha256(plugin.executes()).await;
        let program = program.inspect_err(|error| {
            tracing::debug!(%error, %address, "the plugin has its schema for itself");
        });
        self.instance(address, program.ok())
    }

    /// The schemas of an instance of a plugin, whose program the caller knows. Without a
    /// program the instance shares with no other.
    pub fn instance(
        &self,
        address: impl Into<String>,
        program: Option<Sha256Pin>,
    ) -> Schemas<S, E> {
        let id = InstanceId(self.inner.next_id());
        Schemas::new(self.inner.clone(), id, address.into(), program)
    }

    /// Forgets an address. Who has its schema keeps it; who waits for it gets it, and the
    /// next who asks fetches anew.
    pub fn remove(&self, address: &str) {
        let removed = self.inner.table.lock().remove(address);
        // Not under the lock.
        drop(removed);
    }

    /// How many addresses are remembered.
    pub fn len(&self) -> usize {
        self.inner.table.lock().len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What it has done so far.
    pub fn stats(&self) -> SchemaStats {
        let (replaced, evicted) = {
            let table = self.inner.table.lock();
            (table.replaced, table.evicted)
        };
        SchemaStats { replaced, evicted, ..*self.inner.stats.lock() }
    }
}
