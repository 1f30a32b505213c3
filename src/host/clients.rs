//! The clients of an application's plugins, by the version of its protocol.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::Error;
#[cfg(feature = "goplugin")]
use crate::goplugin::Handshake;
use crate::host::handle::PluginHandle;

/// What an application talks to its plugins with, one constructor for each version of its
/// protocol: go-plugin's `VersionedPlugins`, seen from the host.
///
/// `T` is the application's own type, whatever the version: a trait object, or an enum with
/// a client that tonic generated for each.
///
/// ```
/// # #[derive(Clone)] struct Provider5Client<T>(T);
/// # impl<T> Provider5Client<T> { fn new(channel: T) -> Self { Self(channel) } }
/// # use Provider5Client as Provider6Client;
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use trunkline::SubChannel;
/// use trunkline::goplugin::Handshake;
/// use trunkline::host::Clients;
/// use trunkline::host::Host;
/// use trunkline::host::PluginCommand;
///
/// enum Provider {
///     V5(Provider5Client<SubChannel>),
///     V6(Provider6Client<SubChannel>),
/// }
///
/// let clients = Clients::new()
///     .version(5, |plugin| Ok(Provider::V5(Provider5Client::new(plugin.open("tfplugin5.Provider")?))))
///     .version(6, |plugin| Ok(Provider::V6(Provider6Client::new(plugin.open("tfplugin6.Provider")?))));
///
/// let host = Host::new("my-app", "1.0");
/// let handshake = clients.handshake(Handshake::new("TF_PLUGIN_MAGIC_COOKIE", "d602bf8f"));
/// let launch = host.launch("random", PluginCommand::new("./terraform-provider-random"));
/// let plugin = launch.go_plugin(handshake).start().await?;
/// let provider = clients.of(&plugin)?;
/// # Ok(()) }
/// ```
pub struct Clients<T> {
    by_version: BTreeMap<u32, Constructor<T>>,
}

type Constructor<T> = Box<dyn Fn(&PluginHandle) -> Result<T, Error> + Send + Sync>;

/// There is no client of a plugin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The plugin was launched without the versions of these clients. The fault is the
    /// application's: give [`Launch::go_plugin`](super::Launch::go_plugin) the
    /// [`Clients::handshake`].
    #[error("no client for {}: there are those of {known:?}", spoken(.version))]
    Version {
        /// The version that was agreed upon with the plugin, if any was.
        version: Option<u32>,
        /// The versions that have clients, in order.
        known: Vec<u32>,
    },
    /// The constructor could not open what it needs of the plugin.
    #[error("the client of version {version} cannot be made")]
    Open {
        /// The version of that client.
        version: u32,
        /// What opening failed with.
        #[source]
        source: Error,
    },
}

fn spoken(version: &Option<u32>) -> String {
    version.map_or_else(
        || "a plugin with which no version was agreed upon".to_owned(),
        |version| format!("version {version} of the protocol"),
    )
}

impl<T> Clients<T> {
    /// No version yet.
    #[must_use]
    pub fn new() -> Self {
        Self { by_version: BTreeMap::new() }
    }

    /// Says how a plugin that speaks this version is talked to. The last that was said of a
    /// version holds.
    #[must_use]
    pub fn version(
        mut self,
        version: u32,
        client: impl Fn(&PluginHandle) -> Result<T, Error> + Send + Sync + 'static,
    ) -> Self {
        self.by_version.insert(version, Box::new(client));
        self
    }

    /// The versions that have a client, in order.
    pub fn versions(&self) -> impl Iterator<Item = u32> {
        self.by_version.keys().copied()
    }

    /// The handshake with all these versions added to its own.
    #[cfg(feature = "goplugin")]
    #[must_use]
    pub fn handshake(&self, handshake: Handshake) -> Handshake {
        self.versions().fold(handshake, Handshake::version)
    }

    /// A client for the version that was agreed upon with the plugin.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub fn of(&self, plugin: &PluginHandle) -> Result<T, ClientError> {
        let version = plugin.version();
        let client = version.and_then(|version| self.by_version.get(&version).zip(Some(version)));
        let Some((client, version)) = client else {
            return Err(ClientError::Version { version, known: self.versions().collect() });
        };
        client(plugin).map_err(|source| ClientError::Open { version, source })
    }
}

impl<T> Default for Clients<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Clients<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clients").field(&self.by_version.keys()).finish()
    }
}
