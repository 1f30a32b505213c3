//! Where the peer accepts brokered connections: what it has announced, and who waits for it.

use std::collections::BTreeMap;
use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::goplugin::handshake::address::Address;

/// How many announcements are kept. An accepter does not say when it stops, so that they
/// pile up: this is more than a process has descriptors for, and about 10 MiB. The oldest
/// is forgotten, which is the likeliest to be over.
const MOST: usize = 65_536;

/// What the peer has announced. go-plugin forgets an announcement after five seconds;
/// here it is kept until it turns out to be over, so that nothing depends on when an id
/// is dialled, or how often.
#[derive(Debug)]
pub(in crate::goplugin) struct Announced {
    table: Mutex<Table>,
    /// Counts announcements, for those who wait for one.
    news: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Table {
    count: u64,
    by_id: HashMap<u32, (u64, Address)>,
    by_age: BTreeMap<u64, u32>,
}

impl Announced {
    pub(in crate::goplugin) fn new() -> Self {
        Self { table: Mutex::default(), news: watch::Sender::new(0) }
    }

    /// The peer accepts connections for `id` there. A later announcement replaces an
    /// earlier one.
    pub(in crate::goplugin) fn insert(&self, id: u32, address: Address) {
        let count = {
            let mut table = self.table.lock();
            table.count += 1;
            let count = table.count;
            if let Some((age, _)) = table.by_id.insert(id, (count, address)) {
                table.by_age.remove(&age);
            }
            table.by_age.insert(count, id);
            if table.by_id.len() > MOST
                && let Some((_, oldest)) = table.by_age.pop_first()
            {
                table.by_id.remove(&oldest);
                tracing::debug!(id = oldest, "an old announcement of the peer is forgotten");
            }
            count
        };
        self.news.send_replace(count);
    }

    /// Nobody is at this address any more.
    pub(in crate::goplugin) fn forget(&self, id: u32, address: &Address) {
        let mut table = self.table.lock();
        // Not a newer one.
        if table.by_id.get(&id).is_some_and(|(_, known)| known == address)
            && let Some((age, _)) = table.by_id.remove(&id)
        {
            table.by_age.remove(&age);
        }
    }

    /// Whoever has announced is gone.
    pub(in crate::goplugin) fn clear(&self) {
        let mut table = self.table.lock();
        table.by_id.clear();
        table.by_age.clear();
    }

    /// Waits for the announcement of an id.
    pub(in crate::goplugin) async fn of(&self, id: u32) -> Address {
        let mut news = self.news.subscribe();
        loop {
            if let Some((_, address)) = self.table.lock().by_id.get(&id) {
                return address.clone();
            }
            if news.changed().await.is_err() {
                // The sender is in `self`.
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: usize) -> Address {
        Address::parse("unix", &format!("/tmp/plugin{number}")).expect("an address")
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_an_announcement_gets_it_whenever_it_comes() {
        let announced = Announced::new();
        announced.insert(1, address(1));
        assert_eq!(announced.of(1).await, address(1));
        assert_eq!(announced.of(1).await, address(1), "it is kept");
        let later = async {
            tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
            announced.insert(2, address(2));
        };
        assert_eq!(tokio::join!(announced.of(2), later).0, address(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_newer_announcement_is_not_forgotten_for_the_failure_of_an_older() {
        let announced = Announced::new();
        announced.insert(1, address(1));
        announced.insert(1, address(2));
        announced.forget(1, &address(1));
        assert_eq!(announced.of(1).await, address(2));
        announced.forget(1, &address(2));
        let table = announced.table.lock();
        assert!(table.by_id.is_empty() && table.by_age.is_empty());
    }

    #[test]
    fn a_peer_that_announces_without_end_takes_a_bounded_table() {
        let announced = Announced::new();
        for number in 0..MOST + 10 {
            announced.insert(number as u32, address(number));
        }
        let table = announced.table.lock();
        assert_eq!((table.by_id.len(), table.by_age.len()), (MOST, MOST));
        assert!(!table.by_id.contains_key(&9) && table.by_id.contains_key(&10));
    }
}
