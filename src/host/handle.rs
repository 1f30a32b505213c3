//! The handle of a plugin that runs.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;
use tracing::Instrument;
use tracing::Span;
use uuid::Uuid;

use crate::broker::Broker;
use crate::broker::Client;
use crate::broker::SubChannel;
use crate::error::Error;
#[cfg(feature = "goplugin")]
use crate::goplugin::Reattach;
use crate::host::application::PluginInfo;
use crate::host::exit::Exit;
use crate::host::runner;
use crate::host::runner::Request;
use crate::host::runner::Running;
use crate::host::schema::Executes;
use crate::host::supervisor::EndCause;
use crate::services::log::LogControl;

/// A plugin that was launched and said hello.
///
/// It owns the process. **Dropping** it kills the process and all of its group at
/// once; use [`PluginHandle::stop`] to end it in order. (One that was
/// [reattached](super::Host::reattach) to is killed alone, and one in test mode is not:
/// then the connection is closed.) Calls that run when the
/// plugin dies fail at once, with an [`Error`] that carries how the process ended: see
/// [`Exit::of`]. Not so if this side stopped or killed it: then the trunk is closed
/// before the process has ended, and [`PluginEnd::exit`] says how it did.
#[derive(Debug)]
pub struct PluginHandle {
    info: PluginInfo,
    pid: u32,
    /// The file that was launched, if this host has launched it.
    program: Option<PathBuf>,
    broker: Broker,
    terms: Terms,
    log: LogControl,
    requests: watch::Sender<Request>,
    ended: watch::Receiver<Option<PluginEnd>>,
}

/// How the two ends talk to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// Trunkline's own: one trunk.
    Native,
    /// go-plugin's.
    GoPlugin {
        /// Whether all connections are streams of one.
        multiplexed: bool,
        /// Whether the connections are in TLS with certificates made for this run.
        tls: bool,
    },
}

/// What was agreed with a plugin when it started.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) dialect: Dialect,
    pub(super) version: Option<u32>,
    #[cfg(feature = "goplugin")]
    pub(super) reattach: Option<Reattach>,
}

impl Terms {
    pub(super) fn native(version: Option<u32>) -> Self {
        Self {
            dialect: Dialect::Native,
            version,
            #[cfg(feature = "goplugin")]
            reattach: None,
        }
    }
}

/// How a plugin's life came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PluginEnd {
    /// What came first.
    pub cause: EndCause,
    /// How the process ended. `None` if it was killed and the kernel has not given
    /// it up, which happens to a process that hangs in a file system.
    pub exit: Option<Exit>,
}

impl PluginHandle {
    pub(super) fn new(
        info: PluginInfo,
        program: Option<PathBuf>,
        terms: Terms,
        log: LogControl,
        running: Running,
        span: &Span,
    ) -> Self {
        let (requests, asked) = watch::channel(Request::Run);
        let (end, ended) = watch::channel(None);
        let (broker, pid) = (running.broker.clone(), running.process.id());
        tokio::spawn(runner::run(running, asked, end).instrument(span.clone()));
        Self { info, pid, program, broker, terms, log, requests, ended }
    }

    /// What the host calls the plugin.
    pub fn name(&self) -> &Arc<str> {
        &self.info.name
    }

    /// The identity of this run.
    pub fn run(&self) -> Uuid {
        self.info.run
    }

    /// The id of the process and of its process group. It may be a stranger's as
    /// soon as the plugin has [ended](PluginHandle::ended).
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How this host and the plugin talk to each other.
    pub fn dialect(&self) -> Dialect {
        self.terms.dialect
    }

    /// The version of the application's protocol that both speak, if the host names any:
    /// the highest that is common.
    pub fn version(&self) -> Option<u32> {
        self.terms.version
    }

    /// What another host, or the next run of this one, needs to
    /// [reattach](super::Host::reattach) to the plugin. Only for those that speak
    /// go-plugin's dialect on connections of their own and without TLS.
    #[cfg(feature = "goplugin")]
    pub fn reattach_config(&self) -> Option<Reattach> {
        self.terms.reattach.clone()
    }

    /// The trunk to the plugin.
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Opens a sub-channel to a service of the plugin: see [`Broker::open`].
    ///
    /// # Errors
    ///
    /// As of [`Broker::open`].
    pub fn open(&self, service: impl Into<String>) -> Result<SubChannel, Error> {
        self.broker.open(service)
    }

    /// Opens a sub-channel to the service of a client that
    /// [`client!`](crate::client) has declared.
    ///
    /// # Errors
    ///
    /// As of [`Broker::open`].
    pub fn client<C: Client>(&self) -> Result<C, Error> {
        self.broker.client()
    }

    /// Sets the level of the plugin's log, and counts what comes.
    pub fn log(&self) -> &LogControl {
        &self.log
    }

    /// Stops the plugin in order: no new calls, running ones may finish, then it may
    /// exit by itself, then SIGTERM and then SIGKILL to its process group, each step
    /// after the time that the [`StopPolicy`](super::StopPolicy) gives.
    ///
    /// # Cancel safety
    ///
    /// The stop goes on if the future is dropped.
    pub async fn stop(&self) -> PluginEnd {
        self.ask(Request::Stop);
        self.ended().await
    }

    /// Kills the process and all of its group, and waits until it is gone.
    ///
    /// # Cancel safety
    ///
    /// It is killed even if the future is dropped after its first poll.
    pub async fn kill(&self) -> PluginEnd {
        self.ask(Request::Kill);
        self.ended().await
    }

    /// Waits until the plugin has ended, for whatever reason. Nothing of it is left
    /// then.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn ended(&self) -> PluginEnd {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(end) => end.unwrap_or(PluginEnd::UNKNOWN),
            // The runtime is being torn down, and the process is killed with it.
            Err(_) => PluginEnd::UNKNOWN,
        }
    }

    /// What is needed to find the program that the process executes.
    pub(super) fn executes(&self) -> Executes {
        Executes { pid: self.pid, file: self.program.clone(), ended: self.ended.clone() }
    }

    fn ask(&self, request: Request) {
        // Patience only runs out.
        self.requests.send_if_modified(|asked| {
            let more = request > *asked;
            *asked = request.max(*asked);
            more
        });
    }
}

impl PluginEnd {
    const UNKNOWN: Self = Self { cause: EndCause::Killed, exit: None };
}
