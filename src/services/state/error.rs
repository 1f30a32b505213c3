//! What a plugin's call for its state can fail with.

use tonic::Status;

use crate::services::state::Conflict;
use crate::services::state::Version;

/// A call for state failed. Each variant says whose fault it is and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The precondition did not hold, and nothing was written: somebody else
    /// wrote. Read again and decide again, as [`State::update`] does.
    ///
    /// [`State::update`]: super::State::update
    #[error("{}", Conflict { current: *.current })]
    Conflict {
        /// The version that the key has. `None`: it has no value.
        current: Option<Version>,
    },
    /// [`State::update`](super::State::update) met other writers at every try,
    /// and gave up. Nothing was written.
    #[error("the key changed during each of {tries} tries to update it")]
    Contended {
        /// How often it tried.
        tries: u32,
    },
    /// The caller gave an empty key.
    #[error("a key needs at least one byte")]
    EmptyKey,
    /// The caller gave a key or a prefix that is longer than the host allows.
    #[error("the key has {length} bytes, and the host allows {limit}")]
    KeyTooLong {
        /// Its length in bytes.
        length: u64,
        /// The most that the host allows, in bytes.
        limit: u64,
    },
    /// The caller gave a value that is larger than the host allows.
    #[error("the value has {length} bytes, {}", Allowed(*.limit))]
    ValueTooLarge {
        /// Its length in bytes.
        length: u64,
        /// The most that the host allows, in bytes. `None` if the host refused
        /// the message before it came to look at the value.
        limit: Option<u64>,
    },
    /// The host's store has no room. Nothing was written. Delete something, or
    /// tell the host's operator.
    #[error("the host's state store has no room left")]
    Full(#[source] Status),
    /// What the host has stored cannot be read. For the host's operator.
    #[error("the host's state store is corrupt")]
    Corrupt(#[source] Status),
    /// The host's store failed otherwise. Whether a write was done is not
    /// known.
    #[error("the host's state store failed")]
    Store(#[source] Status),
    /// The host does not offer its state to this plugin, or not this method.
    #[error("the host does not offer this")]
    NotOffered(#[source] Status),
    /// The call did not come to its end: the host has gone, or the call was
    /// cancelled or took too long. Whether a write was done is not known; with
    /// a version expected, it can be tried again without harm.
    #[error("the host could not be reached")]
    Unavailable(#[source] Status),
    /// The host answered against the protocol: its fault.
    #[error("the host's answer makes no sense: {0}")]
    Protocol(&'static str),
}

impl StateError {
    /// Whether the same call may succeed later although nobody has mended
    /// anything. Of a write without a precondition this says nothing about
    /// whether it has been done.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Contended { .. } | Self::Store(_) | Self::Unavailable(_))
    }
}

impl From<Conflict> for StateError {
    fn from(conflict: Conflict) -> Self {
        Self::Conflict { current: conflict.current }
    }
}

/// Says what the host allows, for people, if it has said so.
struct Allowed(Option<u64>);

impl std::fmt::Display for Allowed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(limit) => write!(f, "and the host allows {limit}"),
            None => f.write_str("more than the host allows"),
        }
    }
}
