//! Launching one plugin: what it may reach, how long it may take, and the way
//! from a command to a trunk.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tonic::server::NamedService;
use tracing::Instrument;
use tracing::Span;
use uuid::Uuid;

use crate::broker::Broker;
use crate::broker::ConnectError;
use crate::broker::EndReason;
use crate::broker::Incompatible;
use crate::broker::Limits;
use crate::broker::LimitsError;
use crate::broker::NATIVE_VARIABLE;
use crate::broker::RUN_VARIABLE;
use crate::broker::Role;
use crate::host::application::Host;
use crate::host::application::PluginInfo;
use crate::host::command::PluginCommand;
use crate::host::error::LaunchError;
use crate::host::handle::PluginHandle;
use crate::host::output::OutputPump;
use crate::host::process::Child;
use crate::host::process::Process;
use crate::host::runner;
use crate::host::runner::Running;
use crate::host::supervisor::StopPolicy;
use crate::host::supervisor::UNKILLABLE_AFTER;
use crate::services::log::LogService;
use crate::services::state::StateService;

/// How long a plugin may take from its start to its hello. Default 10 s: it needs
/// milliseconds, but a machine may be busy.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a plugin that has closed its trunk before the hello may take to exit,
/// so that the error can say how it did.
const EXIT_REPORT: Duration = Duration::from_millis(500);

/// A plugin that is about to be launched. Made by [`Host::launch`].
#[must_use = "nothing happens before `start`"]
#[derive(Debug)]
pub struct Launch {
    host: Host,
    name: Arc<str>,
    command: PluginCommand,
    grants: BTreeSet<String>,
    limits: Limits,
    start_timeout: Duration,
    keep_alive: Option<(Duration, Duration)>,
    policy: StopPolicy,
}

impl Launch {
    pub(super) fn new(host: Host, name: Arc<str>, command: PluginCommand) -> Self {
        Self {
            host,
            name,
            command,
            grants: BTreeSet::from([LogService::NAME.to_owned()]),
            limits: Limits::default(),
            start_timeout: START_TIMEOUT,
            keep_alive: None,
            policy: StopPolicy::default(),
        }
    }

    /// Lets the plugin open a service that the host offers, by its full name.
    /// Without a grant it is refused as denied. The log is granted from the start.
    pub fn grant(mut self, service: impl Into<String>) -> Self {
        self.grants.insert(service.into());
        self
    }

    /// Lets the plugin use its namespace of the [state store](Host::state).
    pub fn grant_state(self) -> Self {
        self.grant(StateService::NAME)
    }

    /// Takes all grants back, the log's included.
    pub fn grant_nothing(mut self) -> Self {
        self.grants.clear();
        self
    }

