//! Trunkline.

pub mod plugin;
pub mod services;
