//! What is known of each address: one program, and what it has said. Decides who fetches.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::host::pin::Sha256Pin;
use crate::host::schema::flight::Flight;
use crate::host::schema::flight::InstanceId;
use crate::host::schema::flight::Landed;
use crate::host::schema::flight::WeakFlight;

/// Addresses, with the program that each had last. Bounded: the one that was asked for
/// longest ago makes room for a new one.
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
struct Entry<S, E> {
    program: Sha256Pin,
    known: Known<S, E>,
    used: u64,
}

#[derive(Debug)]
enum Known<S, E> {
    /// An instance fetches for all, unless it has given up.
    Asked(InstanceId, WeakFlight<S, E>),
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
        instance: InstanceId,
        own: &Flight<S, E>,
    ) -> Next<S, E> {
        self.now += 1;
        match self.entries.get_mut(address) {
            Some(entry) if entry.program == program => {
                entry.used = self.now;
                match &entry.known {
                    Known::Shared(schema) => return Next::Take(schema.clone()),
                    Known::Apart => return Next::Apart,
                    Known::Asked(_, flight) => {
                        if let Some(begun) = flight.upgrade() {
                            return Next::Join(begun);
                        }
                    }
                }
            }
            Some(_) => self.replaced += 1,
            None => self.make_room(),
        }
        // A flight that nobody has polled to its end can always be referred to.
        if let Some(flight) = own.downgrade() {
            let known = Known::Asked(instance, flight);
            self.entries.insert(address.to_owned(), Entry { program, known, used: self.now });
        }
        Next::Fetch
    }

    /// Notes the outcome of a fetch, if it is the one that the address waits for: by now it
    /// may have another program, or another instance that fetches.
    pub(super) fn landed(
        &mut self,
        address: &str,
        program: Sha256Pin,
        instance: InstanceId,
        outcome: Option<&Landed<S>>,
    ) {
        let Some(entry) = self.entries.get_mut(address) else { return };
        let is_awaited = matches!(entry.known, Known::Asked(asker, _) if asker == instance);
        if entry.program != program || !is_awaited {
            return;
        }
        match outcome {
            Some(Landed { schema, is_shared: true, .. }) => {
                entry.known = Known::Shared(schema.clone());
            }
            Some(_) => entry.known = Known::Apart,
            // The next who asks tries again.
            None => drop(self.entries.remove(address)),
        }
    }

    pub(super) fn remove(&mut self, address: &str) {
        self.entries.remove(address);
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn make_room(&mut self) {
        if self.entries.len() < self.capacity.get() {
            return;
        }
        let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used);
        if let Some(address) = oldest.map(|(address, _)| address.clone()) {
            self.entries.remove(&address);
            self.evicted += 1;
        }
    }
}
