//! Differences as they are shown.