    /// What the plugin may occupy in the host. Default [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long the plugin may take from its start to its hello. Default 10 s.
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.start_timeout = timeout;
        self
    }

    /// After how long a silence the plugin is asked for a sign of life, and how
    /// long it may take before its trunk ends. Default never: a plugin that is
    /// stopped, as by a debugger, is left alone, and a dead one shows at once.
    pub fn keep_alive(mut self, interval: Duration, patience: Duration) -> Self {
        self.keep_alive = Some((interval, patience));
        self
    }

    /// How patiently the plugin is stopped. Default [`StopPolicy::default`].
    pub fn stop_policy(mut self, policy: StopPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Launches the plugin and waits for its hello.
    ///
    /// # Errors
    ///
    /// See [`LaunchError`]. No process is left after one.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future kills the process.
    pub async fn start(self) -> Result<PluginHandle, LaunchError> {
        let program = self.command.program().to_owned();
        self.limits.check().map_err(|source| limits(&program, source))?;
        let run = Uuid::now_v7();
        let announced = BTreeMap::from([
            (OsString::from(NATIVE_VARIABLE), OsString::from("1")),
            (OsString::from(RUN_VARIABLE), OsString::from(run.to_string())),
        ]);
        let process = Process::spawn(&self.command, announced).await?;
        let pid = process.child.id();
        let span = tracing::info_span!(parent: None, "plugin", name = &*self.name, pid, %run);
        span.follows_from(Span::current());
        // Boxed, for it is large and the caller's own future would be as large.
        let connecting = Box::pin(self.connect(process, run, &span));
        connecting.instrument(span.clone()).await
    }

    async fn connect(
        self,
        process: Process,
        run: Uuid,
        span: &Span,
    ) -> Result<PluginHandle, LaunchError> {
        let Process { trunk, stdout, stderr, mut child } = process;
        let output = OutputPump::start(stdout, stderr, span);
        let log = LogService::new(self.host.sink.clone(), &*self.name);
        let control = log.control();
        let builder = Broker::builder(Role::Host);
        let broker = builder.weak();
        let info = PluginInfo { name: self.name.clone(), run, broker };
        let grants = &self.grants;
        let offers = self.host.offers_to(&info).service(log);
        let (mut lost, last_words) = runner::last_words();
        let mut builder = builder
            .name(&self.host.name, &self.host.version)
            .run(run)
            .limits(self.limits.clone())
            .offers(offers.granted(|name| grants.contains(name)))
            .hello_timeout(self.start_timeout)
            .span(span.clone())
            .last_words(last_words);
        if let Some((interval, patience)) = self.keep_alive {
            builder = builder.keep_alive(interval, patience);
        }
        let connecting = builder.dial(trunk);
        tokio::pin!(connecting);
        let connected = tokio::select! {
            biased;
            connected = &mut connecting => connected,
            // Lost before it was up: `failed` finds out why.
            () = lost.asked() => {
                lost.know_nothing();
                (&mut connecting).await
            }
            // Whoever else holds its end of the trunk, the plugin is gone.
            exit = child.wait() => {
                lost.know_nothing();
                // What it said before it died may still be on the way.
                let rest = tokio::time::timeout(EXIT_REPORT, &mut connecting).await;
                drop(rest);
                let stderr_tail = end_of(output).await;
                let program = self.command.program().to_owned();
                return Err(LaunchError::ExitedBeforeHello { program, exit, stderr_tail });
            }
        };
        match connected {
            Ok(broker) => {
                let running = Running { broker, child, output, lost, policy: self.policy };
                Ok(PluginHandle::new(info, control, running, span))
            }
            Err(error) => Err(self.failed(error, child, output).await),
        }
    }

    /// Finds out why there was no hello.
    async fn failed(
        self,
        error: ConnectError,
        mut child: Child,
        output: OutputPump,
    ) -> LaunchError {
        let program = self.command.program().to_owned();
        let exit = match &error {
            // The end of the process explains the end of its trunk.
            ConnectError::Carrier(carrier) if !carrier.is_peers_fault() => {
                tokio::time::timeout(EXIT_REPORT, child.wait()).await.ok()
            }
            ConnectError::Ended(EndReason::Lost(_)) => {
                tokio::time::timeout(EXIT_REPORT, child.wait()).await.ok()
            }
            _ => None,
        };
        if exit.is_none() {
            end(&mut child).await;
        }
        let stderr_tail = end_of(output).await;
        match (error, exit) {
            (ConnectError::Timeout(after), _) => {
                LaunchError::TimedOut { program, after, stderr_tail }
            }
            (
                ConnectError::Ended(EndReason::Incompatible(Incompatible::Version {
                    ours,
                    theirs,
                })),
                _,
            ) => {
                LaunchError::Version { program, plugin: theirs.0..=theirs.1, host: ours.0..=ours.1 }
            }
            (_, Some(exit)) => LaunchError::ExitedBeforeHello { program, exit, stderr_tail },
            (error, None) => {
                LaunchError::NotAPlugin { program, source: Box::new(error), stderr_tail }
            }
        }
    }
}

/// Kills the process, and waits until it is gone.
async fn end(child: &mut Child) {
    if let Err(error) = child.signal(Signal::KILL) {
        tracing::error!(%error, "a plugin that did not start cannot be killed");
    }
    if tokio::time::timeout(UNKILLABLE_AFTER, child.wait()).await.is_err() {
        tracing::error!("a plugin that did not start was killed, and has not ended");
    }
}

/// Ends the reading of the plugin's output; the last lines of standard error.
async fn end_of(output: OutputPump) -> String {
    let tail = output.tail();
    output.stop().await;
    tail.text()
}

fn limits(program: &std::path::Path, source: LimitsError) -> LaunchError {
    LaunchError::Limits { program: program.to_owned(), source }
}
