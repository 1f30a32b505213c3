//! The life of a session: what runs on it, and how it comes to its end.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::broker::EndReason;
use crate::broker::dialects::Code;
use crate::broker::dialects::Phase;
use crate::broker::dialects::StreamError;
use crate::error::Error;

/// What all tasks of a session follow.
#[derive(Debug)]
pub(super) struct Life {
    phase: watch::Sender<Phase>,
    /// Whether the session's own connection is closed.
    cut: watch::Sender<bool>,
    state: Mutex<State>,
    /// What a trunk has its number for: a session has one of its own.
    id: u64,
    /// How many calls the peer may have open.
    most: u32,
}

/// Numbers of sessions, so that a call is known to have come on one.
static SESSIONS: AtomicU64 = AtomicU64::new(0);

#[derive(Debug, Default)]
struct State {
    end: Option<EndReason>,
    going_away: bool,
    /// Calls that run, of both sides, without those in the background.
    calls: usize,
    /// Calls that were begun, of both sides.
    begun: u64,
    /// Calls that are open, in the background or not.
    open: usize,
    /// Those of the peer.
    theirs: usize,
}

/// How a call stands to the end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is not begun any more once the session is going away.
    New,
    /// It is made on behalf of one that runs, and lasts no longer.
    Nested,
    /// It lasts as long as the session does.
    Background,
}

/// A call that runs. Dropping it says that it is over.
#[derive(Debug)]
pub(super) struct Running {
    life: Arc<Life>,
    background: bool,
    is_theirs: bool,
}

impl Life {
    /// A session on which the peer may have `most` calls open.
    pub(super) fn new(most: u32) -> Self {
        Self {
            phase: watch::Sender::new(Phase::Open),
            cut: watch::Sender::new(false),
            state: Mutex::default(),
            id: SESSIONS.fetch_add(1, Relaxed),
            most,
        }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Begins a call.
    pub(super) fn begin(self: &Arc<Self>, standing: Standing) -> Result<Running, Error> {
        let mut state = self.state.lock();
        if let Some(end) = &state.end {
            return Err(StreamError::Trunk(end.clone()).into());
        }
        if state.going_away && standing == Standing::New {
            return Err(StreamError::Local(Code::GoingAway).into());
        }
        let background = standing == Standing::Background;
        state.calls += usize::from(!background);
        state.open += 1;
        state.begun += 1;
        Ok(Running { life: self.clone(), background, is_theirs: false })
    }

    /// Begins a call of the peer. While the session is going away it is let through if
    /// others run, since it may be made on behalf of one of those.
    pub(super) fn begin_theirs(self: &Arc<Self>) -> Result<Running, Error> {
        let runs = {
            let mut state = self.state.lock();
            if state.theirs >= self.most as usize {
                return Err(StreamError::Local(Code::Limit).into());
            }
            state.theirs += 1;
            state.calls > 0
        };
        let begun = self.begin(if runs { Standing::Nested } else { Standing::New });
        match begun {
            Ok(mut running) => {
                running.is_theirs = true;
                Ok(running)
            }
            Err(error) => {
                self.state.lock().theirs -= 1;
                Err(error)
            }
        }
    }

    pub(super) fn go_away(&self) {
        let mut state = self.state.lock();
        if state.end.is_none() && !state.going_away {
            state.going_away = true;
            let drained = state.calls == 0;
            self.phase.send_replace(if drained { Phase::Drained } else { Phase::GoingAway });
        }
    }

    pub(super) fn is_going_away(&self) -> bool {
        self.state.lock().going_away
    }

    /// Ends the session, if it has not ended yet.
    pub(super) fn end(&self, reason: EndReason) {
        let mut state = self.state.lock();
        if state.end.is_none() {
            state.end = Some(reason);
            self.phase.send_replace(Phase::Ended);
        }
    }

    /// The session's own connection is closed, and with it whatever still runs on it.
    pub(super) fn cut_off(&self) {
        self.cut.send_replace(true);
    }

    /// Waits until the session's own connection is closed.
    pub(super) async fn cut(&self) {
        // The sender is in `self`.
        let _ = self.cut.subscribe().wait_for(|cut| *cut).await;
    }

    /// Nothing of the session is left.
    pub(super) fn close(&self) {
        self.end(EndReason::Closed);
        self.phase.send_replace(Phase::Closed);
    }

    pub(super) fn reason(&self) -> Option<EndReason> {
        self.state.lock().end.clone()
    }

    /// Waits until the session has ended.
    pub(super) async fn ended(&self) {
        let mut phase = self.phase.subscribe();
        // The sender is in `self`.
        let _ = phase.wait_for(|phase| matches!(phase, Phase::Ended | Phase::Closed)).await;
    }

    /// Calls that are open, and all that were ever begun.
    pub(super) fn counts(&self) -> (usize, u64) {
        let state = self.state.lock();
        (state.open, state.begun)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.life.state.lock();
        state.open -= 1;
        state.theirs -= usize::from(self.is_theirs);
        state.calls -= usize::from(!self.background);
        if state.going_away && state.calls == 0 && state.end.is_none() {
            self.life.phase.send_replace(Phase::Drained);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Reason;

    fn is_drained(life: &Life) -> bool {
        matches!(*life.phase().borrow(), Phase::Drained)
    }

    #[test]
    fn a_session_that_is_going_away_begins_nothing_new_and_is_drained_when_nothing_runs() {
        let life = Arc::new(Life::new(2));
        let outer = life.begin(Standing::New).expect("open");
        let log = life.begin(Standing::Background).expect("open");
        life.go_away();
        let refused = life.begin(Standing::New).expect_err("going away");
        assert_eq!(refused.reason(), Reason::GoingAway);
        let nested = life.begin(Standing::Nested).expect("for one that runs");
        drop(outer);
        assert!(!is_drained(&life));
        drop(nested);
        assert!(is_drained(&life), "what is in the background does not count");
        drop(log);
        assert_eq!(life.counts(), (0, 3));
    }

    #[test]
    fn the_first_reason_for_the_end_is_the_one_that_callers_are_told() {
        let life = Arc::new(Life::new(2));
        life.end(EndReason::PeerClosed);
        life.close();
        assert!(matches!(life.reason(), Some(EndReason::PeerClosed)));
        let refused = life.begin(Standing::Background).expect_err("ended");
        assert_eq!(refused.reason(), Reason::TrunkEnded);
    }

    #[test]
    fn one_call_of_the_peer_too_many_is_refused() {
        let life = Arc::new(Life::new(2));
        let first = life.begin_theirs().expect("open");
        let _second = life.begin_theirs().expect("open");
        assert_eq!(life.begin_theirs().expect_err("too many").reason(), Reason::Limit);
        assert!(life.begin(Standing::New).is_ok(), "ours are not counted");
        drop(first);
        assert!(life.begin_theirs().is_ok());
    }

    #[test]
    fn a_call_of_the_peer_is_let_through_while_others_run() {
        let life = Arc::new(Life::new(2));
        let running = life.begin(Standing::New).expect("open");
        life.go_away();
        assert!(life.begin_theirs().is_ok());
        drop(running);
        assert!(life.begin_theirs().is_err());
    }
}
