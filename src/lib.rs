//! Trunkline.

// For the library alone: in Cargo.toml they would also hit tests and examples.
#![deny(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr
)]
#![warn(
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    clippy::exhaustive_enums
)]

mod broker;
mod error;
#[cfg(all(feature = "host", unix))]
pub mod host;
#[cfg(all(feature = "plugin", unix))]
pub mod plugin;
pub mod services;

pub use broker::Body;
pub use broker::Broker;
pub use broker::Builder;
pub use broker::ByteListener;
pub use broker::ByteStream;
pub use broker::CallContext;
pub use broker::CarrierError;
pub use broker::Client;
pub use broker::Code;
pub use broker::ConnectError;
pub use broker::EndReason;
pub use broker::Incompatible;
pub use broker::Limits;
pub use broker::LimitsError;
pub use broker::Offers;
pub use broker::Peer;
pub use broker::Registration;
pub use broker::Role;
pub use broker::ServiceId;
pub use broker::Stats;
pub use broker::SubChannel;
pub use broker::Violation;
pub use broker::WeakBroker;
pub use error::Error;
pub use error::Fault;
pub use error::Reason;
