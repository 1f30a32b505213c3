//! What happened when, in a bounded number of buckets: when they are full, each two
//! become one of twice the width.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::options::Fault;

/// The most buckets, of some 13 KiB each. Even.
const MOST: usize = 480;

/// How wide a bucket is at first.
const WIDTH: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub struct Bucket {
    /// Calls that succeeded.
    pub ok: u64,
    /// Calls that failed or were cut.
    pub failed: u64,
    /// Of calls that succeeded, in microseconds, in the bucket in which they ended.
    pub latency: Histogram<u32>,
    /// The most calls in flight that were seen.
    pub in_flight: u64,
    /// The most calls and byte streams that were seen open on all trunks.
    pub streams: u64,
    /// By [`Fault`].
    pub faults: [u32; Fault::ALL.len()],
}

impl Default for Bucket {
    fn default() -> Self {
        let latency = Histogram::new_with_bounds(1, super::tally::LONGEST, 2);
        Self {
            ok: 0,
            failed: 0,
            latency: latency.expect("the bounds are right"),
            in_flight: 0,
            streams: 0,
            faults: Default::default(),
        }
    }
}

impl Bucket {
    fn merge(&mut self, other: &Self) {
        self.ok += other.ok;
        self.failed += other.failed;
        self.latency.add(&other.latency).expect("the bounds are the same");
        self.in_flight = self.in_flight.max(other.in_flight);
        self.streams = self.streams.max(other.streams);
        for (mine, others) in self.faults.iter_mut().zip(other.faults) {
            *mine += others;
        }
    }
}

#[derive(Debug)]
pub struct Timeline {
    width: Duration,
    buckets: Vec<Bucket>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { width: WIDTH, buckets: Vec::new() }
    }
}

impl Timeline {
    /// The bucket of a moment, counted from the start.
    pub fn at(&mut self, time: Duration) -> &mut Bucket {
        let mut index = self.index(time);
        while index >= MOST {
            self.halve();
            index = self.index(time);
        }
        if self.buckets.len() <= index {
            self.buckets.resize_with(index + 1, Bucket::default);
        }
        &mut self.buckets[index]
    }

    fn index(&self, time: Duration) -> usize {
        (time.as_nanos() / self.width.as_nanos()) as usize
    }

    fn halve(&mut self) {
        let mut halved = Vec::with_capacity(MOST);
        let mut buckets = std::mem::take(&mut self.buckets).into_iter();
        while let Some(mut first) = buckets.next() {
            if let Some(second) = buckets.next() {
                first.merge(&second);
            }
            halved.push(first);
        }
        self.buckets = halved;
        self.width *= 2;
    }

    /// In seconds.
    pub fn width(&self) -> f64 {
        self.width.as_secs_f64()
    }

    /// The buckets of so many seconds in all.
    pub fn spans(&self, all: f64) -> impl Iterator<Item = Span<'_>> {
        let from = |index: usize| index as f64 * self.width();
        self.buckets.iter().enumerate().map(move |(index, bucket)| {
            let seconds = (all - from(index)).clamp(f64::EPSILON, self.width());
            Span { middle: from(index) + seconds / 2.0, seconds, bucket }
        })
    }
}

/// A bucket and when it was.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    /// In seconds from the start.
    pub middle: f64,
    /// How long it was: the last may be shorter than the others.
    pub seconds: f64,
    pub bucket: &'a Bucket,
}
