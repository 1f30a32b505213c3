//! From a process that has just started to a plugin that serves.

use std::time::Duration;

use rustix::process::Signal;
use tracing::Span;
use uuid::Uuid;

use crate::broker::Broker;
use crate::broker::Builder;
use crate::broker::ConnectError;
use crate::broker::EndReason;
use crate::broker::Incompatible;
#[cfg(feature = "goplugin")]
use crate::broker::LastWords;
use crate::broker::Offers;
use crate::broker::Role;
use crate::broker::WeakBroker;
#[cfg(feature = "goplugin")]
use crate::goplugin::ConnectError as GoPluginError;
#[cfg(feature = "goplugin")]
use crate::goplugin::LineError;
#[cfg(feature = "goplugin")]
use crate::goplugin::Reattach;
#[cfg(feature = "goplugin")]
use crate::goplugin::host::Plan;
#[cfg(feature = "goplugin")]
use crate::goplugin::host::Sockets;
use crate::host::application::PluginInfo;
#[cfg(feature = "goplugin")]
use crate::host::attached::Attached;
use crate::host::error::LaunchError;
use crate::host::exit::Exit;
use crate::host::go_plugin::Announced;
use crate::host::handle::PluginHandle;
use crate::host::handle::Terms;
use crate::host::launch::Launch;
use crate::host::output::OutputPump;
use crate::host::process::Child;
use crate::host::process::Process;
use crate::host::runner;
use crate::host::runner::LostTrunk;
use crate::host::runner::Running;
use crate::host::runner::Tended;
use crate::host::supervisor::UNKILLABLE_AFTER;
use crate::services::log::LogService;

/// How long a plugin that has closed its trunk before the hello may take to exit,
/// so that the error can say how it did.
const EXIT_REPORT: Duration = Duration::from_millis(500);

/// How the first words of a plugin came out.
enum Outcome {
    /// It speaks.
    Met(Met),
    /// What it says is no hello.
    Failed(ConnectError),
    /// It has ended.
    Exited(Exit),
    /// What it says leads to nothing.
    #[cfg_attr(
        not(feature = "goplugin"),
        expect(dead_code, reason = "all plugins speak one dialect")
    )]
    Refused(LaunchError),
    /// It says nothing.
    TimedOut,
}

/// A plugin that speaks.
pub(super) struct Met {
    pub(super) broker: Broker,
    pub(super) terms: Terms,
    #[cfg(feature = "goplugin")]
    pub(super) sockets: Option<Sockets>,
    pub(super) lost: LostTrunk,
}

impl Launch {
    pub(super) async fn connect(
        self,
        process: Process,
        mut announced: Announced,
        run: Uuid,
        span: &Span,
    ) -> Result<PluginHandle, LaunchError> {
        let late = tokio::time::sleep(self.start_timeout);
        let Process { trunk, stdout, stderr, mut child } = process;
        let log = LogService::new(self.host.sink.clone(), &*self.name);
        let control = log.control();
        let output = OutputPump::start(stdout, stderr, announced.hooks(log.clone()), span);
        let builder = Broker::builder(Role::Host);
        let info = PluginInfo { name: self.name.clone(), run, broker: builder.weak() };
        let offers = self.offers(&info, log);
        let builder = self.builder(builder, run, offers.clone(), span);
        let weak = info.broker.clone();

        let pid = child.id();
        let met = async {
            let native = async {
                match trunk {
                    Some(trunk) => self.agree(dial(builder, trunk).await),
                    None => std::future::pending().await,
                }
            };
            tokio::pin!(native);
            let line = tokio::select! {
                biased;
                line = announced.line() => line,
                outcome = &mut native => match outcome {
                    // One that does not speak natively may have closed its standard input.
                    Outcome::Failed(_) if self.expects_another_dialect() => announced.line().await,
                    outcome => return outcome,
                },
            };
            self.meet(announced, line, pid, offers, &weak).await
        };
        let outcome = {
            tokio::pin!(met);
            tokio::select! {
                biased;
                outcome = &mut met => outcome,
                // Whoever else holds its end of the trunk, the plugin is gone.
                exit = child.wait() => {
                    // What it said before it died may still be on the way.
                    let rest = tokio::time::timeout(EXIT_REPORT, &mut met).await;
                    drop(rest);
                    Outcome::Exited(exit)
                }
                () = late => Outcome::TimedOut,
            }
        };
        match outcome {
            Outcome::Met(met) => {
                let running = Running {
                    broker: met.broker,
                    process: Tended::Child(child),
                    output: Some(output),
                    lost: met.lost,
                    policy: self.policy,
                    #[cfg(feature = "goplugin")]
                    sockets: met.sockets,
                };
                let program = self.launched();
                Ok(PluginHandle::new(info, program, met.terms, control, running, span))
            }
            outcome => Err(self.explain(outcome, child, output).await),
        }
    }

