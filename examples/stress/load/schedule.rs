//! The open loop: calls are due at fixed times, whether or not those before are over.
//!
//! Their latency counts from when they were due. If it counted from when they were
//! sent, a server that stands still for a second would delay one call of each caller,
//! and the many that should have been sent meanwhile would not show ("coordinated
//! omission").

use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::sync::TryAcquireError;
use tokio::time::Instant;

/// How long callers are given to get ready for the first call.
const READY: Duration = Duration::from_millis(50);

/// The shortest and the longest sleep of the pacing thread, which must leave the
/// processor to others, and see the end.
const NAP: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(50));

#[derive(Debug)]
pub struct Schedule {
    /// Calls a second.
    rate: f64,
    /// When the first call is due.
    start: OnceLock<Instant>,
    /// One permit for each call that is due and that no caller has taken: a number, not
    /// a queue, so it may be any.
    due: Semaphore,
    released: AtomicU64,
    taken: AtomicU64,
    late: AtomicU64,
}

/// What became of the schedule.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    /// Calls that were due.
    pub due: u64,
    /// Of these, those that had to wait, because as many as allowed were in flight.
    pub late: u64,
}

impl Schedule {
    pub fn new(rate: f64) -> Self {
        Self {
            rate,
            start: OnceLock::new(),
            due: Semaphore::new(0),
            released: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            late: AtomicU64::new(0),
        }
    }

    /// Says when calls are due, until the run is over. Blocks its thread: the runtime's
    /// timer counts whole milliseconds, which would be all that one sees of short calls.
    pub fn pace(&self, is_over: impl Fn() -> bool) {
        let start = *self.start.get_or_init(|| Instant::now() + READY);
        let mut released = 0;
        while !is_over() {
            let elapsed = Instant::now().saturating_duration_since(start);
            if Instant::now() >= start {
                let due = (elapsed.as_secs_f64() * self.rate) as u64 + 1;
                self.due.add_permits((due - released) as usize);
                self.released.store(due, Ordering::Relaxed);
                released = due;
            }
            let wait = self.due_at(released).saturating_duration_since(Instant::now());
            std::thread::sleep(wait.clamp(NAP.0, NAP.1));
        }
    }

    /// Waits for the next call that is due, and returns when that was.
    pub async fn next(&self) -> Instant {
        match self.due.try_acquire() {
            // It was due when nobody was waiting for it.
            Ok(permit) => {
                self.late.fetch_add(1, Ordering::Relaxed);
                permit.forget();
            }
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => {
                self.due.acquire().await.expect("never closed").forget();
            }
        }
        self.due_at(self.taken.fetch_add(1, Ordering::Relaxed))
    }

    fn due_at(&self, number: u64) -> Instant {
        let start = *self.start.get_or_init(Instant::now);
        start + Duration::from_secs_f64(number as f64 / self.rate)
    }

    pub fn counts(&self) -> Counts {
        Counts {
            due: self.released.load(Ordering::Relaxed),
            late: self.late.load(Ordering::Relaxed),
        }
    }
}
