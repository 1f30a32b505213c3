//! The one place of Docker's protocol that reads the clock.

use tokio::time::Instant;

/// Now, by tokio's clock, so that tests can pause it.
pub(super) fn now() -> Instant {
    Instant::now()
}
