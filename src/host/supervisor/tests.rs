//! Every edge of the supervisor, with a virtual clock.

use std::collections::HashSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const POLICY: StopPolicy = StopPolicy {
    drain: Duration::from_secs(50),
    grace: Duration::from_secs(20),
    terminate: Duration::from_secs(10),
    exit_report: Duration::from_secs(5),
};
const EXIT: Exit = Exit { code: Some(3), signal: None, core_dumped: false };

#[expect(clippy::disallowed_methods, reason = "the base of a virtual clock")]
fn base() -> Instant {
    Instant::now()
}

/// A supervisor with a virtual clock.
struct Life {
    supervisor: Supervisor,
    now: Instant,
}

impl Life {
    fn new() -> Self {
        let now = base();
        Self { supervisor: Supervisor::new(POLICY), now }
    }

    /// A life that has come as far as `stage`, the shortest way.
    fn at(stage: Stage) -> Self {
        use Event::*;
        let mut life = Self::new();
        let events: &[Event] = match stage {
            Stage::Running => &[],
            Stage::Draining => &[StopRequested],
            Stage::Grace | Stage::Terminating => &[StopRequested, Drained],
            Stage::Killing => &[HandleDropped],
            Stage::Emptying => &[Exited(EXIT)],
            Stage::Ended => &[Exited(EXIT), TrunkEnded],
        };
        for event in events {
            drop(life.event(*event));
        }
        if stage == Stage::Terminating {
            drop(life.time_out());
        }
        assert_eq!(life.stage(), stage);
        life
    }

    fn event(&mut self, event: Event) -> Vec<Action> {
        self.supervisor.handle(self.now, event)
    }

    /// Lets the time pass until the supervisor has something to do; not at all
    /// if it never will.
    fn time_out(&mut self) -> Vec<Action> {
        self.now = self.supervisor.poll_timeout().unwrap_or(self.now);
        self.supervisor.handle_timeout(self.now)
    }

    fn wait(&mut self, duration: Duration) -> Vec<Action> {
        self.now += duration;
        self.supervisor.handle_timeout(self.now)
    }

    fn due_in(&self) -> Option<Duration> {
        self.supervisor.poll_timeout().map(|due| due - self.now)
    }

    fn stage(&self) -> Stage {
        match self.supervisor.state() {
            State::Running => Stage::Running,
            State::Draining { .. } => Stage::Draining,
            State::Grace { .. } => Stage::Grace,
            State::Terminating { .. } => Stage::Terminating,
            State::Killing { .. } => Stage::Killing,
            State::Emptying { .. } => Stage::Emptying,
            State::Ended { .. } => Stage::Ended,
        }
    }
}

/// A state without its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Running,
    Draining,
    Grace,
    Terminating,
    Killing,
    Emptying,
    Ended,
}

const STAGES: usize = 7;
const STIMULI: usize = 6;

/// An edge: in this stage, this event (or `None`, the passing of time) leads to
/// that stage, with these actions.
type Edge = (Stage, Option<Event>, Stage, Vec<Action>);

