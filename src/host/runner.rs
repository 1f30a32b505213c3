//! The task that carries out what a plugin's supervisor decides.

use std::sync::Arc;

use rustix::process::Signal;
use tokio::sync::oneshot;
use tokio::sync::watch;

use crate::broker::Broker;
use crate::broker::LastWords;
use crate::broker::now;
#[cfg(feature = "goplugin")]
use crate::goplugin::host::Sockets;
#[cfg(feature = "goplugin")]
use crate::host::attached::Attached;
use crate::host::exit::Exit;
use crate::host::exit::ProcessEnded;
use crate::host::handle::PluginEnd;
use crate::host::output::OutputPump;
use crate::host::process::Child;
use crate::host::supervisor::Action;
use crate::host::supervisor::EndCause;
use crate::host::supervisor::Event;
use crate::host::supervisor::StopPolicy;
use crate::host::supervisor::StopSignal;
use crate::host::supervisor::Supervisor;

/// Everything that belongs to a plugin that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) broker: Broker,
    pub(super) process: Tended,
    /// `None` if its output goes elsewhere.
    pub(super) output: Option<OutputPump>,
    pub(super) lost: LostTrunk,
    pub(super) policy: StopPolicy,
    /// What is removed when nothing of the plugin is left.
    #[cfg(feature = "goplugin")]
    pub(super) sockets: Option<Sockets>,
}

/// A plugin's process.
#[derive(Debug)]
pub(super) enum Tended {
    Child(Child),
    /// Not started by this host.
    #[cfg(feature = "goplugin")]
    Attached(Attached),
}

impl Tended {
    pub(super) fn id(&self) -> u32 {
        match self {
            Self::Child(child) => child.id(),
            #[cfg(feature = "goplugin")]
            Self::Attached(attached) => attached.id(),
        }
    }

    async fn wait(&mut self) -> Exit {
        match self {
            Self::Child(child) => child.wait().await,
            #[cfg(feature = "goplugin")]
            Self::Attached(attached) => attached.wait().await,
        }
    }

    fn signal(&self, signal: Signal) -> std::io::Result<()> {
        match self {
            Self::Child(child) => child.signal(signal),
            #[cfg(feature = "goplugin")]
            Self::Attached(attached) => attached.signal(signal),
        }
    }

    /// The connection to it is closed.
    fn let_go(&self) {
        #[cfg(feature = "goplugin")]
        if let Self::Attached(attached) = self {
            attached.let_go();
        }
    }
}

/// How the driver of a trunk asks why its connection was lost, and is answered.
#[derive(Debug)]
pub(super) struct LostTrunk {
    /// `None` when it has been heard.
    asked: Option<oneshot::Receiver<()>>,
    answer: Option<oneshot::Sender<Arc<ProcessEnded>>>,
    /// The driver has asked, and not been answered.
    waits: bool,
}

impl LostTrunk {
    /// Ready, once, when the connection is lost, or it is clear that it ends otherwise.
    pub(super) async fn asked(&mut self) {
        match &mut self.asked {
            Some(asked) => self.waits = asked.await.is_ok(),
            None => std::future::pending().await,
        }
        self.asked = None;
    }

    /// Lets the driver end the trunk without knowing more.
    pub(super) fn know_nothing(&mut self) {
        self.waits = false;
        self.answer = None;
    }

    fn tell(&mut self, ended: &Arc<ProcessEnded>) {
        self.waits = false;
        if let Some(answer) = self.answer.take() {
            // The driver may have ended without asking.
            let _ = answer.send(ended.clone());
        }
    }
}

/// Connects the end of a trunk's connection with what is known of its process.
pub(super) fn last_words() -> (LostTrunk, LastWords) {
    let (ask, asked) = oneshot::channel();
    let (answer, answered) = oneshot::channel();
    let last_words = Box::pin(async move {
        // Nobody listens if the plugin did not come as far as to run.
        let _ = ask.send(());
        answered.await.ok().map(|ended| ended as _)
    });
    let lost = LostTrunk { asked: Some(asked), answer: Some(answer), waits: false };
    (lost, last_words)
}

/// What the handle of a plugin asks for, in the order of its impatience. A closed
/// channel is a dropped handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Request {
    Run,
    Stop,
    Kill,
}

