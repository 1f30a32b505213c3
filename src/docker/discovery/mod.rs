//! Finding plugins: sockets and spec files in the directories that are agreed on.

mod directories;
mod find;
mod scan;
mod spec;

#[cfg(test)]
mod tests;

pub use directories::Directories;
pub(super) use directories::SOCKETS;
pub use find::FindError;
pub use find::Location;
pub(super) use find::is_name;
pub use scan::ScanError;
pub use spec::SpecError;