fn edges() -> Vec<Edge> {
    use Event::*;
    use Stage::*;
    let fail = |cause| Action::FailCalls { cause, exit: None };
    let fail_with_exit = |cause| Action::FailCalls { cause, exit: Some(EXIT) };
    let end = |cause| Action::ReportEnd { cause, exit: Some(EXIT) };
    let close = |cause| vec![fail(cause), Action::CloseTrunk];
    let kill = Action::Signal(StopSignal::Kill);
    let drop_all = vec![fail(EndCause::Killed), Action::CloseTrunk, kill];
    let last_words =
        vec![fail_with_exit(EndCause::Exited), Action::CloseTrunk, end(EndCause::Exited)];
    let exited = Exited(EXIT);
    vec![
        (Running, Some(StopRequested), Draining, vec![Action::SendGoAway]),
        (Running, Some(HandleDropped), Killing, drop_all),
        (Running, Some(TrunkEnded), Grace, vec![Action::CloseTrunk]),
        (Running, Some(Drained), Running, vec![]),
        (Running, Some(exited), Emptying, vec![]),
        (Running, None, Running, vec![]),
        (Draining, Some(StopRequested), Draining, vec![]),
        (
            Draining,
            Some(HandleDropped),
            Killing,
            vec![fail(EndCause::Stopped), Action::CloseTrunk, kill],
        ),
        (Draining, Some(TrunkEnded), Grace, vec![Action::CloseTrunk]),
        (Draining, Some(Drained), Grace, close(EndCause::Stopped)),
        (Draining, Some(exited), Emptying, vec![]),
        (Draining, None, Grace, close(EndCause::Stopped)),
        (Grace, Some(StopRequested), Grace, vec![]),
        (Grace, Some(HandleDropped), Killing, vec![Action::CloseTrunk, kill]),
        (Grace, Some(TrunkEnded), Grace, vec![]),
        (Grace, Some(Drained), Grace, vec![]),
        (Grace, Some(exited), Ended, vec![end(EndCause::Stopped)]),
        (Grace, None, Terminating, vec![Action::Signal(StopSignal::Terminate)]),
        (Terminating, Some(StopRequested), Terminating, vec![]),
        (Terminating, Some(HandleDropped), Killing, vec![Action::CloseTrunk, kill]),
        (Terminating, Some(TrunkEnded), Terminating, vec![]),
        (Terminating, Some(Drained), Terminating, vec![]),
        (Terminating, Some(exited), Ended, vec![end(EndCause::Stopped)]),
        (Terminating, None, Killing, vec![kill]),
        (Killing, Some(StopRequested), Killing, vec![]),
        (Killing, Some(HandleDropped), Killing, vec![]),
        (Killing, Some(TrunkEnded), Killing, vec![]),
        (Killing, Some(Drained), Killing, vec![]),
        (Killing, Some(exited), Ended, vec![end(EndCause::Killed)]),
        (Killing, None, Ended, vec![Action::ReportEnd { cause: EndCause::Killed, exit: None }]),
        (Emptying, Some(StopRequested), Emptying, vec![]),
        (Emptying, Some(HandleDropped), Ended, last_words.clone()),
        (Emptying, Some(TrunkEnded), Ended, last_words.clone()),
        (Emptying, Some(Drained), Emptying, vec![]),
        (Emptying, Some(exited), Emptying, vec![]),
        (Emptying, None, Ended, last_words),
        (Ended, Some(StopRequested), Ended, vec![]),
        (Ended, Some(HandleDropped), Ended, vec![]),
        (Ended, Some(TrunkEnded), Ended, vec![]),
        (Ended, Some(Drained), Ended, vec![]),
        (Ended, Some(exited), Ended, vec![]),
        (Ended, None, Ended, vec![]),
    ]
}

#[test]
fn every_event_in_every_state_does_what_the_table_says() {
    let edges = edges();
    let pairs: HashSet<_> = edges.iter().map(|edge| format!("{:?} {:?}", edge.0, edge.1)).collect();
    assert_eq!(pairs.len(), STAGES * STIMULI, "the table has a gap");
    for (from, stimulus, to, actions) in edges {
        let mut life = Life::at(from);
        let done = match stimulus {
            Some(event) => life.event(event),
            None => life.time_out(),
        };
        assert_eq!((life.stage(), done), (to, actions), "{from:?}, {stimulus:?}");
    }
}

#[test]
fn every_state_lasts_as_long_as_the_policy_says() {
    assert_eq!(Life::at(Stage::Running).due_in(), None);
    assert_eq!(Life::at(Stage::Draining).due_in(), Some(POLICY.drain));
    assert_eq!(Life::at(Stage::Grace).due_in(), Some(POLICY.grace));
    assert_eq!(Life::at(Stage::Terminating).due_in(), Some(POLICY.terminate));
    assert_eq!(Life::at(Stage::Killing).due_in(), Some(UNKILLABLE_AFTER));
    assert_eq!(Life::at(Stage::Emptying).due_in(), Some(POLICY.exit_report));
    assert_eq!(Life::at(Stage::Ended).due_in(), None);
}

#[test]
fn a_timer_that_fires_early_changes_nothing() {
    for stage in [Stage::Draining, Stage::Grace, Stage::Killing] {
        let mut life = Life::at(stage);
        let almost = life.due_in().unwrap() - Duration::from_nanos(1);
        assert_eq!((life.wait(almost), life.stage()), (vec![], stage));
    }
}

#[test]
fn a_plugin_that_closes_its_trunk_and_stays_is_taken_down_by_the_ladder() {
    let mut life = Life::at(Stage::Running);
    assert_eq!(life.event(Event::TrunkEnded), [Action::CloseTrunk]);
    let cause = EndCause::TrunkEnded;
    assert_eq!(life.wait(POLICY.exit_report), [Action::FailCalls { cause, exit: None }]);
    let rest_of_grace = POLICY.grace - POLICY.exit_report;
    assert_eq!(life.wait(rest_of_grace), [Action::Signal(StopSignal::Terminate)]);
    assert_eq!(life.wait(POLICY.terminate), [Action::Signal(StopSignal::Kill)]);
    let exit = Some(EXIT);
    assert_eq!(life.event(Event::Exited(EXIT)), [Action::ReportEnd { cause, exit }]);
}

