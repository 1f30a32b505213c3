//! What plugins say of themselves, asked for once: a cache for any typed call whose answer
//! depends on nothing but the plugin's program.

mod cache;
mod flight;
mod instance;
mod program;
mod table;

#[cfg(test)]
mod tests;

pub use cache::SchemaCache;
pub use cache::SchemaStats;
pub use flight::Fetched;
pub use instance::Schemas;
pub(super) use program::Executes;
