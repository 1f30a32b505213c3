//! What a caller is going to do: decided by the seed before it does it.

use std::time::Duration;

use fastrand::Rng;

use super::Direction;
use super::Kind;
use crate::options::Fault;
use crate::options::Options;

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
    /// sub-channel that calls share.
    Channel,
}

/// One call, whoever makes it.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub kind: Kind,
    /// Pieces, levels, sub-channels, or the counter's key: what the kind counts.
    pub parts: u32,
    /// One of the two ways in which the kind can be done.
    pub variant: bool,
    /// Which of the shared sub-channels.
    pub channel: usize,
    pub cut: Cut,
}

/// The service that a plugin calls back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Offered by name.
    Named,
    /// Registered, and held by the caller.
    Registered,
    /// Registered for as long as the call lasts.
    Bound,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// The host calls the plugin.
    Direct,
    /// The host asks the plugin to make the call.
    Callback(Service),
}

/// One call of the host, as it is meant to go.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The plugin.
    pub slot: usize,
    pub route: Route,
    pub shape: Shape,
}

impl Plan {
    /// Always draws the same number of choices, whatever they are.
    pub fn draw(rng: &mut Rng, options: &Options) -> Self {
        let kind = options.mix.draw(rng);
        let slot = rng.usize(..options.plugins as usize);
        let channel = rng.usize(..options.channels as usize);
        let parts = rng.u32(1..=kind.parts());
        let (variant, to_host) = (rng.bool(), rng.bool());
        let service = match rng.u32(..4) {
            0 | 1 => Service::Named,
            2 => Service::Registered,
            _ => Service::Bound,
        };
        let route = match (kind, options.direction) {
            (Kind::Nested | Kind::State, _) | (_, Direction::ToPlugin) => Route::Direct,
            (_, Direction::Both) if !to_host => Route::Direct,
            _ => Route::Callback(service),
        };
        let cut = draw_cut(rng, options, parts);
        Self { slot, route, shape: Shape { kind, parts, variant, channel, cut } }
    }

    pub fn direction(&self) -> Direction {
        match (self.shape.kind, self.route) {
            (Kind::Nested, _) => Direction::Both,
            (Kind::State, _) | (_, Route::Callback(_)) => Direction::ToHost,
            (_, Route::Direct) => Direction::ToPlugin,
        }
    }

    /// Whether the call needs a service that may be dropped while it runs.
    pub fn drops_registration(&self) -> bool {
        let registers = self.shape.kind == Kind::Nested
            || matches!(self.route, Route::Callback(Service::Registered | Service::Bound));
        registers && matches!(self.shape.cut, Cut::Registration(_))
    }

    pub fn has_deadline(&self) -> bool {
        matches!(self.shape.cut, Cut::Deadline(_))
    }
}

fn draw_cut(rng: &mut Rng, options: &Options, parts: u32) -> Cut {
    let (one_in_ten, which, part) = (rng.u32(..10) == 0, rng.u32(..5), rng.u32(..=parts));
    // Most are short, as calls are; some may never come.
    let time = Duration::from_micros(1 << rng.u32(4..=18));
    let (fault, cut) = match which {
        0 => (Fault::Cancel, Cut::Cancel(time)),
        1 => (Fault::Cancel, Cut::Deadline(time)),
        2 => (Fault::Cancel, Cut::Part(part)),
        3 => (Fault::Drop, Cut::Registration(time)),
        _ => (Fault::Drop, Cut::Channel),
    };
    if one_in_ten && options.faults.has(fault) { cut } else { Cut::No }
}
