//! A million of what leaves nothing behind, over one trunk. Alone in its program, so
//! that what it sees of memory is its own.

mod support;

use support::connect;
use support::host;
use support::plugin;
use trunkline::Stats;

/// Sub-channels opened before anything is waited for.
const BATCH: usize = 1000;

/// Resident memory of this process, in KiB.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: u64 =
        statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4
}

#[tokio::test]
async fn a_million_refused_and_dropped_opens_leave_everything_where_it_was() {
    let (host, plugin) = connect(host(), plugin()).await;
    let metrics = tokio::runtime::Handle::current().metrics();
    let mut before = None;
    for round in 0..1_000_000 / BATCH {
        // Half are refused, half are dropped before they were announced.
        let refused: Vec<_> = (0..BATCH / 2).map(|_| host.open("nothing").expect("open")).collect();
        host.ping().await.expect("alive");
        assert!(refused.iter().all(|channel| channel.closed().is_some()));
        (0..BATCH / 2).for_each(|_| drop(host.open("nothing").expect("open")));
        drop(refused);
        host.ping().await.expect("alive");
        if round == 100 {
            before = Some((metrics.num_alive_tasks(), resident()));
        }
    }
    assert_eq!(host.stats(), Stats::default());
    plugin.ping().await.expect("alive");
    assert_eq!(plugin.stats(), Stats::default());
    let (tasks, memory) = before.expect("there were more rounds");
    assert_eq!(metrics.num_alive_tasks(), tasks);
    let grown = resident().saturating_sub(memory);
    assert!(grown < 2048, "memory grew by {grown} KiB");
    assert_eq!(host.totals().channels, 1_000_000);
}
