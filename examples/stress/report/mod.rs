//! What is measured, and how it is shown: while it runs, and at the end as a table, a
//! histogram, JSON and a plot.

mod histogram;
mod json;
mod plot;
mod progress;
mod summary;
mod table;
mod tally;
mod timeline;

pub use json::json;
pub use plot::Plot;
pub use progress::progress;
pub use summary::Summary;
pub use table::table;
pub use tally::Tally;
pub use tally::sample;
