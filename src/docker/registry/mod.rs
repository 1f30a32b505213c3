//! The plugins that an application uses: found and activated when they are first needed.

mod error;
mod loading;
mod plugin;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use tokio::task::spawn_blocking;

pub use self::error::GetError;
pub use self::plugin::Plugin;
use crate::docker::client::Client;
use crate::docker::client::RetryPolicy;
use crate::docker::clock;
use crate::docker::discovery::Directories;
use crate::docker::discovery::FindError;
use crate::docker::discovery::Location;
use crate::docker::discovery::ScanError;
use crate::docker::registry::loading::Loader;
use crate::docker::tls::TlsError;

/// How many plugins are activated at once when all are: each is a connection, and one that
/// does not answer keeps its place for as long as it is tried.
const AT_ONCE: usize = 64;

/// Plugins by name, each found and activated when it is first asked for, once, however many
/// ask at the same time. Clones share them.
///
/// ```no_run
/// use trunkline::docker::{Empty, Registry};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = Registry::system();
/// registry.handle("VolumeDriver", |plugin| println!("{} makes volumes", plugin.name()));
/// let plugin = registry.get("flocker", "VolumeDriver").await?;
/// let volumes: serde_json::Value = plugin.client().call("VolumeDriver.List", &Empty {}).await?;
/// # Ok(())
/// # }
/// ```
///
/// A plugin stays in the registry, and its client with it, also when it is restarted: that
/// is a matter of connections. One that has moved to another address is found again after
/// [`forget`](Self::forget).
#[derive(Clone)]
pub struct Registry {
    directories: Arc<Directories>,
    retry: RetryPolicy,
    loader: Arc<Loader>,
}

impl Registry {
    /// The plugins in [`Directories::system`].
    #[must_use]
    pub fn system() -> Self {
        Self::new(Directories::system())
    }

    /// The plugins in these directories.
    #[must_use]
    pub fn new(directories: Directories) -> Self {
        Self::with_clients(directories, |location| {
            let builder = Client::builder(location.address());
            match location.tls() {
                Some(options) => builder.tls(options).build(),
                None => builder.build(),
            }
        })
    }

    /// The same, with clients that the application makes: with other timeouts, or without
    /// sockets. It may block, as [`ClientBuilder::build`](super::ClientBuilder::build) does.
    #[must_use]
    pub fn with_clients(
        directories: Directories,
        client: impl Fn(&Location) -> Result<Client, TlsError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            directories: Arc::new(directories),
            retry: RetryPolicy::default(),
            loader: Loader::new(client),
        }
    }

    /// For how long a plugin is looked for that is not there, or does not answer when it is
    /// activated. Default [`RetryPolicy::default`]: about 15 seconds each. What the clients
    /// do afterwards is their own affair.
    #[must_use]
    pub fn with_retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// The plugin of this name, which implements this interface.
    ///
    /// One that is not there is looked for again, as the policy says, since it may be
    /// starting. If it cannot be activated, all that wait for it are told, and the next who
    /// asks begins anew.
    ///
    /// # Errors
    ///
    /// See [`GetError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up waiting. When all have done so, the activation is given
    /// up, too.
    pub async fn get(&self, name: &str, interface: &str) -> Result<Plugin, GetError> {
        let plugin = self.load(name).await?;
        if plugin.implements(interface) {
            return Ok(plugin);
        }
        Err(GetError::NotImplemented { name: name.to_owned(), interface: interface.to_owned() })
    }

    /// The plugin of this name, whatever it implements. As [`get`](Self::get) otherwise.
    ///
    /// # Errors
    ///
    /// See [`GetError`].
    ///
    /// # Cancel safety
    ///
    /// As of [`get`](Self::get).
    pub async fn load(&self, name: &str) -> Result<Plugin, GetError> {
        self.look_and_load(name, &self.retry).await
    }

    /// All plugins that implement this interface, in the order of
    /// [`Directories::scan`]. Those that cannot be activated are left out, and logged.
    ///
    /// # Errors
    ///
    /// The directories cannot be read.
    ///
    /// # Cancel safety
    ///
    /// As of [`get`](Self::get).
    pub async fn get_all(&self, interface: &str) -> Result<Vec<Plugin>, ScanError> {
        let mut all = Vec::new();
        for (name, loaded) in self.load_all().await? {
            match loaded {
                Ok(plugin) if plugin.implements(interface) => all.push(plugin),
                Ok(_) => {}
                Err(error) => {
                    let error = &error as &(dyn std::error::Error + 'static);
                    tracing::warn!(name, error, "a plugin is left out");
                }
            }
        }
        Ok(all)
    }

    /// All plugins that there are, with what is wrong with those that cannot be activated.
    /// One that has gone since the directories were read is not looked for again; one that
    /// does not answer is tried as the policy says.
    ///
    /// # Errors
    ///
    /// The directories cannot be read.
    ///
    /// # Cancel safety
    ///
    /// As of [`get`](Self::get).
    pub async fn load_all(&self) -> Result<Vec<(String, Result<Plugin, GetError>)>, ScanError> {
        let directories = self.directories.clone();
        let names = spawn_blocking(move || directories.scan()).await;
        let names = names.unwrap_or_else(|error| Err(self.directories.not_scanned(error)))?;
        let loads = names.into_iter().map(|name| async move {
            let loaded = self.look_and_load(&name, &RetryPolicy::never()).await;
            (name, loaded)
        });
        Ok(stream::iter(loads).buffered(AT_ONCE).collect().await)
    }

    /// Calls a function with each plugin that implements this interface: now with those that
    /// are active, and with others when they become so, before anybody has them. It is called
    /// once for each activation. It must not block.
    pub fn handle(&self, interface: &str, handler: impl Fn(&Plugin) + Send + Sync + 'static) {
        self.loader.handle(interface, Arc::new(handler));
    }

    /// Forgets a plugin, so that who asks for it next finds and activates it anew. Those who
    /// have it keep it.
    pub fn forget(&self, name: &str) {
        self.loader.forget(name);
    }

    /// Looks for a plugin, and activates it. Those who wait for the activation share it; how
    /// long each looks is their own affair.
    async fn look_and_load(&self, name: &str, looking: &RetryPolicy) -> Result<Plugin, GetError> {
        let began = clock::now();
        let mut retries = 0;
        loop {
            if let Some(known) = self.loader.known(name) {
                return known.await;
            }
            let error = match self.find(name).await {
                Ok(location) => return self.loader.activate(location, &self.retry).await,
                // No time makes a name of it.
                Err(error @ FindError::Name { .. }) => return Err(error.into()),
                Err(error) => error,
            };
            let elapsed = clock::now() - began;
            let Some(delay) = looking.next(retries, elapsed, false, fastrand::f64()) else {
                return Err(error.into());
            };
            tracing::debug!(name, %error, ?delay, "a plugin is looked for again");
            retries += 1;
            tokio::time::sleep(delay).await;
        }
    }

    async fn find(&self, name: &str) -> Result<Location, FindError> {
        let (directories, name) = (self.directories.clone(), name.to_owned());
        let found = spawn_blocking(move || directories.find(&name)).await;
        found.unwrap_or_else(|error| Err(self.directories.not_searched(error)))
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("directories", &self.directories)
            .field("retry", &self.retry)
            .field("loader", &self.loader)
            .finish()
    }
}
