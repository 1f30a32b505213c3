//! The plugin author's side.
