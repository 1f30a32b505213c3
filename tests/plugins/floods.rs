//! Plugins that send without end: the host's memory stays within its limits.

use std::fs;
use std::time::Duration;

use trunkline::EndReason;
use trunkline::Error;
use trunkline::Limits;
use trunkline::Reason;
use trunkline::Violation;
use trunkline::host::PluginHandle;

use crate::bin;
use crate::harness::Capture;
use crate::harness::alone;
use crate::harness::assert_no_process;
use crate::harness::assert_works;
use crate::harness::echo;
use crate::harness::eventually;
use crate::harness::good;
use crate::harness::host;
use crate::harness::impatient;
use crate::harness::stop;
use crate::harness::within;
use crate::support::demo::Ask;
use crate::support::demo::Payload;

/// What the host holds beside what `Limits::worst_case` counts: the buffers of
/// HTTP/2 and of the socket, and the allocator's own.
const BESIDE: u64 = 4 << 20;

fn small() -> Limits {
    Limits { channels: 1000, streams: 64, shared_window: 1 << 20, ..Limits::default() }
}

/// What this process has resident, in bytes.
fn resident() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").expect("/proc");
    let pages: u64 = pages.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a number");
    pages * 4096
}

/// The flood, and what it did to the memory of this process.
struct Flood {
    plugin: PluginHandle,
    other: PluginHandle,
    capture: Capture,
    before: u64,
}

impl Flood {
    async fn start(crime: &str) -> Self {
        let capture = Capture::start();
        let other = good().await;
        assert_works(&other).await;
        let launch = host().launch("flood", bin::plugin(&format!("raw:{crime}")));
        let launch = launch.limits(small()).stop_policy(impatient());
        let plugin = launch.start().await.expect("launched");
        Self { plugin, other, capture, before: resident() }
    }

    /// Looks at the memory all the time until the future is ready.
    async fn watch<T>(&self, future: impl Future<Output = T>) -> T {
        let watch = async {
            let mut most = 0;
            loop {
                most = resident().max(most);
                let grown = most.saturating_sub(self.before);
                let allowed = small().worst_case() + BESIDE;
                assert!(grown <= allowed, "grown by {grown} bytes, of {allowed} allowed");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            done = within(future) => done,
            never = watch => never,
        }
    }

    /// A flood that goes on for ever harms nobody: the other plugin is well.
    async fn goes_on<T>(self, unread: T) {
        self.watch(self.capture.line("flooded")).await;
        self.watch(assert_works(&self.other)).await;
        let stats = self.plugin.broker().stats();
        assert!(stats.channels <= 1000 && stats.streams <= 64, "{stats:?}");
        assert_eq!(self.plugin.broker().end_reason().map(|end| end.to_string()), None);
        self.watch(self.plugin.kill()).await;
        drop(unread);
        self.over().await;
    }

    /// The plugin was cut off, for this.
    async fn ends_as<T>(self, expected: Violation, unread: T) {
        let end = self.watch(self.plugin.broker().closed()).await;
        assert!(matches!(end, EndReason::Violation(violation) if violation == expected), "{end:?}");
        self.watch(self.plugin.ended()).await;
        drop(unread);
        self.over().await;
    }

    async fn over(self) {
        assert_no_process(self.plugin.pid());
        let stats = self.plugin.broker().stats();
        let held = (stats.channels, stats.streams, stats.serving, stats.buffered);
        assert_eq!(held, (0, 0, 0, 0));
        assert_works(&self.other).await;
        stop(self.other).await;
    }
}

/// A call that sets the flood off, and whose answer nobody reads.
async fn flood(crime: &str, cut_off: Option<Violation>) {
    let flood = Flood::start(crime).await;
    let ask = Ask { messages: 1, bytes_each: 1 };
    let mut echo = echo(&flood.plugin);
    let begun = flood.watch(echo.server_stream(ask)).await;
    match cut_off {
        Some(violation) => flood.ends_as(violation, begun).await,
        None => flood.goes_on(begun).await,
    }
}

#[test]
fn a_flood_of_data_is_cut_off_at_the_window_of_its_call() {
    alone("floods::a_flood_of_data_is_cut_off_at_the_window_of_its_call", async {
        let flood = Flood::start("floods-data").await;
        let ask = Ask { messages: 1, bytes_each: 1 };
        let mut echo = echo(&flood.plugin);
        // Cut off before the answer was looked at, or behind it.
        let status = match flood.watch(echo.server_stream(ask)).await {
            Err(status) => status,
            Ok(answer) => {
                flood.watch(flood.capture.line("flooded")).await;
                let mut stream = answer.into_inner();
                within(stream.message()).await.expect_err("it was cut off")
            }
        };
        let why = Error::of(&status).map(Error::reason);
        assert_eq!(why, Some(Reason::Overrun));
        flood.goes_on(()).await;
    });
}

#[test]
fn a_flood_of_empty_data_is_cut_off_as_well() {
    alone("floods::a_flood_of_empty_data_is_cut_off_as_well", flood("floods-empty-data", None));
}

#[test]
fn a_flood_of_pings_without_reading_the_answers_ends_the_trunk() {
    let flood = flood("floods-pings", Some(Violation::DoesNotRead));
    alone("floods::a_flood_of_pings_without_reading_the_answers_ends_the_trunk", flood);
}

#[test]
fn a_flood_of_opens_over_the_limit_ends_the_trunk() {
    let flood = flood("floods-opens", Some(Violation::DoesNotRead));
    alone("floods::a_flood_of_opens_over_the_limit_ends_the_trunk", flood);
}

#[test]
fn a_flood_of_opens_of_nothing_ends_the_trunk() {
    let flood = flood("floods-refused-opens", Some(Violation::DoesNotRead));
    alone("floods::a_flood_of_opens_of_nothing_ends_the_trunk", flood);
}

#[test]
fn a_flood_of_calls_over_the_limit_ends_the_trunk() {
    let flood = flood("floods-calls", Some(Violation::DoesNotRead));
    alone("floods::a_flood_of_calls_over_the_limit_ends_the_trunk", flood);
}

#[test]
fn opening_and_closing_without_end_leaves_nothing() {
    alone(
        "floods::opening_and_closing_without_end_leaves_nothing",
        flood("floods-opens-and-closes", None),
    );
}

#[test]
fn calls_to_a_plugin_that_never_reads_hold_no_more_than_was_given() {
    alone("floods::calls_to_a_plugin_that_never_reads_hold_no_more_than_was_given", async {
        let flood = Flood::start("never-reads").await;
        let mut calls = tokio::task::JoinSet::new();
        for seq in 0..64 {
            let mut echo = echo(&flood.plugin);
            let payloads = futures::stream::repeat(Payload { seq, data: vec![0; 64 * 1024] });
            calls.spawn(async move { echo.client_stream(payloads).await.map(drop) });
        }
        // What they may send before anybody reads: their windows, and a message each.
        flood
            .watch(eventually("all calls wait", || {
                (flood.plugin.broker().totals().calls >= 64).then_some(())
            }))
            .await;
        flood.watch(assert_works(&flood.other)).await;
        flood.watch(flood.plugin.kill()).await;
        while let Some(call) = calls.join_next().await {
            let status = call.expect("no panic").expect_err("it was killed");
            assert_eq!(Error::of(&status).map(Error::reason), Some(Reason::TrunkEnded));
        }
        flood.over().await;
    });
}
