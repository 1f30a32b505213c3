//! The attempts at one call: how long each may take, and whether there is another.

use std::time::Duration;

use tokio::time::Instant;

use crate::docker::client::retry::RetryPolicy;
use crate::docker::client::transport::TransportError;
use crate::docker::clock;
use crate::docker::error::CallError;

/// Why one attempt failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// There is no answer.
    Transport(TransportError),
    /// There is none in time.
    TimedOut(Duration),
    /// It would fail again.
    Final(CallError),
}

/// The attempts at one call, from the first on.
#[derive(Debug)]
pub(super) struct Attempts<'a> {
    method: &'a str,
    policy: &'a RetryPolicy,
    began: Instant,
    /// When all of them must be over. `None` for a time too far away to be reached.
    deadline: Option<Instant>,
    made: u32,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(
        method: &'a str,
        policy: &'a RetryPolicy,
        deadline: Option<Duration>,
    ) -> Self {
        let began = clock::now();
        let deadline = deadline.and_then(|after| began.checked_add(after));
        Self { method, policy, began, deadline, made: 0 }
    }

    /// Runs an attempt for as long as all of them may take.
    pub(super) async fn attempt<T>(
        &mut self,
        attempt: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        self.made += 1;
        let began = clock::now();
        let Some(deadline) = self.deadline else { return attempt.await };
        let in_time = tokio::time::timeout_at(deadline, attempt).await;
        in_time.unwrap_or_else(|_| Err(Failure::TimedOut(clock::now() - began)))
    }

    /// Waits for the time of the next attempt, or says why there is none. Dropping the
    /// future gives the call up.
    pub(super) async fn next(&mut self, failure: Failure) -> Result<(), CallError> {
        let may_have_arrived = match &failure {
            Failure::Transport(error) => error.may_have_arrived(),
            Failure::TimedOut(_) => true,
            Failure::Final(_) => return Err(self.error(failure)),
        };
        let elapsed = clock::now() - self.began;
        let retries = self.made.saturating_sub(1);
        let delay = self.policy.next(retries, elapsed, may_have_arrived, fastrand::f64());
        let Some(delay) = delay.filter(|delay| self.is_in_time(*delay)) else {
            return Err(self.error(failure));
        };
        if let Failure::Transport(error) = &failure {
            tracing::warn!(method = self.method, %error, ?delay, "a plugin does not answer");
        }
        tokio::time::sleep(delay).await;
        Ok(())
    }

    /// Whether an attempt after this delay begins before all must be over.
    fn is_in_time(&self, delay: Duration) -> bool {
        self.deadline.is_none_or(|deadline| delay < deadline.duration_since(clock::now()))
    }

    /// What the caller is told if there is no other attempt.
    pub(super) fn error(&self, failure: Failure) -> CallError {
        let (method, attempts) = (self.method.to_owned(), self.made);
        match failure {
            Failure::Transport(source) if source.may_have_arrived() => {
                CallError::Lost { method, attempts, source }
            }
            Failure::Transport(source) => CallError::Unreachable { method, attempts, source },
            Failure::TimedOut(after) => CallError::Timeout { method, after, attempts },
            Failure::Final(error) => error,
        }
    }
}
