//! The plugins: kept running, one life after the other, and told how to end.

mod false_start;
mod keeper;
mod limits;
mod run;

pub use keeper::keep;
pub use limits::roomy;
pub use limits::tight;
pub use run::Ending;
pub use run::Faults;
pub use run::Run;
