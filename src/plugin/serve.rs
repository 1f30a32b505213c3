//! Serving as a plugin, from the first line of `main` to the last.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tracing_subscriber::layer::SubscriberExt;

use crate::broker::Broker;
use crate::broker::ConnectError;
use crate::broker::EndReason;
use crate::broker::Limits;
use crate::broker::Offers;
use crate::broker::Role;
#[cfg(feature = "goplugin")]
use crate::goplugin::Handshake;
#[cfg(feature = "goplugin")]
use crate::goplugin::Reattach;
use crate::plugin::connection;
use crate::plugin::connection::Launched;
use crate::plugin::connection::NotLaunched;
#[cfg(feature = "goplugin")]
use crate::plugin::go_plugin;
#[cfg(feature = "goplugin")]
use crate::plugin::go_plugin::Cookie;
#[cfg(feature = "goplugin")]
use crate::plugin::go_plugin::GoPlugin;
#[cfg(feature = "goplugin")]
use crate::plugin::go_plugin::NO_COOKIE;
#[cfg(feature = "goplugin")]
use crate::plugin::go_plugin::REFUSAL;
use crate::plugin::host::HostHandle;
use crate::plugin::layer::HostLogLayer;
use crate::plugin::orphan::OrphanWatch;
use crate::services::log::Log;
use crate::services::log::LogService;

/// How long the last log records may take to reach the host. It is short: the host
/// waits for it when it stops the plugin.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// A plugin: its name, and how it serves.
#[must_use = "a plugin does nothing until `serve`"]
#[derive(Debug)]
pub struct Plugin {
    name: String,
    version: String,
    limits: Limits,
    log: Option<Log>,
    #[cfg(feature = "goplugin")]
    handshake: Option<Handshake>,
    #[cfg(feature = "goplugin")]
    descriptors: Vec<Vec<u8>>,
    #[cfg(feature = "goplugin")]
    outlives_host: bool,
}

