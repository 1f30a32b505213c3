//! What a caller is going to do: decided by the seed before it does it.

use std::time::Duration;

use fastrand::Rng;
use trunkline::Limits;

use crate::options::Options;

/// The kinds of calls.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// One piece each way.
    Unary,
    /// Pieces to the plugin, one answer.
    Client,
    /// Pieces from the plugin.
    Server,
    /// Pieces each way at the same time.
    Bidi,
    /// A byte stream that comes back.
    Bytes,
    /// A call that calls back a service whose id it carries.
    Callback,
    /// Calls within calls, to and fro.
    Nested,
    /// Sub-channels opened, used and dropped; refusals; leases.
    Open,
    /// A counter in the state store.
    State,
}

impl Kind {
    pub const ALL: [Self; 9] = [
        Self::Unary,
        Self::Client,
        Self::Server,
        Self::Bidi,
        Self::Bytes,
        Self::Callback,
        Self::Nested,
        Self::Open,
        Self::State,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::Client => "client",
            Self::Server => "server",
            Self::Bidi => "bidi",
            Self::Bytes => "bytes",
            Self::Callback => "callback",
            Self::Nested => "nested",
            Self::Open => "open",
            Self::State => "state",
        }
    }

    /// The most parts that such a call has.
    fn parts(self) -> u32 {
        match self {
            Self::Unary => 1,
            Self::Client | Self::Server | Self::Bidi => 32,
            Self::Bytes | Self::Open => 16,
            Self::Callback => 8,
            Self::Nested => 6,
            Self::State => 8,
        }
    }
}

/// A fault of the caller's own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cut {
    No,
    /// Drops the call after this time.
    Cancel(Duration),
    /// Gives the call this deadline.
    Deadline(Duration),
    /// Drops the response, or the byte stream, after so many parts.
    Part(u32),
    /// Drops what it has registered after this time.
    Registration(Duration),
    /// Drops the client as soon as the call goes on without it, and the
    /// sub-channel that the callers share.
    Channel,
}

/// One call, as it is meant to go.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub kind: Kind,
    pub slot: usize,
    pub channel: usize,
    /// Pieces, levels, sub-channels, or the counter's key: what the kind counts.
    pub parts: u32,
    /// One of the two ways in which the kind can be done.
    pub variant: bool,
    pub cut: Cut,
}

impl Plan {
    /// Always draws the same number of choices, whatever they are.
    pub fn draw(rng: &mut Rng, options: &Options) -> Self {
        let kind = options.mix[rng.usize(..options.mix.len())];
        let slot = rng.usize(..options.plugins as usize);
        let channel = rng.usize(..options.channels as usize);
        let parts = rng.u32(1..=kind.parts());
        let variant = rng.bool();
        let (one_in_ten, which, part) = (rng.u32(..10) == 0, rng.u32(..5), rng.u32(..=parts));
        // Most are short, as calls are; some may never come.
        let time = Duration::from_micros(1 << rng.u32(4..=18));
        let cut = match which {
            _ if options.faults.is_none() || !one_in_ten => Cut::No,
            0 => Cut::Cancel(time),
            1 => Cut::Deadline(time),
            2 => Cut::Part(part),
            3 => Cut::Registration(time),
            _ => Cut::Channel,
        };
        Self { kind, slot, channel, parts, variant, cut }
    }
}

/// Limits under which everything works, but calls may have to be made again.
pub fn limits(seed: u64) -> Limits {
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
