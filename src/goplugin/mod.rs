//! go-plugin's wire, in both roles: a host that drives plugins built on
//! hashicorp/go-plugin, and a plugin that runs under its hosts.

#![cfg_attr(
    not(all(feature = "host", feature = "plugin")),
    allow(dead_code, unused_imports, reason = "one side alone does not use all of it")
)]

pub(crate) mod handshake;
#[cfg(feature = "host")]
pub(crate) mod host;
mod life;
#[cfg(feature = "plugin")]
pub(crate) mod plugin;
mod session;
pub(crate) mod stdio;
mod tasks;
mod transport;
mod wire;

pub use handshake::Handshake;
pub use handshake::address::AddressError;
pub use handshake::certificate::CertificateError;
pub use handshake::line::LineError;
pub use handshake::reattach::Reattach;
pub use handshake::reattach::ReattachError;
#[cfg(feature = "host")]
pub use host::ConnectError;
#[cfg(feature = "plugin")]
pub use plugin::ListenError;
pub use transport::socket::SocketError;
pub use transport::tls::TlsError;