/// Why a plugin did not serve, or stopped doing so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The program was not started by a host.
    #[error("it is a plugin, which its application starts: it cannot be run by itself")]
    NotLaunched(#[source] NotLaunched),
    /// The host was there, but there was no trunk.
    #[error("the connection to the host failed")]
    Connect(#[source] ConnectError),
    /// The trunk broke.
    #[error("the trunk to the host ended")]
    Ended(#[source] EndReason),
    /// The author has given no magic cookie to
    /// [`Plugin::go_plugin`](super::Plugin::go_plugin).
    #[cfg(feature = "goplugin")]
    #[error("the plugin has no magic cookie, by which hosts of go-plugin are known")]
    NoCookie,
    /// The plugin cannot listen for the host, which was built on go-plugin.
    #[cfg(feature = "goplugin")]
    #[error("the plugin cannot listen for its host")]
    Listen(#[source] crate::goplugin::ListenError),
    /// The system refused what a plugin needs.
    #[error("the system refused a signal handler or a thread")]
    System(#[source] std::io::Error),
}

impl Plugin {
    /// A plugin of this name and version, which the host can show to people.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            limits: Limits::default(),
            log: None,
            #[cfg(feature = "goplugin")]
            handshake: None,
            #[cfg(feature = "goplugin")]
            descriptors: Vec::new(),
            #[cfg(feature = "goplugin")]
            outlives_host: false,
        }
    }

    /// Serves hosts that were built on go-plugin, too: the same program, and the same
    /// services. A host is known by the magic cookie in the environment; of the versions
    /// that both name, the highest is spoken ([`HostHandle::version`]).
    ///
    /// Under such a host, what the program writes to standard output and error goes to the
    /// host's streams for that; `tracing` events and the [log](HostHandle::log) become
    /// lines of hclog; and a panic is logged as an error. The host's own services have no
    /// names: it hands over numbers for [`Broker::dial`](crate::Broker::dial).
    ///
    /// ```no_run
    /// # use std::process::ExitCode;
    /// use trunkline::Offers;
    /// use trunkline::goplugin::Handshake;
    /// use trunkline::plugin::Plugin;
    ///
    /// # async fn main_() -> ExitCode {
    /// Plugin::new("kv", "1.0")
    ///     .go_plugin(Handshake::new("BASIC_PLUGIN", "hello").version(1))
    ///     .serve(|_host| Offers::new()) // .service(KvServer::new(Kv))
    ///     .await
    /// # }
    /// ```
    #[cfg(feature = "goplugin")]
    pub fn go_plugin(mut self, handshake: Handshake) -> Self {
        self.handshake = Some(handshake);
        self
    }

    /// Describes the plugin's services to whoever asks gRPC's reflection, which go-plugin's
    /// tools do: an encoded `FileDescriptorSet`, such as a build script writes. Once for
    /// each set.
    #[cfg(feature = "goplugin")]
    pub fn reflection(mut self, descriptors: impl Into<Vec<u8>>) -> Self {
        self.descriptors.push(descriptors.into());
        self
    }

    /// Lets the plugin outlive a host that was built on go-plugin, for the next to
    /// reattach to, as go-plugin's own plugins do. By default it ends when the process
    /// that started it is gone and no host is connected.
    #[cfg(feature = "goplugin")]
    pub fn outlive_host(mut self) -> Self {
        self.outlives_host = true;
        self
    }

    /// Serves whatever host is told where, without one that has started it: for a plugin
    /// in a debugger, or in a test (go-plugin's test mode). `ready` is given what the
    /// hosts need; they take it as JSON in a variable of theirs, as in
    /// `TF_REATTACH_PROVIDERS`. It ends when it is interrupted, or when a host ends it.
    ///
    /// # Errors
    ///
    /// See [`ServeError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it ends the plugin at once.
    #[cfg(feature = "goplugin")]
    pub async fn serve_standalone(
        self,
        services: impl FnOnce(HostHandle) -> Offers,
        ready: impl FnOnce(&Reattach),
    ) -> Result<(), ServeError> {
        let (name, limits) = (self.name.clone(), self.limits.clone());
        let (go_plugin, log) = self.into_go_plugin()?;
        go_plugin.serve_standalone(name, limits, log, services, ready).await
    }

    /// What the host may occupy in the plugin. Default [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The log to send to the host, for an author who sets up `tracing` with a
    /// [`HostLogLayer`] of this log and other layers. By default the plugin installs
    /// a subscriber of its own, if the program has none, that sends all events.
    pub fn log(mut self, log: Log) -> Self {
        self.log = Some(log);
        self
    }

    /// Serves until the host has ended the trunk, and returns what `main` should:
    /// success after an orderly end, or 1 with an explanation on standard error. A
    /// program that was started by hand says what it is.
    ///
    /// Interrupts from the terminal (SIGINT) do not end the plugin: its host gets
    /// them too, and decides. If the host dies the plugin ends, also when the
    /// runtime hangs: after 10 seconds the process exits with code 129.
    ///
    /// # Cancel safety
    ///
    /// Dropping it ends the trunk at once.
    pub async fn serve(self, services: impl FnOnce(HostHandle) -> Offers) -> ExitCode {
        let (name, version) = (self.name.clone(), self.version.clone());
        #[cfg(feature = "goplugin")]
        let is_go_plugin = self.handshake.is_some();
        #[cfg(not(feature = "goplugin"))]
        let is_go_plugin = false;
        match self.try_serve(services).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(&name, &version, &error, is_go_plugin);
                ExitCode::FAILURE
            }
        }
    }

    /// As [`serve`](Plugin::serve), but says in a value what went wrong.
    ///
    /// # Errors
    ///
    /// See [`ServeError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it ends the trunk at once.
    pub async fn try_serve(
        self,
        services: impl FnOnce(HostHandle) -> Offers,
    ) -> Result<(), ServeError> {
        let launched = connection::take();
        #[cfg(feature = "goplugin")]
        if let (Err(reason), Some(handshake)) = (&launched, &self.handshake) {
            match go_plugin::cookie(handshake) {
                Cookie::Missing => return Err(ServeError::NoCookie),
                Cookie::Wrong => {
                    tracing::debug!(%reason, "no host has started the plugin");
                }
                Cookie::Right => return self.serve_go_plugin(services).await,
            }
        }
        let Launched { run, trunk, watched } = launched.map_err(ServeError::NotLaunched)?;
        let _watch = OrphanWatch::start(watched).map_err(ServeError::System)?;
        // Held: it is what keeps an interrupt from ending the process.
        let _interrupts = signal(SignalKind::interrupt()).map_err(ServeError::System)?;
        let log = self.log.unwrap_or_else(install_log);
        let mut builder =
            Broker::builder(Role::Plugin).name(self.name, self.version).limits(self.limits);
        if let Some(run) = run {
            builder = builder.run(run);
        }
        #[cfg(feature = "goplugin")]
        let version = self.handshake.as_ref().and_then(go_plugin::offered_version);
        #[cfg(not(feature = "goplugin"))]
        let version = None;
        if let Some(version) = version {
            builder = builder.application_version(version);
        }
        let host = HostHandle::new(builder.weak(), log.clone(), version);
        let offers = services(host);
        let log_call = Arc::new(OnceLock::new());
        let builder = {
            let (log, call) = (log.clone(), log_call.clone());
            // The host waits for calls that run when it ends the trunk. It must know of the
            // log's before it has an answer to any other, or the last records are lost.
            builder.offers(offers).on_connected(move |broker, cx| {
                let mut attached = Box::pin(attach(broker, log));
                if attached.as_mut().poll(cx).is_pending() {
                    // There is none yet.
                    let _ = call.set(tokio::spawn(attached));
                }
            })
        };
        let broker = builder.accept(trunk).await.map_err(ServeError::Connect)?;
        broker.drained().await;
        // The host waits for the log's call, and the call has all it ever will.
        let _ = tokio::time::timeout(FLUSH_TIMEOUT, log.flush()).await;
        if let Some(call) = log_call.get() {
            call.abort();
        }
        match broker.closed().await {
            EndReason::PeerClosed | EndReason::Closed => Ok(()),
            // The host is gone, which is no fault of the plugin; but it was not orderly.
            reason => Err(ServeError::Ended(reason)),
        }
    }
}

