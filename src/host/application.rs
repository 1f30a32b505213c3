//! The application as a host: what it is called and what it offers its plugins.

use std::fmt;
use std::sync::Arc;

use tonic::server::NamedService;
use uuid::Uuid;

use crate::broker::Offers;
use crate::broker::Servable;
use crate::broker::WeakBroker;
#[cfg(feature = "goplugin")]
use crate::goplugin::Reattach;
use crate::host::command::PluginCommand;
use crate::host::launch::Launch;
use crate::host::launch::Source;
use crate::services::log::LogSink;
use crate::services::log::TracingSink;
use crate::services::state::StateService;
use crate::services::state::Store;

/// An application that runs plugins: its name, and the services that plugins may
/// be granted.
///
/// Cheap to clone. Dropping it does nothing to plugins that run.
///
/// What is offered reaches a plugin only if it is granted by name for that plugin
/// ([`Launch::grant`]); by default a plugin gets nothing but the log.
#[derive(Clone)]
pub struct Host {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) sink: Arc<dyn LogSink>,
    makers: Vec<Maker>,
}

/// Adds one service to the offers of a plugin that is about to run.
type Maker = Arc<dyn Fn(&PluginInfo, Offers) -> Offers + Send + Sync>;

/// Who a plugin is, to the services that are made for it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PluginInfo {
    /// What the host calls it.
    pub name: Arc<str>,
    /// The identity of this run: in every span and log line of it, and known to the
    /// plugin. Version 7, so that runs sort by their start.
    pub run: Uuid,
    /// The trunk of the plugin, once it is up: for services that call back.
    pub broker: WeakBroker,
}

impl Host {
    /// An application that offers nothing but the log, which goes to `tracing`.
    /// Name and version are for people: the plugin can show them.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            sink: Arc::new(TracingSink),
            makers: Vec::new(),
        }
    }

    /// Offers a service that tonic generated to the plugins that it is granted to,
    /// under its full name, such as `demo.v1.Dictionary`.
    #[must_use]
    pub fn offer<S: Servable + NamedService>(self, service: S) -> Self {
        self.offer_with(move |_, offers| offers.service(service.clone()))
    }

    /// Offers services that are made anew for each plugin, so that they know whom
    /// they serve. What the closure adds must still be granted by name.
    ///
    /// ```
    /// # use trunkline::host::Host;
    /// # let service = |_: &str| trunkline::services::log::LogService::new(
    /// #     std::sync::Arc::new(trunkline::services::log::TracingSink), "x");
    /// let host = Host::new("my-app", "1.0")
    ///     .offer_with(move |plugin, offers| offers.service(service(&plugin.name)));
    /// ```
    #[must_use]
    pub fn offer_with(
        mut self,
        make: impl Fn(&PluginInfo, Offers) -> Offers + Send + Sync + 'static,
    ) -> Self {
        self.makers.push(Arc::new(make));
        self
    }

    /// Offers a state store, in which each plugin has a namespace of its own, by
    /// the name that the host launches it under. Grant it with
    /// [`Launch::grant_state`].
    #[must_use]
    pub fn state(self, store: Arc<dyn Store>) -> Self {
        self.offer_with(move |plugin, offers| {
            offers.service(StateService::new(store.clone(), &*plugin.name))
        })
    }

    /// Where the plugins' log records go. Default: to `tracing`, as events of the
    /// target `trunkline::plugin`.
    #[must_use]
    pub fn log_sink(mut self, sink: Arc<dyn LogSink>) -> Self {
        self.sink = sink;
        self
    }

    /// Prepares to launch a plugin. The name is the host's own: it names the
    /// plugin's state, its spans and its log.
    pub fn launch(&self, name: impl Into<Arc<str>>, command: PluginCommand) -> Launch {
        Launch::new(self.clone(), name.into(), Source::Command(command))
    }

    /// Prepares to connect to a plugin that runs already and that speaks go-plugin's
    /// dialect: one that a developer has started in a debugger, or that has outlived a
    /// host. What it is called and granted is as for one that is launched.
    ///
    /// Its output and its log go to whoever started it, but for what it sends over its
    /// connection. Stopping it, and dropping its handle, ends it like any other, unless
    /// it runs in test mode: then the connection is closed, and it goes on. How it ended
    /// is not known, for it is another's child. On Linux only.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # use trunkline::host::Host;
    /// use trunkline::goplugin::Reattach;
    ///
    /// let plugins = Reattach::parse_all(&std::env::var("TF_REATTACH_PROVIDERS")?)?;
    /// let reattach = plugins["example.org/a/b"].clone();
    /// let plugin = Host::new("my-app", "1.0").reattach("b", reattach).start().await?;
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "goplugin")]
    pub fn reattach(&self, name: impl Into<Arc<str>>, plugin: Reattach) -> Launch {
        Launch::new(self.clone(), name.into(), Source::Running(plugin))
    }

    /// Everything that this application offers to a plugin, granted or not.
    pub(super) fn offers_to(&self, plugin: &PluginInfo) -> Offers {
        let add = |offers, make: &Maker| make(plugin, offers);
        self.makers.iter().fold(Offers::new(), add)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("name", &self.name)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
