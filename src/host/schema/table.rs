//! What is known of each address: one program, and what it has said. Decides who fetches.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::host::pin::Sha256Pin;
use crate::host::schema::flight::Flight;
use crate::host::schema::flight::FlightId;
use crate::host::schema::flight::Landed;
use crate::host::schema::flight::WeakFlight;

/// Addresses, with the program that each had last. Bounded: the one that was asked for
/// longest ago makes room for a new one, those that are being fetched after all others.
///
/// What is removed is given back, to be dropped where no lock is held: it is the caller's, and
/// may be large.
#[derive(Debug)]
pub(super) struct Table<S, E> {
    entries: HashMap<String, Entry<S, E>>,
    capacity: NonZeroUsize,
    /// Counts the questions, to tell which was last.
    now: u64,
    pub(super) replaced: u64,
    pub(super) evicted: u64,
}

#[derive(Debug)]
pub(super) struct Entry<S, E> {
    program: Sha256Pin,
    known: Known<S, E>,
    used: u64,
}

#[derive(Debug)]
enum Known<S, E> {
    /// Somebody fetches for all, unless all have given up.
    Asked(FlightId, WeakFlight<S, E>),
    /// The schema of every instance.
    Shared(Arc<S>),
    /// Every instance has a schema of its own.
    Apart,
}

/// What an instance that wants the schema is to do.
pub(super) enum Next<S, E> {
    Take(Arc<S>),
    /// Fetch for all who ask from now on.
    Fetch,
    /// Wait for a fetch that has begun, and see whether its answer is for all.
    Join(Flight<S, E>),
    /// Fetch for itself.
    Apart,
}

impl<S, E> Table<S, E> {
    pub(super) fn new(capacity: NonZeroUsize) -> Self {
        Self { entries: HashMap::new(), capacity, now: 0, replaced: 0, evicted: 0 }
    }

    /// Decides for an instance. `own` is what it would fetch with.
    pub(super) fn ask(
        &mut self,
        address: &str,
        program: Sha256Pin,
        (id, own): (FlightId, &Flight<S, E>),
    ) -> (Next<S, E>, Option<Entry<S, E>>) {
        self.now += 1;
        let mut removed = None;
        match self.entries.get_mut(address) {
            Some(entry) if entry.program == program => {
                entry.used = self.now;
                match &entry.known {
                    Known::Shared(schema) => return (Next::Take(schema.clone()), None),
                    Known::Apart => return (Next::Apart, None),
                    Known::Asked(_, flight) => {
                        if let Some(begun) = flight.upgrade() {
                            return (Next::Join(begun), None);
                        }
                    }
                }
            }
            Some(_) => self.replaced += 1,
            None => removed = self.make_room(),
        }
        // A flight that nobody has polled to its end can always be referred to.
        if let Some(flight) = own.downgrade() {
            let known = Known::Asked(id, flight);
            let entry = Entry { program, known, used: self.now };
            // If there is an old one, there was room.
            removed = self.entries.insert(address.to_owned(), entry).or(removed);
        }
        (Next::Fetch, removed)
    }

    /// Notes the outcome of a fetch, if it is the one that the address waits for: by now the
    /// address may have been forgotten, or have another program, or another fetch.
    pub(super) fn landed(
        &mut self,
        address: &str,
        flight: FlightId,
        outcome: Option<&Landed<S>>,
    ) -> Option<Entry<S, E>> {
        let entry = self.entries.get_mut(address)?;
        if !matches!(entry.known, Known::Asked(awaited, _) if awaited == flight) {
            return None;
        }
        match outcome {
            Some(Landed { schema, is_shared: true, .. }) => {
                entry.known = Known::Shared(schema.clone());
                None
            }
            Some(_) => {
                entry.known = Known::Apart;
                None
            }
            // The next who asks tries again.
            None => self.entries.remove(address),
        }
    }

    pub(super) fn remove(&mut self, address: &str) -> Option<Entry<S, E>> {
        self.entries.remove(address)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn make_room(&mut self) -> Option<Entry<S, E>> {
        if self.entries.len() < self.capacity.get() {
            return None;
        }
        let oldest = self.entries.iter().min_by_key(|(_, entry)| (entry.is_awaited(), entry.used));
        let address = oldest.map(|(address, _)| address.clone())?;
        self.evicted += 1;
        self.entries.remove(&address)
    }
}

impl<S, E> Entry<S, E> {
    /// Whether somebody fetches.
    fn is_awaited(&self) -> bool {
        matches!(&self.known, Known::Asked(_, flight) if flight.upgrade().is_some())
    }
}