    /// What became of a plugin that does not serve. Nothing is left of it.
    async fn explain(self, outcome: Outcome, mut child: Child, output: OutputPump) -> LaunchError {
        let program = self.program();
        let exit = match outcome {
            Outcome::Exited(exit) => exit,
            Outcome::Failed(error) => return self.failed(error, child, output).await,
            Outcome::Refused(error) => {
                // If it has crashed, that is what is wrong with it.
                let patience = if error.may_be_a_crash() { EXIT_REPORT } else { Duration::ZERO };
                match tokio::time::timeout(patience, child.wait()).await {
                    Ok(exit) if error.may_be_a_crash() => exit,
                    _ => {
                        end(&mut child).await;
                        return error.with_tail(end_of(output).await);
                    }
                }
            }
            Outcome::TimedOut | Outcome::Met(_) => {
                let error = ConnectError::Timeout(self.start_timeout);
                return self.failed(error, child, output).await;
            }
        };
        let stderr_tail = end_of(output).await;
        LaunchError::ExitedBeforeHello { program, exit, stderr_tail }
    }

    /// What the plugin may reach.
    pub(super) fn offers(&self, info: &PluginInfo, log: LogService) -> Offers {
        let offers = self.host.offers_to(info).service(log);
        offers.granted(|name| self.grants.contains(name))
    }

    fn builder(&self, builder: Builder, run: Uuid, offers: Offers, span: &Span) -> Builder {
        let builder = builder
            .name(&self.host.name, &self.host.version)
            .run(run)
            .limits(self.limits.clone())
            .offers(offers)
            .hello_timeout(self.start_timeout)
            .span(span.clone());
        match self.keep_alive {
            Some((interval, patience)) => builder.keep_alive(interval, patience),
            None => builder,
        }
    }

