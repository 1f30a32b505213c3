//! The kinds of calls, and which way each can go.

use std::fmt;

/// Who is called.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// A plugin, by the host.
    ToPlugin,
    /// The host, by a plugin that it is calling.
    ToHost,
    Both,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ToPlugin => "to-plugin",
            Self::ToHost => "to-host",
            Self::Both => "both",
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// One piece each way.
    Unary,
    /// Pieces there, one answer.
    Client,
    /// One question, pieces back.
    Server,
    /// Pieces each way at the same time.
    Bidi,
    /// A byte stream that comes back.
    Bytes,
    /// Sub-channels opened, used and dropped; refusals; leases.
    Opens,
    /// Calls within calls, to and fro.
    Nested,
    /// A counter in the host's state store.
    State,
}

impl Kind {
    pub const ALL: [Self; 8] = [
        Self::Unary,
        Self::Client,
        Self::Server,
        Self::Bidi,
        Self::Bytes,
        Self::Opens,
        Self::Nested,
        Self::State,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::Client => "client",
            Self::Server => "server",
            Self::Bidi => "bidi",
            Self::Bytes => "bytes",
            Self::Opens => "opens",
            Self::Nested => "nested",
            Self::State => "state",
        }
    }

    /// The most parts that such a call has: pieces, sub-channels, levels, counters.
    pub fn parts(self) -> u32 {
        match self {
            Self::Unary => 1,
            Self::Client | Self::Server | Self::Bidi => 32,
            Self::Bytes | Self::Opens => 16,
            Self::Nested => 6,
            Self::State => 8,
        }
    }

    /// Whether such calls are made if that is the direction.
    pub fn goes(self, direction: Direction) -> bool {
        match self {
            Self::Nested => direction == Direction::Both,
            Self::State => direction != Direction::ToPlugin,
            _ => true,
        }
    }
}
