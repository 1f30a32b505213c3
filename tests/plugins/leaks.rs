//! After many lives nothing is left: no descriptor, thread, task or zombie.

use std::collections::BTreeMap;
use std::time::Duration;

use trunkline::host::PluginHandle;

use crate::harness::LONG;
use crate::harness::alone;
use crate::harness::assert_works;
use crate::harness::children;
use crate::harness::criminal;
use crate::harness::descriptors;
use crate::harness::echo;
use crate::harness::eventually;
use crate::harness::good;
use crate::harness::stop;
use crate::harness::tell;
use crate::harness::threads;
use crate::harness::until;
use crate::harness::within;
use crate::support::demo::Payload;

/// What this process holds.
fn held() -> BTreeMap<&'static str, usize> {
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    BTreeMap::from([
        ("descriptors", descriptors()),
        ("threads", threads("")),
        ("tasks", tasks),
        ("children", children().len()),
    ])
}

/// Waits until this process holds what it held before.
async fn assert_as_before(before: &BTreeMap<&'static str, usize>) {
    let settled = async {
        while held() != *before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let settled = tokio::time::timeout(LONG, settled).await;
    assert!(settled.is_ok(), "it held {before:?} and holds {:?}", held());
}

/// So that what is made once is there.
async fn warm_up() {
    for _ in 0..2 {
        let plugin = good().await;
        assert_works(&plugin).await;
        stop(plugin).await;
    }
    // A trunk closes for a moment longer than its plugin lives.
    eventually("the threads and tasks of those lives have ended", || {
        let held = held();
        (threads("trunkline") == 0 && held["tasks"] == 0).then_some(())
    })
    .await;
}

#[test]
fn two_hundred_lives_leave_nothing() {
    alone("leaks::two_hundred_lives_leave_nothing", async {
        warm_up().await;
        let before = held();
        for _ in 0..25 {
            let lives = (0..8).map(|number| async move {
                let plugin = good().await;
                assert_works(&plugin).await;
                match number {
                    0 => drop(plugin),
                    1 => drop(within(plugin.kill()).await),
                    _ => drop(stop(plugin).await),
                }
            });
            futures::future::join_all(lives).await;
        }
        assert_as_before(&before).await;
    });
}

#[test]
fn launches_that_fail_and_plugins_that_break_the_protocol_leave_nothing() {
    let name = "leaks::launches_that_fail_and_plugins_that_break_the_protocol_leave_nothing";
    alone(name, async {
        warm_up().await;
        let before = held();
        for program in ["raw:exits-before-hello", "raw:speaks-garbage", "raw:wrong-version"] {
            let failures = (0..5).map(|_| {
                let launch = crate::harness::host().launch("bad", crate::bin::plugin(program));
                async { launch.start().await.expect_err("it fails") }
            });
            futures::future::join_all(failures).await;
        }
        for crime in ["floods-nothing", "half-a-frame-then-exits", "overruns-its-window"] {
            let plugin = criminal(crime).await;
            echo(&plugin).unary(Payload::default()).await.expect_err("it fails");
            within(plugin.stop()).await;
        }
        assert_as_before(&before).await;
    });
}

#[test]
fn ten_thousand_sub_channels_leave_nothing_at_either_end() {
    alone("leaks::ten_thousand_sub_channels_leave_nothing_at_either_end", async {
        let plugin = good().await;
        tell(&plugin, "connect").await.expect("connected");
        only_the_log_is_attached(&plugin).await;
        let (before, of_plugin) = (held(), usage(&plugin).await);
        for round in 0..100 {
            let calls = (0..100).map(|seq| {
                // A sub-channel each.
                let mut echo = echo(&plugin);
                let sent = Payload { seq, data: vec![round; 10] };
                async move {
                    let got = echo.unary(sent.clone()).await.expect("answered").into_inner();
                    assert_eq!(got, sent);
                }
            });
            within(futures::future::join_all(calls)).await;
        }
        assert_as_before(&before).await;
        only_the_log_is_attached(&plugin).await;
        assert!(plugin.broker().totals().channels >= 10_000);
        // Its log, and the call that asks.
        let expected = "channels=2 streams=2 registrations=0 serving=1 buffered=0";
        until("the plugin's end is empty", async || {
            let stats = tell(&plugin, "stats").await.expect("told");
            stats.starts_with(expected)
        })
        .await;
        until("the plugin holds what it held", async || usage(&plugin).await == of_plugin).await;
        within(plugin.stop()).await;
        let stats = plugin.broker().stats();
        assert_eq!((stats.channels, stats.streams, stats.serving), (0, 0, 0));
    });
}

/// The plugin's log is a call that lasts; nothing else is open at the host's end.
async fn only_the_log_is_attached(plugin: &PluginHandle) {
    eventually("the host's end is empty", || {
        let stats = plugin.broker().stats();
        let held = [stats.channels, stats.streams, stats.registrations, stats.serving];
        let bytes = stats.buffered + stats.window_growth;
        (held == [1, 1, 0, 1] && bytes == 0).then_some(())
    })
    .await;
}

async fn usage(plugin: &PluginHandle) -> String {
    within(tell(plugin, "usage")).await.expect("told")
}