    /// Finds out why there was no hello.
    async fn failed(
        self,
        error: ConnectError,
        mut child: Child,
        output: OutputPump,
    ) -> LaunchError {
        let program = self.program();
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

#[cfg(feature = "goplugin")]
impl Launch {
    fn expects_another_dialect(&self) -> bool {
        self.go_plugin.is_some()
    }

    /// Sees to it that both speak the same version, if the host names any.
    fn agree(&self, outcome: Outcome) -> Outcome {
        let Outcome::Met(mut met) = outcome else { return outcome };
        let Some(go_plugin) = &self.go_plugin else {
            met.terms.version = None;
            return Outcome::Met(met);
        };
        let ours = go_plugin.versions();
        match met.terms.version {
            Some(theirs) if !ours.contains(&theirs) => {
                let program = self.program();
                Outcome::Refused(LaunchError::ApplicationVersion { program, theirs, ours })
            }
            _ => Outcome::Met(met),
        }
    }

    /// Connects to a plugin that runs already.
    pub(super) async fn attach(
        self,
        plugin: &Reattach,
        run: Uuid,
        span: &Span,
    ) -> Result<PluginHandle, LaunchError> {
        let (pid, program) = (plugin.pid(), self.program());
        let attached = Attached::open(pid, plugin.is_test());
        let attached = attached.map_err(|source| LaunchError::NotRunning { pid, source })?;
        let log = LogService::new(self.host.sink.clone(), &*self.name);
        let control = log.control();
        let weak = WeakBroker::default();
        let info = PluginInfo { name: self.name.clone(), run, broker: weak.clone() };
        let (lost, last_words) = runner::last_words();
        let plan = self.plan(self.offers(&info, log), last_words, &weak);
        let connecting = crate::goplugin::host::reattach(plugin, plan);
        let connected = tokio::time::timeout(self.start_timeout, connecting).await;
        let stderr_tail = String::new();
        let connected = connected.map_err(|_| {
            let (program, stderr_tail) = (program.clone(), stderr_tail.clone());
            LaunchError::TimedOut { program, after: self.start_timeout, stderr_tail }
        })?;
        let connected =
            connected.map_err(|source| LaunchError::GoPlugin { program, source, stderr_tail })?;
        let terms = Terms::go_plugin(&connected);
        let running = Running {
            broker: connected.broker,
            process: Tended::Attached(attached),
            output: None,
            lost,
            policy: self.policy,
            sockets: Some(connected.sockets),
        };
        Ok(PluginHandle::new(info, None, terms, control, running, span))
    }

    fn plan(&self, offers: Offers, last_words: LastWords, weak: &WeakBroker) -> Plan {
        Plan {
            offers,
            limits: self.limits.clone(),
            keep_alive: self.keep_alive,
            last_words: Some(last_words),
            output: crate::host::go_plugin::relay(),
            weak: weak.clone(),
        }
    }

    /// Connects to a plugin that was built on go-plugin.
    async fn meet(
        &self,
        announced: Announced,
        line: Result<crate::goplugin::handshake::line::Line, LineError>,
        pid: u32,
        offers: Offers,
        weak: &WeakBroker,
    ) -> Outcome {
        let (lost, last_words) = runner::last_words();
        let plan = self.plan(offers, last_words, weak);
        let program = self.program();
        match announced.connect(line, pid, plan).await {
            Some(Ok(connected)) => Outcome::Met(Met {
                terms: Terms::go_plugin(&connected),
                broker: connected.broker,
                sockets: Some(connected.sockets),
                lost,
            }),
            Some(Err(GoPluginError::Line(LineError::Incompatible { theirs, ours }))) => {
                Outcome::Refused(LaunchError::ApplicationVersion { program, theirs, ours })
            }
            Some(Err(source)) => {
                let stderr_tail = String::new();
                Outcome::Refused(LaunchError::GoPlugin { program, source, stderr_tail })
            }
            None => Outcome::Refused(LaunchError::IsGoPlugin { program }),
        }
    }
}

#[cfg(not(feature = "goplugin"))]
impl Launch {
    fn expects_another_dialect(&self) -> bool {
        false
    }

    fn agree(&self, outcome: Outcome) -> Outcome {
        outcome
    }

    async fn meet(
        &self,
        _: Announced,
        line: crate::host::go_plugin::Line,
        _: u32,
        _: Offers,
        _: &WeakBroker,
    ) -> Outcome {
        match line {}
    }
}

/// Says hello on a trunk.
async fn dial(builder: Builder, trunk: tokio::net::UnixStream) -> Outcome {
    let (mut lost, last_words) = runner::last_words();
    let connecting = builder.last_words(last_words).dial(trunk);
    tokio::pin!(connecting);
    let connected = tokio::select! {
        biased;
        connected = &mut connecting => connected,
        // Lost before it was up: `failed` finds out why.
        () = lost.asked() => {
            lost.know_nothing();
            (&mut connecting).await
        }
    };
    match connected {
        Ok(broker) => {
            let terms = Terms::native(broker.peer().application_version);
            Outcome::Met(Met {
                broker,
                terms,
                #[cfg(feature = "goplugin")]
                sockets: None,
                lost,
            })
        }
        Err(error) => Outcome::Failed(error),
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
