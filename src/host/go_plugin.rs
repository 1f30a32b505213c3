//! Launching plugins that were built on go-plugin: what they are told, and how they are
//! found when they have said where they listen.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use tokio::sync::oneshot;

use crate::goplugin::ConnectError;
use crate::goplugin::Handshake;
use crate::goplugin::LineError;
use crate::goplugin::handshake::line::Line;
use crate::goplugin::host::Connected;
use crate::goplugin::host::Invitation;
use crate::goplugin::host::Output;
use crate::goplugin::host::Plan;
use crate::goplugin::stdio::Channel;
use crate::host::error::LaunchError;
use crate::host::handle::Dialect;
use crate::host::handle::Terms;
use crate::host::output::Hooks;
use crate::host::output::Relayed;
use crate::services::log::LogService;
use crate::services::log::hclog;

/// That a plugin may be one that was built on go-plugin, and how it is talked to then:
/// for [`Launch::go_plugin`](super::Launch::go_plugin).
///
/// A plugin that was built with this library, and sees that its host was too, speaks
/// Trunkline's own dialect all the same, unless [`native`](Self::native) says otherwise.
#[derive(Clone, Debug)]
pub struct GoPlugin {
    handshake: Handshake,
    auto_mtls: bool,
    multiplex: bool,
    native: bool,
    socket_group: Option<String>,
}

impl GoPlugin {
    /// Connections without TLS, each on a socket of its own: what every plugin can do.
    #[must_use]
    pub fn new(handshake: Handshake) -> Self {
        Self { handshake, auto_mtls: false, multiplex: false, native: true, socket_group: None }
    }

    /// Whether both ends show each other certificates that are made for this one run, and
    /// take no others (go-plugin's AutoMTLS). Default no: the sockets are in a folder that
    /// only this user may enter, if the plugin's go-plugin is of version 1.5 or newer;
    /// before, they are in the temporary folder. A plugin that then answers without a
    /// certificate is not launched. Costs some milliseconds for each connection. A plugin
    /// whose go-plugin is older than 1.4.4 cannot call back with it.
    #[must_use]
    pub fn auto_mtls(mut self, auto_mtls: bool) -> Self {
        self.auto_mtls = auto_mtls;
        self
    }

    /// Whether to ask for one connection that carries all others (go-plugin 1.6 and
    /// newer). A plugin that cannot do it is talked to without. Default no: go-plugin's
    /// own side of it may mix up connections that are opened at the same time.
    #[must_use]
    pub fn multiplex(mut self, multiplex: bool) -> Self {
        self.multiplex = multiplex;
        self
    }

    /// Whether a plugin that was built with this library may speak its own dialect.
    /// Default yes.
    #[must_use]
    pub fn native(mut self, native: bool) -> Self {
        self.native = native;
        self
    }

    /// The group that all sockets belong to, by name or number, for a plugin that runs as
    /// another user. Default none: only this user may connect.
    #[must_use]
    pub fn socket_group(mut self, group: impl Into<String>) -> Self {
        self.socket_group = Some(group.into());
        self
    }

    pub(super) fn offers_native(&self) -> bool {
        self.native
    }

    pub(super) fn versions(&self) -> BTreeSet<u32> {
        self.handshake.versions()
    }

    fn invite(&self) -> Result<Invitation, ConnectError> {
        let Self { handshake, auto_mtls, multiplex, socket_group, .. } = self;
        Invitation::new(handshake.clone(), *auto_mtls, *multiplex, socket_group.clone())
    }
}

impl From<Handshake> for GoPlugin {
    fn from(handshake: Handshake) -> Self {
        Self::new(handshake)
    }
}

/// What a plugin was told, and whether it has answered in go-plugin's way.
pub(super) struct Announced {
    /// `None` if it was told nothing of go-plugin.
    invitation: Option<Invitation>,
    line: oneshot::Receiver<Result<Line, LineError>>,
    /// Who looks for the line has it.
    found: Option<oneshot::Sender<Result<Line, LineError>>>,
}

impl Announced {
    /// Adds what the plugin is told to its environment.
    pub(super) fn to(
        go_plugin: Option<&GoPlugin>,
        program: &Path,
        environment: &mut BTreeMap<OsString, OsString>,
    ) -> Result<Self, LaunchError> {
        let invitation = go_plugin.map(GoPlugin::invite).transpose().map_err(|source| {
            let stderr_tail = String::new();
            LaunchError::GoPlugin { program: program.to_owned(), source, stderr_tail }
        })?;
        let variables = invitation.iter().flat_map(Invitation::variables);
        environment.extend(variables.map(|(name, value)| (name.into(), value.into())));
        let (found, line) = oneshot::channel();
        Ok(Self { invitation, line, found: Some(found) })
    }

    /// What looks at the plugin's output: for its line, and for its log.
    pub(super) fn hooks(&mut self, log: LogService) -> Hooks {
        let mut found = self.found.take();
        let stdout = move |line: &str| {
            let is_awaited = found.as_ref().is_some_and(|found| !found.is_closed());
            if !is_awaited || !Line::is_likely(line) {
                return false;
            }
            found.take().is_some_and(|found| found.send(Line::parse(line)).is_ok())
        };
        let mut lines = hclog::Lines::default();
        // Bare lines stay what they are with every plugin.
        let stderr = move |line: &str| lines.parse(line).map(|record| log.take(record)).is_some();
        Hooks {
            stdout: Some(Box::new(stdout)),
            // What others write there is no log of go-plugin's.
            stderr: self.invitation.as_ref().map(|_| Box::new(stderr) as _),
        }
    }

    /// Waits for the line with which the plugin says where it listens: for ever, if it
    /// writes none.
    pub(super) async fn line(&mut self) -> Result<Line, LineError> {
        // It may be asked again after the plugin has closed its output without a line.
        if !self.line.is_terminated()
            && let Ok(line) = (&mut self.line).await
        {
            return line;
        }
        std::future::pending().await
    }

    /// Connects to the plugin, which has said where it listens. `None` if it was not to.
    pub(super) async fn connect(
        self,
        line: Result<Line, LineError>,
        pid: u32,
        plan: Plan,
    ) -> Option<Result<Connected, ConnectError>> {
        let invitation = self.invitation?;
        Some(match line {
            Ok(line) => invitation.connect(line, pid, plan).await,
            Err(error) => Err(ConnectError::Line(error)),
        })
    }
}

impl Terms {
    pub(super) fn go_plugin(connected: &Connected) -> Self {
        let Connected { version, multiplexed, tls, reattach, .. } = connected;
        let dialect = Dialect::GoPlugin { multiplexed: *multiplexed, tls: *tls };
        // Who reattaches may not know it.
        let version = (*version != 0).then_some(*version);
        Self { dialect, version, reattach: reattach.clone() }
    }
}

/// Takes what a plugin writes once it serves.
pub(super) fn relay() -> Output {
    let (mut stdout, mut stderr) = (Relayed::stdout(), Relayed::stderr());
    Box::new(move |channel, bytes| match channel {
        Channel::Stdout => stdout.push(bytes),
        Channel::Stderr => stderr.push(bytes),
    })
}
