//! One stream, many sub-channels: the same code at both ends. Knows no process.

mod body;
mod bytes;
mod channel;
mod connect;
mod context;
mod dialect;
#[cfg(feature = "goplugin")]
mod foreign;
mod handle;
mod metadata;
mod offers;
mod outgoing;
mod protocol;
mod registry;
mod serving;
mod transport;
mod trunk;

pub use body::Body;
pub use bytes::ByteListener;
pub use bytes::ByteStream;
pub use channel::SubChannel;
pub use connect::Builder;
pub use connect::ConnectError;
#[cfg(feature = "host")]
pub(crate) use connect::LastWords;
pub use context::CallContext;
pub use handle::Broker;
pub use handle::Peer;
pub use handle::Stats;
pub use handle::Totals;
pub use handle::WeakBroker;
pub use offers::Client;
pub use offers::Offers;
pub use protocol::Code;
pub use protocol::EndReason;
pub use protocol::Incompatible;
pub use protocol::Limits;
pub use protocol::LimitsError;
pub use protocol::Role;
pub(crate) use protocol::StreamError;
pub use protocol::Violation;
pub use registry::Registration;
pub use registry::ServiceId;
pub use serving::Servable;
pub use transport::CarrierError;
#[cfg(feature = "host")]
pub(crate) use transport::now;

/// The variable in which a host announces the native dialect: the highest version
/// of the protocol that it speaks.
#[cfg(any(feature = "host", feature = "plugin"))]
pub(crate) const NATIVE_VARIABLE: &str = "TRUNKLINE_NATIVE";

/// The variable in which a host names the run of a plugin: a UUID.
#[cfg(any(feature = "host", feature = "plugin"))]
pub(crate) const RUN_VARIABLE: &str = "TRUNKLINE_RUN";

/// What another dialect is made of.
#[cfg(feature = "goplugin")]
#[cfg_attr(
    not(all(feature = "host", feature = "plugin")),
    allow(unused_imports, reason = "one side alone does not use all of it")
)]
pub(crate) mod dialects {
    pub(crate) use super::dialect::Dialect;
    pub(crate) use super::dialect::Line;
    pub(crate) use super::foreign::call;
    pub(crate) use super::foreign::is_nested;
    pub(crate) use super::foreign::serve;
    pub(crate) use super::foreign::serve_offered;
    pub(crate) use super::protocol::Code;
    pub(crate) use super::protocol::StreamError;
    pub(crate) use super::serving::Erased;
    pub(crate) use super::transport::LastWords;
    pub(crate) use super::transport::Phase;
    pub(crate) use super::transport::now;
}
