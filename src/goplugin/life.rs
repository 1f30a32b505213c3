//! The life of a session: what runs on it, and how it comes to its end.

use std::sync::Arc;

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
    state: Mutex<State>,
}

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
}

impl Life {
    pub(super) fn new() -> Self {
        Self { phase: watch::Sender::new(Phase::Open), state: Mutex::default() }
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
        Ok(Running { life: self.clone(), background })
    }

    /// Begins a call of the peer. While the session is going away it is let through if
    /// others run, since it may be made on behalf of one of those.
    pub(super) fn begin_theirs(self: &Arc<Self>) -> Result<Running, Error> {
        let runs = self.state.lock().calls > 0;
        self.begin(if runs { Standing::Nested } else { Standing::New })
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
        let life = Arc::new(Life::new());
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
        let life = Arc::new(Life::new());
        life.end(EndReason::PeerClosed);
        life.close();
        assert!(matches!(life.reason(), Some(EndReason::PeerClosed)));
        let refused = life.begin(Standing::Background).expect_err("ended");
        assert_eq!(refused.reason(), Reason::TrunkEnded);
    }

    #[test]
    fn a_call_of_the_peer_is_let_through_while_others_run() {
        let life = Arc::new(Life::new());
        let running = life.begin(Standing::New).expect("open");
        life.go_away();
        assert!(life.begin_theirs().is_ok());
        drop(running);
        assert!(life.begin_theirs().is_err());
    }
}
