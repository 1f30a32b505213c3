//! The faults: done to plugins as the seed decides, and whether they explain a failure.
//! Those of single calls are in their plans ([`crate::calls::Cut`]).

mod explain;
mod injector;

pub use explain::expects_exit;
pub use explain::explain;
pub use injector::run;