#[cfg(feature = "goplugin")]
impl Plugin {
    async fn serve_go_plugin(
        self,
        services: impl FnOnce(HostHandle) -> Offers,
    ) -> Result<(), ServeError> {
        let (name, limits) = (self.name.clone(), self.limits.clone());
        let (go_plugin, log) = self.into_go_plugin()?;
        go_plugin.serve(name, limits, log, services).await
    }

    fn into_go_plugin(self) -> Result<(GoPlugin, Log), ServeError> {
        let Self { log, handshake, descriptors, outlives_host, .. } = self;
        let handshake = handshake.ok_or(ServeError::NoCookie)?;
        let log = log.unwrap_or_else(install_log);
        Ok((GoPlugin { handshake, descriptors, outlives_host }, log))
    }
}

/// Sends all events of the program to a new log, unless the author has decided
/// otherwise.
fn install_log() -> Log {
    let log = Log::new();
    let subscriber = tracing_subscriber::registry().with(HostLogLayer::new(log.clone()));
    // Fails if there is a subscriber already, which then has the say.
    let _ = tracing::subscriber::set_global_default(subscriber);
    log
}

/// Carries the log to the host, if the host wants it.
async fn attach(broker: Broker, log: Log) {
    let Ok(channel) = broker.open(<LogService as tonic::server::NamedService>::NAME) else {
        return;
    };
    // The call must not keep the trunk, so only the channel is held from here on.
    drop(broker);
    if let Err(error) = log.attach(channel.background()).await {
        tracing::debug!(%error, "the host takes no log");
    }
}

/// Says why the program does not run. Nobody may be there to hear it.
fn complain(name: &str, version: &str, error: &ServeError, is_go_plugin: bool) {
    let text = match error {
        #[cfg(feature = "goplugin")]
        ServeError::NotLaunched(NotLaunched::ByHand) if is_go_plugin => REFUSAL.to_owned(),
        #[cfg(feature = "goplugin")]
        ServeError::NoCookie => NO_COOKIE.to_owned(),
        _ => explain(name, version, error),
    };
    let _ = std::io::stderr().write_all(text.as_bytes());
    let _ = is_go_plugin;
}

fn explain(name: &str, version: &str, error: &ServeError) -> String {
    let mut text = format!("{name} {version}: {error}\n");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!("  because: {cause}\n"));
        source = cause.source();
    }
    text
}
