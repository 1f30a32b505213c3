//! The state store that a host offers to its plugins: keys with versioned
//! values, and compare-and-set.
//!
//! Keys and values are bytes. Every value has a [`Version`], and a write can
//! say what must hold for it to be done ([`Expected`]). A plugin sees its own
//! namespace, which the host chooses when it creates the [`StateService`].
//!
//! ```
//! use std::sync::Arc;
//! use trunkline::services::state::MemoryStore;
//! use trunkline::services::state::State;
//! use trunkline::services::state::StateService;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In the host. It would offer this to the plugin; here it is called at once.
//! let service = StateService::new(Arc::new(MemoryStore::new()), "my-plugin");
//!
//! // In the plugin.
//! let state = State::new(service);
//! let version = state.put("visits", "1").await?;
//! let entry = state.get("visits").await?.ok_or("just written")?;
//! assert_eq!((&entry.value[..], entry.version), (&b"1"[..], version));
//! # Ok(())
//! # }
//! ```

mod client;
mod convert;
#[cfg(feature = "redb")]
mod durable;
mod entry;
mod error;
mod limits;
mod memory;
mod server;
mod store;

#[cfg(test)]
mod tests;

pub use client::State;
pub use client::UPDATE_TRIES;
#[cfg(feature = "redb")]
pub use durable::RedbStore;
pub use entry::Conflict;
pub use entry::Entry;
pub use entry::Expected;
pub use entry::Item;
pub use entry::Page;
pub use entry::PageBuilder;
pub use entry::Query;
pub use entry::Version;
pub use error::StateError;
pub use limits::StateLimits;
pub use memory::MemoryStore;
pub use server::StateService;
pub use store::Store;
pub use store::StoreError;
pub use store::StoreFuture;
