//! What the protocol machine alone costs, to notice when a change makes it slower:
//! `cargo bench --bench core`, and `-- --quick` for a rough look.
//!
//! Two machines in one thread hand their frames to each other. There is no encoding, no
//! socket, no task and no lock, so the figures say nothing about what a user waits for;
//! `benches/peers` measures that.

use std::time::Duration;

use criterion::BenchmarkId;
use criterion::Criterion;
use criterion::Throughput;
use criterion::criterion_group;
use criterion::criterion_main;

use crate::broker::protocol::Kind;
use crate::bulk::Bulk;
use crate::bulk::CHUNK;
use crate::pair::Pair;

mod bulk;
mod pair;

/// The machine's source, compiled into this program under the path that it has in the
/// crate: it is private there, and needs nothing of the crate beside itself. Cargo builds
/// benches with `cfg(test)`, so its tests are here too, without their `#[test]` functions.
#[path = "../../src/broker"]
#[allow(dead_code, unused_imports, reason = "what only the rest of the crate and tests use")]
mod broker {
    pub(crate) mod protocol;
}

/// A call there and back, alone and with others under way. The time is that of all of
/// them together.
fn in_flight(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("unary/in_flight");
    for count in [1, 256] {
        let mut pair = Pair::connected();
        let channel = pair.open(Kind::Calls).ours;
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| pair.unary_calls(channel, count));
        });
        pair.close(channel);
        pair.assert_nothing_left();
    }
}

/// A call beside sub-channels that nobody uses: all of these must cost the same.
fn idle_channels(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("unary/idle_channels");
    for count in [10, 1_000, 100_000] {
        let mut pair = Pair::connected();
        let idle: Vec<_> = (0..count).map(|_| pair.open(Kind::Calls).ours).collect();
        let channel = pair.open(Kind::Calls).ours;
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| pair.unary_calls(channel, 1));
        });
        assert_eq!(pair.host.counts().channels, count + 1, "all of them stayed open");
        idle.into_iter().for_each(|channel| pair.close(channel));
        pair.close(channel);
        pair.assert_nothing_left();
    }
}

/// A sub-channel that is opened, used for one call and closed.
fn short_lived_channel(criterion: &mut Criterion) {
    let mut pair = Pair::connected();
    let mut group = criterion.benchmark_group("channel");
    group.throughput(Throughput::Elements(1));
    group.bench_function("open_call_close", |bencher| {
        bencher.iter(|| {
            let channel = pair.open(Kind::Calls).ours;
            pair.unary_calls(channel, 1);
            pair.close(channel);
        });
    });
    pair.assert_nothing_left();
}

/// A byte stream in one direction while credit goes back in the other. No byte is copied:
/// what takes time is the bookkeeping of each frame.
fn bulk_stream(criterion: &mut Criterion) {
    let mut pair = Pair::connected();
    let mut bulk = Bulk::open(&mut pair);
    let mut group = criterion.benchmark_group("bulk");
    let bytes = 16 * CHUNK;
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("16_chunks_of_64_KiB", |bencher| {
        bencher.iter(|| bulk.transfer(&mut pair, bytes));
    });
    bulk.finish(&mut pair);
    pair.assert_nothing_left();
}

/// A call that takes turns with a byte stream which always has more to send. The time
/// includes the frames of the stream that go with it.
fn beside_bulk(criterion: &mut Criterion) {
    let mut pair = Pair::connected();
    let mut bulk = Bulk::open(&mut pair);
    let channel = pair.open(Kind::Calls).ours;
    let mut group = criterion.benchmark_group("unary");
    group.throughput(Throughput::Elements(1));
    group.bench_function("beside_bulk", |bencher| {
        bencher.iter(|| bulk.call_beside(&mut pair, channel));
    });
    pair.close(channel);
    bulk.finish(&mut pair);
    pair.assert_nothing_left();
}

fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
}

criterion_group! {
    name = core;
    config = short();
    targets = in_flight, idle_channels, short_lived_channel, bulk_stream, beside_bulk
}
criterion_main!(core);
