//! Slots whose keys cannot be mistaken for a later tenant's.

use slab::Slab;

/// The key of a slot: its index, and a serial number that no other entry has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) index: u32,
    serial: u64,
}

/// Entries by key. A key outlives its entry harmlessly: it finds nothing.
#[derive(Debug)]
pub(crate) struct Store<T> {
    slots: Slab<(u64, T)>,
    serial: u64,
}

impl<T> Store<T> {
    pub(crate) fn new() -> Self {
        Self { slots: Slab::new(), serial: 0 }
    }

    pub(crate) fn insert(&mut self, entry: T) -> Key {
        self.serial += 1;
        let index = self.slots.insert((self.serial, entry));
        // Limits are u32, so a slab never holds more.
        Key { index: u32::try_from(index).unwrap_or(u32::MAX), serial: self.serial }
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let (serial, entry) = self.slots.get(key.index as usize)?;
        (*serial == key.serial).then_some(entry)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let (serial, entry) = self.slots.get_mut(key.index as usize)?;
        (*serial == key.serial).then_some(entry)
    }

    /// Takes an entry out. A store that was large and is empty gives its memory back.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        let (_, entry) = self.slots.remove(key.index as usize);
        if self.slots.is_empty() && self.slots.capacity() > 64 {
            self.slots.shrink_to_fit();
        }
        Some(entry)
    }

    pub(crate) fn keys(&self) -> Vec<Key> {
        let key = |(index, slot): (usize, &(u64, T))| Key {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            serial: slot.0,
        };
        self.slots.iter().map(key).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.slots.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_does_not_touch_the_next_tenant_of_its_slot() {
        let mut store = Store::new();
        let first = store.insert("first");
        store.remove(first);
        let second = store.insert("second");
        assert_eq!(first.index, second.index, "the slot is used again");
        assert_eq!(store.get(first), None);
        assert_eq!(store.remove(first), None);
        assert_eq!(store.get(second), Some(&"second"));
    }
}
