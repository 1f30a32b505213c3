//! Numbers of channels and streams, and who may choose which.

use std::collections::HashMap;
use std::fmt;

use foldhash::fast::RandomState;

/// Which end of a trunk this is.
///
/// The roles differ only in the numbers that they choose; all else is symmetric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// The process that launches and owns the plugin.
    Host,
    /// The process that is launched.
    Plugin,
}

impl Role {
    /// The role at the other end.
    pub fn peer(self) -> Self {
        match self {
            Self::Host => Self::Plugin,
            Self::Plugin => Self::Host,
        }
    }

    fn parity(self) -> u64 {
        match self {
            Self::Host => 1,
            Self::Plugin => 0,
        }
    }
}

/// The number of a channel or a stream on the wire: odd if the host chose it,
/// even if the plugin did, never 0, never used twice on a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id(u64);

impl Id {
    /// Reads a number from the wire; 0 is none.
    pub(crate) fn new(number: u64) -> Option<Self> {
        (number != 0).then_some(Self(number))
    }

    pub(crate) fn get(self) -> u64 {
        self.0
    }

    /// Whether `role` chose this number.
    pub(crate) fn chosen_by(self, role: Role) -> bool {
        self.0 % 2 == role.parity()
    }
}

/// What is found by a number. The hasher is quick; that it is seeded at random keeps a
/// peer that chooses its numbers with care from making them collide.
pub(super) type IdMap<T> = HashMap<Id, T, RandomState>;

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Hands out one side's numbers, ascending.
///
/// A number is taken when the frame that introduces it leaves, so the order of
/// the numbers is the order on the wire. 2^63 numbers do not run out: at a
/// million a second they last 292,000 years.
#[derive(Debug)]
pub(crate) struct Ids {
    next: u64,
}

impl Ids {
    pub(crate) fn new(role: Role) -> Self {
        Self { next: if role.parity() == 0 { 2 } else { 1 } }
    }

    pub(crate) fn take(&mut self) -> Id {
        let id = Id(self.next);
        self.next = self.next.saturating_add(2);
        id
    }

    /// Whether `id` has been handed out.
    pub(crate) fn has_used(&self, id: Id) -> bool {
        id.0 < self.next
    }
}
