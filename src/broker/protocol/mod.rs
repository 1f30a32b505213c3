//! The protocol of a trunk as a deterministic machine: frames in, frames out.
//!
//! Nothing here performs I/O, reads a clock, draws a random number or awaits.
//! Frames and `now` come in through [`Connection::handle_frame`] and
//! [`Connection::handle_timeout`]; what is to be sent leaves through
//! [`Connection::poll_transmit`], and what the application must hear of through
//! [`Connection::poll_event`]. `docs/PROTOCOL.md` is the specification that this
//! folder implements.

mod channel;
mod connection;
mod error;
mod frame;
mod handshake;
mod id;
mod limits;
mod scheduler;
mod store;
mod stream;
#[cfg(test)]
mod tests;
mod window;

pub(crate) use channel::ChannelKey;
pub(crate) use connection::Call;
pub(crate) use connection::Config;
pub(crate) use connection::Connection;
pub(crate) use connection::Counts;
pub(crate) use connection::Event;
pub(crate) use connection::Part;
pub(crate) use connection::Read;
pub(crate) use connection::Totals;
pub(crate) use connection::Whole;
pub use error::Code;
pub use error::EndReason;
pub use error::Incompatible;
pub(crate) use error::StreamError;
pub use error::Violation;
pub(crate) use frame::End;
pub(crate) use frame::Entry;
pub(crate) use frame::Frame;
pub(crate) use frame::Head;
pub(crate) use frame::Kind;
pub(crate) use frame::Metadata;
pub(crate) use frame::RequestHead;
pub(crate) use frame::ResponseHead;
pub(crate) use frame::StreamFrame;
pub(crate) use frame::Target;
pub(crate) use handshake::Hello;
pub(crate) use handshake::VERSION;
pub(crate) use id::Id;
pub use id::Role;
pub(crate) use limits::FIRST_PART;
pub use limits::Limits;
pub use limits::LimitsError;
pub(crate) use limits::PeerLimits;
pub(crate) use stream::StreamKey;
