//! Launching one plugin: what it may reach, how long it may take, and the way
//! from a command to a trunk.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tonic::server::NamedService;
use tracing::Instrument;
use tracing::Span;
use uuid::Uuid;

use crate::broker::Limits;
use crate::broker::NATIVE_VARIABLE;
use crate::broker::RUN_VARIABLE;
#[cfg(feature = "goplugin")]
use crate::goplugin::Reattach;
use crate::host::application::Host;
use crate::host::command::PluginCommand;
use crate::host::error::LaunchError;
use crate::host::go_plugin::Announced;
#[cfg(feature = "goplugin")]
use crate::host::go_plugin::GoPlugin;
use crate::host::handle::PluginHandle;
use crate::host::process::Process;
use crate::host::supervisor::StopPolicy;
use crate::services::log::LogService;
use crate::services::state::StateService;

/// How long a plugin may take from its start to its hello. Default 10 s: it needs
/// milliseconds, but a machine may be busy.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A plugin that is about to be launched. Made by [`Host::launch`].
#[must_use = "nothing happens before `start`"]
#[derive(Debug)]
pub struct Launch {
    pub(super) host: Host,
    pub(super) name: Arc<str>,
    pub(super) source: Source,
    pub(super) grants: BTreeSet<String>,
    pub(super) limits: Limits,
    pub(super) start_timeout: Duration,
    pub(super) keep_alive: Option<(Duration, Duration)>,
    pub(super) policy: StopPolicy,
    #[cfg(feature = "goplugin")]
    pub(super) go_plugin: Option<GoPlugin>,
}

/// Where a plugin comes from.
#[derive(Debug)]
pub(super) enum Source {
    Command(PluginCommand),
    /// It runs already.
    #[cfg(feature = "goplugin")]
    Running(Reattach),
}

impl Launch {
    pub(super) fn new(host: Host, name: Arc<str>, source: Source) -> Self {
        Self {
            host,
            name,
            source,
            grants: BTreeSet::from([LogService::NAME.to_owned()]),
            limits: Limits::default(),
            start_timeout: START_TIMEOUT,
            keep_alive: None,
            policy: StopPolicy::default(),
            #[cfg(feature = "goplugin")]
            go_plugin: None,
        }
    }

    /// Takes a plugin that was built on go-plugin, too: which of the two it is shows when
    /// it starts. Everything else stays as it is, but that go-plugin's wire knows no
    /// services of the host by name, so that the plugin is given numbers for those that it
    /// may call; and no byte streams.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # use trunkline::host::{Host, PluginCommand};
    /// use trunkline::goplugin::Handshake;
    ///
    /// let host = Host::new("my-app", "1.0");
    /// let command = PluginCommand::new("./plugin-go-grpc");
    /// let handshake = Handshake::new("BASIC_PLUGIN", "hello").version(1);
    /// let plugin = host.launch("kv", command).go_plugin(handshake).start().await?;
    /// let channel = plugin.open("proto.KV")?; // for KvClient::new
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "goplugin")]
    pub fn go_plugin(mut self, go_plugin: impl Into<GoPlugin>) -> Self {
        self.go_plugin = Some(go_plugin.into());
        self
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
    /// stopped, as by a debugger, is left alone, and a dead one shows at once. One that
    /// speaks go-plugin's dialect is asked for its health, silent or not.
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
        let program = self.program();
        let check = self.limits.check();
        check.map_err(|source| LaunchError::Limits { program: program.clone(), source })?;
        let run = Uuid::now_v7();
        let command = match &self.source {
            Source::Command(command) => command.clone(),
            #[cfg(feature = "goplugin")]
            Source::Running(plugin) => {
                let plugin = plugin.clone();
                let span = self.span(plugin.pid(), run);
                let attaching = Box::pin(self.attach(&plugin, run, &span));
                return attaching.instrument(span.clone()).await;
            }
        };
        let mut environment = BTreeMap::from([(RUN_VARIABLE.into(), run.to_string().into())]);
        let announced = self.announce(&program, &mut environment)?;
        let with_trunk = self.offers_native();
        if with_trunk {
            environment.insert(NATIVE_VARIABLE.into(), "1".into());
        }
        let process = Process::spawn(&command, environment, with_trunk).await?;
        let pid = process.child.id();
        let span = self.span(pid, run);
        // Boxed, for it is large and the caller's own future would be as large.
        let connecting = Box::pin(self.connect(process, announced, run, &span));
        connecting.instrument(span.clone()).await
    }

    /// What is launched, for messages.
    pub(super) fn program(&self) -> PathBuf {
        match &self.source {
            Source::Command(command) => command.program().to_owned(),
            #[cfg(feature = "goplugin")]
            Source::Running(plugin) => PathBuf::from(format!("of process {}", plugin.pid())),
        }
    }

    /// The file that is launched, where it can be found now.
    pub(super) fn launched(&self) -> Option<PathBuf> {
        match &self.source {
            Source::Command(command) => command.locate(std::env::var_os("PATH").as_deref()),
            #[cfg(feature = "goplugin")]
            Source::Running(_) => None,
        }
    }

    pub(super) fn span(&self, pid: u32, run: Uuid) -> Span {
        let span = tracing::info_span!(parent: None, "plugin", name = &*self.name, pid, %run);
        span.follows_from(Span::current());
        span
    }

    #[cfg(feature = "goplugin")]
    fn announce(
        &self,
        program: &Path,
        environment: &mut BTreeMap<OsString, OsString>,
    ) -> Result<Announced, LaunchError> {
        Announced::to(self.go_plugin.as_ref(), program, environment)
    }

    #[cfg(feature = "goplugin")]
    fn offers_native(&self) -> bool {
        self.go_plugin.as_ref().is_none_or(GoPlugin::offers_native)
    }

    #[cfg(not(feature = "goplugin"))]
    fn announce(
        &self,
        _: &Path,
        _: &mut BTreeMap<OsString, OsString>,
    ) -> Result<Announced, LaunchError> {
        Ok(Announced)
    }

    #[cfg(not(feature = "goplugin"))]
    fn offers_native(&self) -> bool {
        true
    }
}
