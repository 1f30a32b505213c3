//! The hello, and what two of them agree on.

use super::error::EndReason;
use super::error::Incompatible;
use super::error::Violation;
use super::id::Role;
use super::limits::PeerLimits;

/// The version of the protocol that this code speaks.
pub(crate) const VERSION: u32 = 1;

/// The first frame of each side.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hello {
    /// Lowest and highest version spoken.
    pub(crate) versions: (u32, u32),
    pub(crate) features: Vec<String>,
    pub(crate) role: Role,
    pub(crate) limits: PeerLimits,
    /// The identity of the plugin run; `None` where it is not known.
    pub(crate) run: Option<[u8; 16]>,
    pub(crate) name: String,
    pub(crate) version: String,
    /// Of the application's own protocol.
    pub(crate) application_version: Option<u32>,
    pub(crate) services: Vec<String>,
}

/// What both sides know after the hellos.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Agreed {
    pub(crate) version: u32,
    /// What both named, in our order.
    pub(crate) features: Vec<String>,
    /// The peer's hello, limits included.
    pub(crate) peer: Hello,
}

/// Compares the hellos. Both sides come to the same result.
pub(crate) fn negotiate(ours: &Hello, theirs: Hello) -> Result<Agreed, EndReason> {
    if ours.role == theirs.role {
        return Err(Incompatible::SameRole(ours.role).into());
    }
    let low = ours.versions.0.max(theirs.versions.0);
    let high = ours.versions.1.min(theirs.versions.1);
    if low > high {
        let (ours, theirs) = (ours.versions, theirs.versions);
        return Err(Incompatible::Version { ours, theirs }.into());
    }
    if let (Some(ours), Some(theirs)) = (ours.run, theirs.run)
        && ours != theirs
    {
        return Err(Incompatible::OtherRun.into());
    }
    if !theirs.limits.are_workable() {
        return Err(Violation::BadLimits.into());
    }
    let both = |name: &&String| theirs.features.contains(name);
    let features = ours.features.iter().filter(both).cloned().collect();
    Ok(Agreed { version: high, features, peer: theirs })
}
