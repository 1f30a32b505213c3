//! Decides how a plugin's life goes and how it is ended: no clock, no I/O.

use std::time::Duration;
use std::time::Instant;

use crate::host::exit::Exit;

/// How long the kernel may take to end a process that was killed, before the
/// supervisor stops waiting. A process can outlast it only if it is stuck in
/// the kernel, as on a network file system that does not answer.
pub(crate) const UNKILLABLE_AFTER: Duration = Duration::from_secs(10);

/// How patiently a plugin is stopped. Each step begins only if the one before
/// has not ended the plugin; a step of zero length is over at once.
///
/// A duration that the clock cannot express (`Duration::MAX`) is without end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopPolicy {
    /// How long running calls may go on after the plugin was told that no more
    /// will come. Default: 5 seconds.
    pub drain: Duration,
    /// How long the plugin may take to exit by itself after the trunk has
    /// ended. Default: 2 seconds.
    pub grace: Duration,
    /// How long the plugin may take to exit after SIGTERM, before SIGKILL.
    /// Default: 2 seconds.
    pub terminate: Duration,
    /// When a plugin dies, its trunk and its process end one shortly after the
    /// other: how long the first waits for the second, so that the errors of
    /// failed calls can say how the process ended and so that its last answers
    /// are still read. Default: 500 milliseconds.
    pub exit_report: Duration,
}

impl Default for StopPolicy {
    fn default() -> Self {
        Self {
            drain: Duration::from_secs(5),
            grace: Duration::from_secs(2),
            terminate: Duration::from_secs(2),
            exit_report: Duration::from_millis(500),
        }
    }
}

/// What happens to a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The host wants the plugin stopped in order.
    StopRequested,
    /// The host has dropped the plugin's handle: nobody waits for anything.
    HandleDropped,
    /// The trunk has ended: closed by the plugin, broken, or unusable.
    TrunkEnded,
    /// No call is running any more. Meant only after [`Action::SendGoAway`].
    Drained,
    /// The process has ended.
    Exited(Exit),
}

/// What to do, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Tell the plugin that no more calls will come; report
    /// [`Event::Drained`] when those that run have ended.
    SendGoAway,
    /// Fail every waiting call, because of `cause` and, if it is known by now,
    /// with the process's exit. Comes exactly once in a life.
    FailCalls { cause: EndCause, exit: Option<Exit> },
    /// Close the host's end of the trunk, if it is open.
    CloseTrunk,
    /// Send a signal to the plugin's process group.
    Signal(StopSignal),
    /// The life is over; tell everybody who waits for it. Comes exactly once,
    /// as the last action. Without an exit, the kernel has not given up the
    /// killed process, and the host waits no longer.
    ReportEnd { cause: EndCause, exit: Option<Exit> },
}

/// The signals of the stop ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopSignal {
    /// SIGTERM
    Terminate,
    /// SIGKILL
    Kill,
}

/// Why a plugin's life has come to its end: the first cause counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndCause {
    /// The host has asked for it.
    Stopped,
    /// The host has killed it, by `kill` or by dropping the handle.
    Killed,
    /// The trunk ended first.
    TrunkEnded,
    /// The process ended first.
    Exited,
}

/// Where a plugin's life stands. `until` is when the state ends by itself;
/// `None` is never.
///
/// ```text
///            StopRequested           Drained, time:
///            send go-away            close the trunk
///  Running ───────────────► Draining ───────────────┐
///     │                        │                    │
///     │ TrunkEnded             │ TrunkEnded         │
///     └────────────────────────┴──────────────► Grace
///       close the trunk                             │ time: SIGTERM
///                                             Terminating
///                                                   │ time: SIGKILL
///  HandleDropped: SIGKILL, from each state above ► Killing
///                                                   │ time
///  Exited, from Grace, Terminating and Killing ─► Ended
///                                                   │
///  Exited, from Running and Draining ► Emptying ────┘
///                                        TrunkEnded, HandleDropped, time
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The process runs and serves.
    Running,
    /// No new calls; those that run may finish.
    Draining { until: Option<Instant> },
    /// The trunk has ended; the process may exit by itself.
    Grace { until: Option<Instant> },
    /// SIGTERM was sent.
    Terminating { until: Option<Instant> },
    /// SIGKILL was sent.
    Killing { until: Option<Instant> },
    /// The process has exited first; what it wrote last is still being read
    /// from the trunk.
    Emptying { exit: Exit, until: Option<Instant> },
    /// Nothing is left. Without an exit, the kernel has kept the process.
    Ended { exit: Option<Exit> },
}

/// Whether the waiting calls were told that the plugin is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallsFailed {
    /// Not yet, and there is no reason to.
    No,
    /// The trunk has ended; until then, how the process ends may become known.
    At(Option<Instant>),
    /// Yes.
    Yes,
}

/// The life of one plugin process. Events and the time go in, actions come out.
#[derive(Debug)]
pub(crate) struct Supervisor {
    policy: StopPolicy,
    state: State,
    cause: Option<EndCause>,
    calls_failed: CallsFailed,
    actions: Vec<Action>,
}

impl Supervisor {
    /// A plugin that has just said hello.
    pub(crate) fn new(policy: StopPolicy) -> Self {
        Self {
            policy,
            state: State::Running,
            cause: None,
            calls_failed: CallsFailed::No,
            actions: Vec::new(),
        }
    }

