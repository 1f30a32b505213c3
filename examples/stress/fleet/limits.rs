//! The limits of both ends: with room for all callers, or low ones.

use fastrand::Rng;
use trunkline::Limits;

/// The most calls and byte streams that one caller's call needs on one trunk at once: a
/// callback that opens 16 sub-channels and a lease.
const STREAMS: u32 = 18;

/// Limits that honest callers do not meet, even if all of them call one plugin.
pub fn roomy(callers: u32) -> Limits {
    let default = Limits::default();
    Limits { streams: default.streams.max(callers * STREAMS), ..default }
}

/// Limits under which everything works, but calls may have to be made again.
pub fn tight(seed: u64) -> Limits {
    let mut rng = Rng::with_seed(seed);
    let initial_window = 1 << rng.u32(10..=14);
    Limits {
        streams: 1 << rng.u32(5..=9),
        channels: 1 << rng.u32(8..=12),
        initial_window,
        max_window: initial_window << rng.u32(0..=4),
        shared_window: 1 << rng.u64(10..=22),
        frame_data: 1 << rng.u32(10..=14),
        metadata: 1024,
        ..Limits::default()
    }
}
