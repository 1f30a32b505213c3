//! The services of a plugin, by the version of the application's protocol.

use std::collections::BTreeMap;
use std::fmt;

use crate::broker::Offers;
#[cfg(feature = "goplugin")]
use crate::goplugin::Handshake;
use crate::plugin::host::HostHandle;

/// What a plugin serves, for each version of the application's protocol that it speaks:
/// go-plugin's `VersionedPlugins`, seen from the plugin. Only those of the version that is
/// agreed upon with the host are made, if one is.
///
/// ```no_run
/// # use std::process::ExitCode;
/// use trunkline::Offers;
/// use trunkline::goplugin::Handshake;
/// use trunkline::plugin::Plugin;
/// use trunkline::plugin::Servers;
///
/// # async fn main_() -> ExitCode {
/// let servers = Servers::new()
///     .version(5, |host| Offers::new()) // .service(Provider5Server::new(Widgets { host }))
///     .version(6, |host| Offers::new()); // .service(Provider6Server::new(Widgets { host }))
/// let handshake = servers.handshake(Handshake::new("TF_PLUGIN_MAGIC_COOKIE", "d602bf8f"));
/// Plugin::new("widgets", "1.0").go_plugin(handshake).serve(|host| servers.offers(host)).await
/// # }
/// ```
#[derive(Default)]
pub struct Servers {
    by_version: BTreeMap<u32, Make>,
}

type Make = Box<dyn FnOnce(HostHandle) -> Offers + Send>;

impl Servers {
    /// No version yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says what is served to a host that speaks this version. The last that was said of a
    /// version holds.
    #[must_use]
    pub fn version(
        mut self,
        version: u32,
        services: impl FnOnce(HostHandle) -> Offers + Send + 'static,
    ) -> Self {
        self.by_version.insert(version, Box::new(services));
        self
    }

    /// The versions that are served, in order.
    pub fn versions(&self) -> impl Iterator<Item = u32> {
        self.by_version.keys().copied()
    }

    /// The handshake with all these versions added to its own.
    #[cfg(feature = "goplugin")]
    #[must_use]
    pub fn handshake(&self, handshake: Handshake) -> Handshake {
        self.versions().fold(handshake, Handshake::version)
    }

    /// The services for this host, by the version that was agreed upon with it. A host that
    /// names no version gets those of all, and opens the one that it knows; of two services
    /// of one name, that of the higher version. With a version that is not among these, which
    /// only the author's handshake can have brought in, nothing is served, and a warning is
    /// logged.
    pub fn offers(mut self, host: HostHandle) -> Offers {
        let Some(version) = host.version() else {
            let all = self.by_version.into_values().map(|services| services(host.clone()));
            return all.fold(Offers::new(), Offers::and);
        };
        let Some(services) = self.by_version.remove(&version) else {
            tracing::warn!(version, known = ?self, "nothing is served in this version");
            return Offers::new();
        };
        services(host)
    }
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Servers").field(&self.by_version.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::broker::WeakBroker;
    use crate::services::log::Log;

    /// The sum of the versions that are made for a host, of 5 and 6.
    fn served(version: Option<u32>) -> u32 {
        let made = Arc::new(AtomicU32::new(0));
        let servers = [5, 6].into_iter().fold(Servers::new(), |servers, version| {
            let made = made.clone();
            servers.version(version, move |_| {
                made.fetch_add(version, Ordering::SeqCst);
                Offers::new()
            })
        });
        assert_eq!(servers.versions().collect::<Vec<_>>(), [5, 6]);
        let _ = servers.offers(HostHandle::new(WeakBroker::default(), Log::new(), version));
        made.load(Ordering::SeqCst)
    }

    #[test]
    fn only_the_services_of_the_version_in_common_are_made() {
        assert_eq!(served(Some(5)), 5);
        assert_eq!(served(Some(6)), 6);
    }

    #[test]
    fn a_host_that_names_no_version_gets_all_and_one_with_another_gets_nothing() {
        assert_eq!(served(None), 5 + 6);
        assert_eq!(served(Some(4)), 0);
    }

    #[cfg(feature = "goplugin")]
    #[test]
    fn the_handshake_has_all_versions() {
        let servers = Servers::new().version(6, |_| Offers::new()).version(5, |_| Offers::new());
        let handshake = servers.handshake(Handshake::new("KEY", "value").version(7));
        assert_eq!(handshake.versions().into_iter().collect::<Vec<_>>(), [5, 6, 7]);
    }
}