    #[cfg(test)]
    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// When [`handle_timeout`](Self::handle_timeout) has to be called next.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let of_state = self.state.until();
        let of_calls = match self.calls_failed {
            CallsFailed::At(due) => due,
            CallsFailed::No | CallsFailed::Yes => None,
        };
        of_state.into_iter().chain(of_calls).min()
    }

    /// Takes an event and says what to do. An event that means nothing in the
    /// present state changes nothing.
    #[must_use]
    pub(crate) fn handle(&mut self, now: Instant, event: Event) -> Vec<Action> {
        match event {
            Event::StopRequested => self.on_stop(now),
            Event::HandleDropped => self.on_handle_dropped(now),
            Event::TrunkEnded => self.on_trunk_ended(now),
            Event::Drained => self.on_drained(now),
            Event::Exited(exit) => self.on_exited(now, exit),
        }
        std::mem::take(&mut self.actions)
    }

    /// Takes note of the time and says what to do. Called early or too often it
    /// does no harm.
    #[must_use]
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Vec<Action> {
        if let CallsFailed::At(Some(due)) = self.calls_failed
            && due <= now
        {
            self.fail_calls(None);
        }
        if self.state.until().is_some_and(|until| until <= now) {
            self.on_state_timeout(now);
        }
        std::mem::take(&mut self.actions)
    }

    fn on_stop(&mut self, now: Instant) {
        match self.state {
            State::Running => {
                self.because(EndCause::Stopped);
                self.actions.push(Action::SendGoAway);
                self.state = State::Draining { until: now.checked_add(self.policy.drain) };
            }
            State::Draining { .. }
            | State::Grace { .. }
            | State::Terminating { .. }
            | State::Killing { .. }
            | State::Emptying { .. }
            | State::Ended { .. } => {}
        }
    }

    fn on_handle_dropped(&mut self, now: Instant) {
        match self.state {
            State::Running
            | State::Draining { .. }
            | State::Grace { .. }
            | State::Terminating { .. } => {
                self.because(EndCause::Killed);
                self.fail_calls(None);
                self.actions.push(Action::CloseTrunk);
                self.kill(now);
            }
            // The process is gone: its id may be a stranger's by now.
            State::Emptying { exit, .. } => self.end(Some(exit)),
            State::Killing { .. } | State::Ended { .. } => {}
        }
    }

    fn on_trunk_ended(&mut self, now: Instant) {
        match self.state {
            State::Running | State::Draining { .. } => {
                self.because(EndCause::TrunkEnded);
                self.calls_failed = CallsFailed::At(now.checked_add(self.policy.exit_report));
                self.actions.push(Action::CloseTrunk);
                self.state = State::Grace { until: now.checked_add(self.policy.grace) };
            }
            State::Emptying { exit, .. } => self.end(Some(exit)),
            // The echo of the host's own closing.
            State::Grace { .. }
            | State::Terminating { .. }
            | State::Killing { .. }
            | State::Ended { .. } => {}
        }
    }

    fn on_drained(&mut self, now: Instant) {
        match self.state {
            State::Draining { .. } => self.close(now, EndCause::Stopped),
            State::Running
            | State::Grace { .. }
            | State::Terminating { .. }
            | State::Killing { .. }
            | State::Emptying { .. }
            | State::Ended { .. } => {}
        }
    }

    fn on_exited(&mut self, now: Instant, exit: Exit) {
        match self.state {
            State::Running | State::Draining { .. } => {
                self.because(EndCause::Exited);
                let until = now.checked_add(self.policy.exit_report);
                self.state = State::Emptying { exit, until };
            }
            State::Grace { .. } | State::Terminating { .. } | State::Killing { .. } => {
                self.end(Some(exit));
            }
            State::Emptying { .. } | State::Ended { .. } => {}
        }
    }

    fn on_state_timeout(&mut self, now: Instant) {
        match self.state {
            State::Draining { .. } => self.close(now, EndCause::Stopped),
            State::Grace { .. } => {
                self.actions.push(Action::Signal(StopSignal::Terminate));
                self.state = State::Terminating { until: now.checked_add(self.policy.terminate) };
            }
            State::Terminating { .. } => self.kill(now),
            State::Killing { .. } => self.end(None),
            State::Emptying { exit, .. } => self.end(Some(exit)),
            State::Running | State::Ended { .. } => {}
        }
    }

    /// The host closes the trunk: the plugin sees its end and may exit.
    fn close(&mut self, now: Instant, cause: EndCause) {
        self.because(cause);
        self.fail_calls(None);
        self.actions.push(Action::CloseTrunk);
        self.state = State::Grace { until: now.checked_add(self.policy.grace) };
    }

    fn kill(&mut self, now: Instant) {
        self.actions.push(Action::Signal(StopSignal::Kill));
        self.state = State::Killing { until: now.checked_add(UNKILLABLE_AFTER) };
    }

    fn end(&mut self, exit: Option<Exit>) {
        let trunk_is_open = matches!(self.state, State::Emptying { .. });
        self.fail_calls(exit);
        if trunk_is_open {
            self.actions.push(Action::CloseTrunk);
        }
        let cause = self.cause();
        self.actions.push(Action::ReportEnd { cause, exit });
        self.state = State::Ended { exit };
    }

    fn fail_calls(&mut self, exit: Option<Exit>) {
        match self.calls_failed {
            CallsFailed::No | CallsFailed::At(_) => {
                let cause = self.cause();
                self.actions.push(Action::FailCalls { cause, exit });
                self.calls_failed = CallsFailed::Yes;
            }
            CallsFailed::Yes => {}
        }
    }

    fn because(&mut self, cause: EndCause) {
        self.cause.get_or_insert(cause);
    }

    /// Every way to the end names its cause first.
    fn cause(&self) -> EndCause {
        self.cause.unwrap_or(EndCause::Exited)
    }
}

impl State {
    fn until(self) -> Option<Instant> {
        match self {
            Self::Draining { until }
            | Self::Grace { until }
            | Self::Terminating { until }
            | Self::Killing { until }
            | Self::Emptying { until, .. } => until,
            Self::Running | Self::Ended { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
