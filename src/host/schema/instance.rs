//! One instance's way to its schema.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures::future::FutureExt;
use parking_lot::Mutex;

use crate::host::pin::Sha256Pin;
use crate::host::schema::cache::Inner;
use crate::host::schema::flight::Fetched;
use crate::host::schema::flight::Flight;
use crate::host::schema::flight::FlightId;
use crate::host::schema::flight::InstanceId;
use crate::host::schema::flight::Landed;
use crate::host::schema::flight::WeakFlight;
use crate::host::schema::table::Next;

/// The schema of one instance of a plugin: its own, or the one that all share. Made by
/// [`SchemaCache::of`](super::SchemaCache::of) and
/// [`SchemaCache::instance`](super::SchemaCache::instance).
///
/// Cheap to clone: clones are the same instance. Dropping the last forgets what is its own.
pub struct Schemas<S, E = tonic::Status> {
    cache: Arc<Inner<S, E>>,
    instance: Arc<Instance<S, E>>,
}

struct Instance<S, E> {
    id: InstanceId,
    address: String,
    program: Option<Sha256Pin>,
    own: Mutex<Own<S, E>>,
}

/// What an instance has.
enum Own<S, E> {
    Nothing,
    /// It fetches for itself alone, unless all who asked have given up.
    Asked(FlightId, WeakFlight<S, E>),
    Has(Arc<S>),
}

impl<S, E> Clone for Schemas<S, E> {
    fn clone(&self) -> Self {
        Self { cache: self.cache.clone(), instance: self.instance.clone() }
    }
}

impl<S, E> fmt::Debug for Schemas<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schemas")
            .field("address", &self.instance.address)
            .field("program", &self.instance.program)
            .finish_non_exhaustive()
    }
}

impl<S, E> Schemas<S, E> {
    /// The address that it was made with.
    pub fn address(&self) -> &str {
        &self.instance.address
    }

    /// The program by which it is known. `None` if it shares with no other instance.
    pub fn program(&self) -> Option<Sha256Pin> {
        self.instance.program
    }
}

impl<S, E> Schemas<S, E>
where
    S: Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    pub(super) fn new(
        cache: Arc<Inner<S, E>>,
        id: InstanceId,
        address: String,
        program: Option<Sha256Pin>,
    ) -> Self {
        let own = Mutex::new(Own::Nothing);
        Self { cache, instance: Arc::new(Instance { id, address, program, own }) }
    }

    /// The schema: what this instance has already, what all share, or what somebody is
    /// fetching. If there is none of these, `fetch` is called, for all who ask meanwhile.
    ///
    /// The first fetch of an address is waited for by all its instances. If its answer turns
    /// out to be [of one instance](Fetched::of_instance), each of the others then fetches
    /// for itself, at the same time.
    ///
    /// # Errors
    ///
    /// That of the fetch, for all who waited for it. The next who asks fetches again.
    ///
    /// # Cancel safety
    ///
    /// Safe: a fetch that others wait for goes on. If nobody is left it is dropped, and the
    /// next who asks fetches.
    ///
    /// # Panics
    ///
    /// If the fetch panics, in all who wait for it.
    pub async fn get<F, Fut>(&self, fetch: F) -> Result<Arc<S>, E>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Fetched<S>, E>> + Send + 'static,
    {
        if let Own::Has(schema) = &*self.instance.own.lock() {
            self.cache.stats.lock().hits += 1;
            return Ok(schema.clone());
        }
        // Made before it is known to be needed, so that nothing of the caller's runs, or is
        // dropped, under a lock.
        let (id, own) = self.flight(fetch);
        match self.ask(id, &own) {
            Next::Take(schema) => {
                self.cache.stats.lock().hits += 1;
                return Ok(self.keep(schema));
            }
            Next::Fetch => return Ok(own.await?.schema),
            Next::Join(begun) => {
                self.cache.stats.lock().joined += 1;
                if let Some(schema) = begun.await?.for_instance(self.instance.id) {
                    return Ok(self.keep(schema));
                }
            }
            Next::Apart => {}
        }
        self.apart(id, own).await
    }

    fn ask(&self, id: FlightId, own: &Flight<S, E>) -> Next<S, E> {
        let Instance { address, program, .. } = &*self.instance;
        let Some(program) = program else { return Next::Apart };
        let (next, removed) = self.cache.table.lock().ask(address, *program, (id, own));
        // Not under the lock.
        drop(removed);
        next
    }

    /// A fetch of this instance, which begins when somebody waits for it, and which notes
    /// its outcome before anybody sees it.
    fn flight<F, Fut>(&self, fetch: F) -> (FlightId, Flight<S, E>)
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Fetched<S>, E>> + Send + 'static,
    {
        let (this, id) = (self.clone(), FlightId(self.cache.next_id()));
        let flight = async move {
            this.cache.stats.lock().fetches += 1;
            let outcome = fetch().await;
            this.note(id, outcome)
        };
        (id, flight.boxed().shared())
    }

    fn note(&self, flight: FlightId, outcome: Result<Fetched<S>, E>) -> Result<Landed<S>, E> {
        let Instance { id, address, own, .. } = &*self.instance;
        let outcome = outcome.map(|Fetched { schema, is_shared }| {
            let schema = self.keep(Arc::new(schema));
            Landed { schema, is_shared, by: *id }
        });
        if outcome.is_err() {
            self.cache.stats.lock().failures += 1;
            let mut own = own.lock();
            if matches!(*own, Own::Asked(asked, _) if asked == flight) {
                // Not to be joined any more, though somebody may still hold it.
                *own = Own::Nothing;
            }
        }
        let landed = outcome.as_ref().ok();
        let removed = self.cache.table.lock().landed(address, flight, landed);
        // Not under the lock.
        drop(removed);
        outcome
    }

    /// Fetches for this instance alone, or waits for its fetch that has begun.
    async fn apart(&self, id: FlightId, flight: Flight<S, E>) -> Result<Arc<S>, E> {
        let begun = {
            let mut own = self.instance.own.lock();
            let begun = match &*own {
                // It came while this one waited for another's.
                Own::Has(schema) => return Ok(schema.clone()),
                Own::Asked(_, begun) => begun.upgrade(),
                Own::Nothing => None,
            };
            if let (None, Some(flight)) = (&begun, flight.downgrade()) {
                *own = Own::Asked(id, flight);
            }
            begun
        };
        if begun.is_some() {
            self.cache.stats.lock().joined += 1;
        }
        Ok(begun.unwrap_or(flight).await?.schema)
    }

    fn keep(&self, schema: Arc<S>) -> Arc<S> {
        let before = std::mem::replace(&mut *self.instance.own.lock(), Own::Has(schema.clone()));
        // Not under the lock.
        drop(before);
        schema
    }
}