#[test]
fn calls_fail_with_the_exit_if_it_is_known_soon_after_the_end_of_the_trunk() {
    let mut life = Life::at(Stage::Running);
    drop(life.event(Event::TrunkEnded));
    assert_eq!(life.wait(POLICY.exit_report - Duration::from_millis(1)), []);
    let (cause, exit) = (EndCause::TrunkEnded, Some(EXIT));
    let expected = [Action::FailCalls { cause, exit }, Action::ReportEnd { cause, exit }];
    assert_eq!(life.event(Event::Exited(EXIT)), expected);
}

#[test]
fn a_handle_dropped_while_the_exit_is_awaited_fails_the_calls_at_once() {
    let mut life = Life::at(Stage::Running);
    drop(life.event(Event::TrunkEnded));
    let cause = EndCause::TrunkEnded;
    let expected = [
        Action::FailCalls { cause, exit: None },
        Action::CloseTrunk,
        Action::Signal(StopSignal::Kill),
    ];
    assert_eq!(life.event(Event::HandleDropped), expected);
    assert_eq!(life.due_in(), Some(UNKILLABLE_AFTER));
}

#[test]
fn the_exit_may_be_awaited_longer_than_the_grace() {
    let policy = StopPolicy { exit_report: POLICY.grace * 2, ..POLICY };
    let mut life = Life::new();
    life.supervisor = Supervisor::new(policy);
    drop(life.event(Event::TrunkEnded));
    assert_eq!(life.time_out(), [Action::Signal(StopSignal::Terminate)]);
    let (cause, exit) = (EndCause::TrunkEnded, Some(EXIT));
    let expected = [Action::FailCalls { cause, exit }, Action::ReportEnd { cause, exit }];
    assert_eq!(life.event(Event::Exited(EXIT)), expected);
}

#[test]
fn a_timer_that_fires_late_gives_the_next_step_its_full_time() {
    let mut life = Life::at(Stage::Grace);
    let late = POLICY.grace + POLICY.terminate * 10;
    assert_eq!(life.wait(late), [Action::Signal(StopSignal::Terminate)]);
    assert_eq!(life.due_in(), Some(POLICY.terminate));
}

#[test]
fn a_duration_beyond_the_clock_is_without_end() {
    let policy = StopPolicy { drain: Duration::MAX, ..POLICY };
    let mut life = Life::new();
    life.supervisor = Supervisor::new(policy);
    assert_eq!(life.due_in(), None);
    drop(life.event(Event::StopRequested));
    assert_eq!((life.stage(), life.due_in()), (Stage::Draining, None));
}

#[test]
fn the_defaults_are_as_documented() {
    let policy = StopPolicy::default();
    assert_eq!(policy.drain, Duration::from_secs(5));
    assert_eq!(policy.grace, Duration::from_secs(2));
    assert_eq!(policy.terminate, Duration::from_secs(2));
    assert_eq!(policy.exit_report, Duration::from_millis(500));
}

fn stimulus() -> impl Strategy<Value = Option<Event>> {
    prop_oneof![
        Just(Some(Event::StopRequested)),
        Just(Some(Event::HandleDropped)),
        Just(Some(Event::TrunkEnded)),
        Just(Some(Event::Drained)),
        Just(Some(Event::Exited(EXIT))),
        Just(None),
    ]
}

proptest! {
    /// Whatever happens in whatever order.
    #[test]
    fn calls_fail_once_and_the_end_is_last_and_no_signal_follows_the_exit(
        stimuli in vec(stimulus(), 0..12),
    ) {
        let mut life = Life::new();
        let mut done = Vec::new();
        let mut exited = false;
        let to_the_end = [Some(Event::StopRequested)].into_iter().chain([None; 8]);
        for stimulus in stimuli.into_iter().chain(to_the_end) {
            let actions = match stimulus {
                Some(event) => life.event(event),
                None => life.time_out(),
            };
            exited |= matches!(stimulus, Some(Event::Exited(_)));
            let signals = actions.iter().any(|action| matches!(action, Action::Signal(_)));
            prop_assert!(!(exited && signals));
            done.extend(actions);
        }
        prop_assert_eq!(life.stage(), Stage::Ended, "the ladder always leads to the end");
        let count = |wanted: fn(&Action) -> bool| done.iter().filter(|&action| wanted(action)).count();
        prop_assert_eq!(count(|action| matches!(action, Action::FailCalls { .. })), 1);
        prop_assert_eq!(count(|action| matches!(action, Action::ReportEnd { .. })), 1);
        let last_is_the_end = matches!(done.last(), Some(Action::ReportEnd { .. }));
        prop_assert!(last_is_the_end);
        prop_assert!(count(|action| *action == Action::CloseTrunk) >= 1);
        prop_assert!(count(|action| *action == Action::Signal(StopSignal::Kill)) <= 1);
    }
}
