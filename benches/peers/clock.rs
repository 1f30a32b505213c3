//! Clocks that two processes share. `std::time::Instant` means nothing in another
//! process; the kernel's monotonic clock does, in Rust and in Go.

use rustix::time::ClockId;
use rustix::time::Timespec;
use rustix::time::clock_gettime;

/// Nanoseconds since some moment that is the same for all processes.
pub fn now() -> u64 {
    nanoseconds(clock_gettime(ClockId::Monotonic))
}

/// Nanoseconds that all threads of this process have run, in it or in the kernel.
pub fn cpu() -> u64 {
    nanoseconds(clock_gettime(ClockId::ProcessCPUTime))
}

fn nanoseconds(time: Timespec) -> u64 {
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}
