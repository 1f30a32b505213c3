//! Trunkline.

#[cfg(feature = "plugin")]
pub mod plugin;
pub mod services;
