//! The log that a host offers to its plugins: a plugin's records become the
//! host's, and the host says at run time how much it wants to hear.
//!
//! Recording never waits: a [`Log`] is a bounded queue that is there from the
//! start of the program, and is sent from when it is attached to the host. What
//! does not fit is dropped, counted, and the count reported.
//!
//! ```
//! use std::sync::Arc;
//! use trunkline::services::log::Log;
//! use trunkline::services::log::LogService;
//! use trunkline::services::log::TracingSink;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In the host. It would offer this to the plugin; here it is called at once.
//! let service = LogService::new(Arc::new(TracingSink), "my-plugin");
//! let control = service.control();
//!
//! // In the plugin.
//! let log = Log::new();
//! log.info("before there is a host");
//! tokio::spawn(log.attach(service));
//! log.flush().await?;
//! assert_eq!(control.stats().records, 1);
//! # Ok(())
//! # }
//! ```

mod client;
mod clip;
mod convert;
#[cfg(feature = "goplugin")]
#[cfg_attr(
    not(all(feature = "host", feature = "plugin")),
    allow(dead_code, unused_imports, reason = "one side reads it, the other writes it")
)]
pub(crate) mod hclog;
mod record;
mod server;
mod sink;
mod worker;

#[cfg(test)]
mod tests;

pub use client::FlushError;
pub use client::Log;
pub use client::LogOptions;
pub use clip::RECORD_BYTES;
pub use record::Field;
pub use record::Record;
pub use record::SpanRecord;
pub use record::Value;
pub use server::LogControl;
pub use server::LogService;
pub use server::LogStats;
pub use sink::LogSink;
pub use sink::TracingSink;
pub use worker::LogError;
