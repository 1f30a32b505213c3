//! The plugin author's side.

mod layer;

pub use layer::HostLogFilter;
pub use layer::HostLogLayer;
