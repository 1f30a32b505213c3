//! Trunkline.

#[cfg(all(feature = "host", unix))]
pub mod host;
