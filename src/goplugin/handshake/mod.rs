//! What a host and its plugins agree on before they speak: the magic cookie, the
//! versions, and the variables that carry them.

pub(crate) mod address;
pub(crate) mod certificate;
pub(crate) mod line;
pub(crate) mod reattach;

use std::collections::BTreeSet;

/// The host's range for TCP ports, in decimal. Only plugins that listen on TCP,
/// which in Go means on Windows, look at it.
pub(crate) const MIN_PORT: &str = "PLUGIN_MIN_PORT";
/// The end of that range, inclusive.
pub(crate) const MAX_PORT: &str = "PLUGIN_MAX_PORT";
/// The host's application versions: decimal, in any order, with commas between.
pub(crate) const PROTOCOL_VERSIONS: &str = "PLUGIN_PROTOCOL_VERSIONS";
/// `true` if the host asks for everything on one connection.
pub(crate) const MULTIPLEX_GRPC: &str = "PLUGIN_MULTIPLEX_GRPC";
/// The host's certificate in PEM, if it asks for TLS.
pub(crate) const CLIENT_CERT: &str = "PLUGIN_CLIENT_CERT";
/// The folder for the plugin's sockets, if not the system's temporary one.
pub(crate) const UNIX_SOCKET_DIR: &str = "PLUGIN_UNIX_SOCKET_DIR";
/// The name or the number of the group that may use the plugin's sockets.
pub(crate) const UNIX_SOCKET_GROUP: &str = "PLUGIN_UNIX_SOCKET_GROUP";
/// Not go-plugin's: in which a host of this library says that its services can be dialled.
pub(crate) const SERVICES: &str = "TRUNKLINE_SERVICES";

/// The version of an application that names none.
const DEFAULT_VERSION: u32 = 1;

/// What an application's host and its plugins have in common, go-plugin's
/// `HandshakeConfig`: a magic cookie, and the versions of the application's own
/// protocol that this side speaks. Both sides are given the same cookie.
///
/// The cookie is an environment variable that the host sets and the plugin looks
/// for, so that a plugin that a person starts by hand says what it is and ends
/// instead of waiting for a host. It is a courtesy to users and **no security
/// measure**: everyone who has the program can read it there.
///
/// A version counts the application's protocol: the services that its plugins
/// have. Host and plugin choose the highest that both speak; without one in common
/// the host refuses the plugin. Where no version is added it is 1.
///
/// ```
/// use trunkline::goplugin::Handshake;
///
/// let handshake = Handshake::new("TF_PLUGIN_MAGIC_COOKIE", "d602bf8f").version(5).version(6);
/// assert!(handshake.versions().contains(&6));
/// ```
#[derive(Clone, Debug)]
pub struct Handshake {
    cookie_key: String,
    cookie_value: String,
    versions: BTreeSet<u32>,
}

impl Handshake {
    /// A handshake with a cookie, the name of an environment variable and its
    /// value, and version 1 unless [`version`](Self::version) adds others.
    ///
    /// Both must have at least one character for a plugin to be served, which is
    /// go-plugin's rule; a long random value is the custom.
    #[must_use]
    pub fn new(cookie_key: impl Into<String>, cookie_value: impl Into<String>) -> Self {
        Self {
            cookie_key: cookie_key.into(),
            cookie_value: cookie_value.into(),
            versions: BTreeSet::new(),
        }
    }

    /// Adds a version of the application's protocol that this side speaks.
    #[must_use]
    pub fn version(mut self, version: u32) -> Self {
        self.versions.insert(version);
        self
    }

    /// The name of the environment variable that is the cookie.
    #[must_use]
    pub fn cookie_key(&self) -> &str {
        &self.cookie_key
    }

    /// What that variable is set to.
    #[must_use]
    pub fn cookie_value(&self) -> &str {
        &self.cookie_value
    }

    /// The versions of the application's protocol that this side speaks: those
    /// that were added, or 1. Never empty.
    #[must_use]
    pub fn versions(&self) -> BTreeSet<u32> {
        if self.versions.is_empty() {
            return BTreeSet::from([DEFAULT_VERSION]);
        }
        self.versions.clone()
    }

    /// The versions as a host announces them in [`PROTOCOL_VERSIONS`].
    pub(crate) fn announced_versions(&self) -> String {
        let versions: Vec<_> = self.versions().iter().map(u32::to_string).collect();
        versions.join(",")
    }
}

/// What a plugin makes of the versions that its host offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VersionChoice {
    pub(crate) version: u32,
    /// Whether the host offers that version. If not, go-plugin has a plugin answer
    /// all the same: the host refuses it and says why. A host that offers nothing
    /// is of the time before this variable, and may well speak it.
    pub(crate) is_common: bool,
    /// What the host offers that is no version, to complain about.
    pub(crate) unreadable: Vec<String>,
}

/// Chooses a plugin's version as Go's plugins do: the highest that both sides
/// speak, without one in common the plugin's lowest.
///
/// `offered` is the value of [`PROTOCOL_VERSIONS`].
pub(crate) fn choose_version(ours: &BTreeSet<u32>, offered: Option<&str>) -> VersionChoice {
    let mut theirs = BTreeSet::new();
    let mut unreadable = Vec::new();
    let entries = offered.unwrap_or_default().split(',').map(str::trim);
    for entry in entries.filter(|entry| !entry.is_empty()) {
        match entry.parse::<u32>() {
            Ok(version) => {
                theirs.insert(version);
            }
            Err(_) => unreadable.push(entry.to_owned()),
        }
    }
    let common = ours.intersection(&theirs).max().copied();
    let lowest = ours.first().copied().unwrap_or(DEFAULT_VERSION);
    VersionChoice { version: common.unwrap_or(lowest), is_common: common.is_some(), unreadable }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(ours: &[u32], offered: Option<&str>) -> (u32, bool) {
        let choice = choose_version(&ours.iter().copied().collect(), offered);
        assert_eq!(choice.unreadable, Vec::<String>::new());
        (choice.version, choice.is_common)
    }

    #[test]
    fn a_handshake_without_a_version_has_version_1() {
        let handshake = Handshake::new("KEY", "value");
        assert_eq!(handshake.versions(), BTreeSet::from([1]));
        assert_eq!(handshake.announced_versions(), "1");
        let handshake = handshake.version(6).version(5);
        assert_eq!(handshake.versions(), BTreeSet::from([5, 6]));
        assert_eq!(handshake.announced_versions(), "5,6");
    }

    #[test]
    fn the_highest_common_version_is_chosen_in_whatever_order_they_come() {
        assert_eq!(chosen(&[4, 5, 6], Some("3,5,4")), (5, true));
        assert_eq!(chosen(&[4, 5, 6], Some("6, 5")), (6, true));
    }

    #[test]
    fn without_a_common_version_it_is_the_lowest() {
        assert_eq!(chosen(&[4, 5], Some("7,8")), (4, false));
        assert_eq!(chosen(&[4, 5], Some("")), (4, false));
        assert_eq!(chosen(&[4, 5], None), (4, false));
    }

    #[test]
    fn what_is_no_version_is_skipped_and_reported() {
        let choice = choose_version(&BTreeSet::from([1, 2]), Some("two,2,-1,4294967296"));
        assert_eq!((choice.version, choice.is_common), (2, true));
        assert_eq!(choice.unreadable, ["two", "-1", "4294967296"]);
    }
}