/// Runs until nothing of the plugin is left, and reports its end.
pub(super) async fn run(
    running: Running,
    mut requests: watch::Receiver<Request>,
    ended: watch::Sender<Option<PluginEnd>>,
) {
    let Running { broker, mut process, output, mut lost, policy, .. } = running;
    let mut supervisor = Supervisor::new(policy);
    let mut heard = Heard::default();
    let mut actions = Vec::new();
    let end = loop {
        if let Some(end) = act(actions, &broker, &process, &mut lost) {
            break end;
        }
        let timeout = supervisor.poll_timeout();
        let timer = async {
            match timeout {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let event = tokio::select! {
            biased;
            exit = process.wait(), if !heard.exit => {
                heard.exit = true;
                Some(Event::Exited(exit))
            }
            () = lost.asked(), if !heard.trunk_end => {
                heard.trunk_end = true;
                Some(Event::TrunkEnded)
            }
            _ = broker.closed(), if !heard.trunk_end => {
                heard.trunk_end = true;
                Some(Event::TrunkEnded)
            }
            asked = requests.changed(), if !heard.dropped => {
                heard.dropped = asked.is_err();
                match *requests.borrow_and_update() {
                    _ if heard.dropped => Some(Event::HandleDropped),
                    Request::Run => None,
                    Request::Stop => Some(Event::StopRequested),
                    Request::Kill => Some(Event::HandleDropped),
                }
            }
            () = broker.drained(), if !heard.drained && heard.going_away => {
                heard.drained = true;
                Some(Event::Drained)
            }
            () = timer => None,
        };
        actions = match event {
            Some(event) => supervisor.handle(now(), event),
            None => supervisor.handle_timeout(now()),
        };
        heard.going_away |= actions.contains(&Action::SendGoAway);
    };
    // Whoever still asks how the plugin ended must not wait for an answer.
    lost.know_nothing();
    broker.close();
    broker.gone().await;
    drop(process);
    if let Some(output) = output {
        output.stop().await;
    }
    #[cfg(feature = "goplugin")]
    drop(running.sockets);
    match end.exit {
        Some(exit) => tracing::info!(%exit, cause = ?end.cause, "the plugin has ended"),
        None => tracing::error!(cause = ?end.cause, "the plugin was killed, and has not ended"),
    }
    ended.send_replace(Some(end));
}

/// What has been heard and would be heard again.
#[derive(Debug, Default)]
struct Heard {
    exit: bool,
    trunk_end: bool,
    dropped: bool,
    drained: bool,
    going_away: bool,
}

/// Does what the supervisor has decided. Returns the end when it has come.
fn act(
    actions: Vec<Action>,
    broker: &Broker,
    process: &Tended,
    lost: &mut LostTrunk,
) -> Option<PluginEnd> {
    for action in actions {
        match action {
            Action::SendGoAway => broker.go_away(),
            Action::FailCalls { cause, exit } => fail_calls(cause, exit, broker, lost),
            // Its end is known, and the calls are about to be told of it: closing
            // it now would tell them that the host has closed it.
            Action::CloseTrunk if lost.waits => process.let_go(),
            Action::CloseTrunk => {
                broker.close();
                process.let_go();
            }
            Action::Signal(signal) => send(process, signal),
            Action::ReportEnd { cause, exit } => return Some(PluginEnd { cause, exit }),
        }
    }
    None
}

fn fail_calls(cause: EndCause, exit: Option<Exit>, broker: &Broker, lost: &mut LostTrunk) {
    let by_host = matches!(cause, EndCause::Stopped | EndCause::Killed);
    if by_host && exit.is_none() && !lost.waits {
        broker.close();
    } else {
        // Also while it was being stopped: it has not waited for the host to do it.
        let ended = Arc::new(ProcessEnded { exit });
        lost.tell(&ended);
        broker.lost(ended);
    }
}

fn send(process: &Tended, signal: StopSignal) {
    let signal = match signal {
        StopSignal::Terminate => Signal::TERM,
        StopSignal::Kill => Signal::KILL,
    };
    tracing::debug!(?signal, "signalling the plugin");
    if let Err(error) = process.signal(signal) {
        tracing::error!(%error, ?signal, "the plugin cannot be signalled");
    }
}
