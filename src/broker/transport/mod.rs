//! The protocol's machine on a real connection: encoding, HTTP/2, tasks, clock.
//!
//! Knows nothing of services, names and processes. What the peer opens and calls
//! is passed to an [`Acceptor`].

mod alarm;
mod carrier;
mod clock;
mod codec;
mod convert;
mod driver;
mod link;
mod wire;

pub(crate) use carrier::Carrier;
pub use carrier::CarrierError;
pub(crate) use clock::now;
pub(crate) use driver::Acceptor;
pub(crate) use driver::LastWords;
pub(crate) use driver::drive;
pub(crate) use link::Link;
pub(crate) use link::Phase;
