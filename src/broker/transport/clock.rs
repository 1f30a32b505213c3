//! The one place of the broker that reads the clock.

use std::time::Instant;

/// Now, by tokio's clock, so that tests can pause it.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
