//! When a request is made again: decided here, done elsewhere.

use std::time::Duration;

/// When a request that had no answer is made again.
///
/// Only what has no answer is: any status of HTTP, also 500, is the plugin's answer. The
/// defaults are Docker's, which gives a plugin that is being started about 15 seconds to
/// come up: five attempts, after 0, 1, 3, 7 and 15 seconds, if each fails at once.
///
/// | | default | why |
/// |---|---|---|
/// | first delay | 1 s | doubles with each attempt |
/// | longest delay | 30 s | |
/// | give up after | 30 s | no attempt begins later than this after the first |
/// | jitter | a quarter | callers that failed together do not come again together |
/// | resend | no | see [`resend`](Self::resend) |
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    first: Duration,
    longest: Duration,
    give_up: Duration,
    jitter: f64,
    resend: bool,
    retries: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(30),
            give_up: Duration::from_secs(30),
            jitter: 0.25,
            resend: false,
            retries: u32::MAX,
        }
    }
}

impl RetryPolicy {
    /// No request is made twice.
    #[must_use]
    pub fn never() -> Self {
        Self { retries: 0, ..Self::default() }
    }

    /// The delay before the second attempt. It doubles with each further one.
    #[must_use]
    pub fn first_delay(mut self, delay: Duration) -> Self {
        self.first = delay;
        self
    }

    /// What a delay grows to at most, before jitter.
    #[must_use]
    pub fn longest_delay(mut self, delay: Duration) -> Self {
        self.longest = delay;
        self
    }

    /// How long after the first attempt the last may begin.
    #[must_use]
    pub fn give_up_after(mut self, time: Duration) -> Self {
        self.give_up = time;
        self
    }

    /// By which fraction of itself a delay may be longer, at random: 0 for none, at most 1.
    /// Delays are never shorter than without, so that there are no more attempts.
    #[must_use]
    pub fn jitter(mut self, fraction: f64) -> Self {
        self.jitter = if fraction.is_nan() { 0.0 } else { fraction.clamp(0.0, 1.0) };
        self
    }

    /// Whether a request is made again that the plugin may have got: the connection was
    /// lost, or there was no answer in time.
    ///
    /// Docker's own client does so with all methods. Here it is off by default: what does
    /// not do the same when it is done twice would be done twice. That a plugin was
    /// restarted is no such case: a connection that ended before the request was sent is
    /// replaced, whatever is said here.
    #[must_use]
    pub fn resend(mut self, resend: bool) -> Self {
        self.resend = resend;
        self
    }

    /// The delay after an attempt has failed that was made again `retries` times before.
    /// `chance` is from 0 to 1.
    pub(in crate::docker) fn backoff(&self, retries: u32, chance: f64) -> Duration {
        let factor = 1_u32.checked_shl(retries).unwrap_or(u32::MAX);
        let delay = self.first.saturating_mul(factor).min(self.longest);
        let more = delay.as_secs_f64() * self.jitter * chance.clamp(0.0, 1.0);
        // More than a duration can hold is not waited for, either.
        delay.saturating_add(Duration::try_from_secs_f64(more).unwrap_or(Duration::MAX))
    }

    /// Whether an attempt that would begin after this delay would begin too late.
    pub(in crate::docker) fn gives_up(&self, elapsed: Duration, delay: Duration) -> bool {
        elapsed.saturating_add(delay) >= self.give_up
    }

    /// The delay before the next attempt, if there is one. `may_have_arrived` says whether
    /// the plugin may have got the request.
    pub(in crate::docker) fn next(
        &self,
        retries: u32,
        elapsed: Duration,
        may_have_arrived: bool,
        chance: f64,
    ) -> Option<Duration> {
        if retries >= self.retries || (may_have_arrived && !self.resend) {
            return None;
        }
        let delay = self.backoff(retries, chance);
        (!self.gives_up(elapsed, delay)).then_some(delay)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// moby's TestBackoff.
    #[test]
    fn delays_double_up_to_the_longest() {
        let policy = RetryPolicy::default();
        for (retries, seconds) in [(0, 1), (1, 2), (2, 4), (4, 16), (6, 30), (10, 30), (200, 30)] {
            assert_eq!(policy.backoff(retries, 0.0), SECOND * seconds, "{retries}");
        }
    }

    /// moby's TestAbortRetry.
    #[test]
    fn what_would_begin_after_thirty_seconds_is_not_begun() {
        let policy = RetryPolicy::default();
        for (seconds, gives_up) in [(1, false), (2, false), (10, false), (30, true), (40, true)] {
            assert_eq!(policy.gives_up(Duration::ZERO, SECOND * seconds), gives_up, "{seconds}");
        }
        assert!(policy.gives_up(Duration::MAX, SECOND));
    }

    #[test]
    fn attempts_that_fail_at_once_are_five_whatever_the_jitter() {
        let policy = RetryPolicy::default();
        for chance in [0.0, 0.5, 1.0] {
            let (mut retries, mut elapsed) = (0, Duration::ZERO);
            while let Some(delay) = policy.next(retries, elapsed, false, chance) {
                elapsed += delay;
                retries += 1;
            }
            assert_eq!(retries + 1, 5, "{chance}");
            assert_eq!(elapsed, (SECOND * 15).mul_f64(1.0 + chance / 4.0));
        }
    }

    #[test]
    fn what_may_have_arrived_is_made_again_only_if_that_is_wanted() {
        let asked = |policy: &RetryPolicy| policy.next(0, Duration::ZERO, true, 0.0);
        assert_eq!(asked(&RetryPolicy::default()), None);
        assert_eq!(asked(&RetryPolicy::default().resend(true)), Some(SECOND));
        assert_eq!(RetryPolicy::never().next(0, Duration::ZERO, false, 0.0), None);
    }

    proptest! {
        #[test]
        fn no_numbers_overflow_and_jitter_only_adds(
            first: u64, longest: u32, retries: u32, fraction: f64, chance: f64,
        ) {
            let policy = RetryPolicy::default()
                .first_delay(Duration::from_nanos(first))
                .longest_delay(Duration::from_secs(longest.into()))
                .jitter(fraction);
            let least = policy.clone().jitter(0.0).backoff(retries, 0.0);
            let delay = policy.backoff(retries, chance);
            prop_assert!(least <= delay);
            prop_assert!(delay <= least.saturating_mul(2).saturating_add(SECOND));
        }
    }
}
