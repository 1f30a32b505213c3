//! Serving as a plugin, from the first line of `main` to the last.

use std::process::ExitCode;
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
use crate::plugin::connection;
use crate::plugin::connection::Launched;
use crate::plugin::connection::NotLaunched;
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
    /// The system refused what a plugin needs.
    #[error("the system refused a signal handler or a thread")]
    System(#[source] std::io::Error),
}

impl Plugin {
    /// A plugin of this name and version, which the host can show to people.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self { name: name.into(), version: version.into(), limits: Limits::default(), log: None }
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
        match self.try_serve(services).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(&name, &version, &error);
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
        let Launched { run, trunk, watched } =
            connection::take().map_err(ServeError::NotLaunched)?;
        let _watch = OrphanWatch::start(watched).map_err(ServeError::System)?;
        // Held: it is what keeps an interrupt from ending the process.
        let _interrupts = signal(SignalKind::interrupt()).map_err(ServeError::System)?;
        let log = self.log.unwrap_or_else(install_log);
        let mut builder =
            Broker::builder(Role::Plugin).name(self.name, self.version).limits(self.limits);
        if let Some(run) = run {
            builder = builder.run(run);
        }
        let host = HostHandle::new(builder.weak(), log.clone());
        let offers = services(host);
        let broker = builder.offers(offers).accept(trunk).await.map_err(ServeError::Connect)?;
        let log_call = tokio::spawn(attach(broker.clone(), log.clone()));
        broker.drained().await;
        // The host waits for the log's call, and the call has all it ever will.
        let _ = tokio::time::timeout(FLUSH_TIMEOUT, log.flush()).await;
        log_call.abort();
        match broker.closed().await {
            EndReason::PeerClosed | EndReason::Closed => Ok(()),
            // The host is gone, which is no fault of the plugin; but it was not orderly.
            reason => Err(ServeError::Ended(reason)),
        }
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

#[expect(clippy::print_stderr, reason = "what a program says that cannot run")]
fn complain(name: &str, version: &str, error: &ServeError) {
    eprintln!("{name} {version}: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        eprintln!("  because: {cause}");
        source = cause.source();
    }
}
