//! go-plugin's wire, in both roles: a host that drives plugins built on
//! hashicorp/go-plugin, and a plugin that runs under its hosts.

#![cfg_attr(
    not(all(feature = "host", feature = "plugin")),
    allow(dead_code, unused_imports, reason = "one side alone does not use all of it")
)]

mod accepting;
mod address;
mod announced;
mod calling;
mod certificate;
mod classic;
mod connection;
mod control;
mod handshake;
#[cfg(feature = "host")]
pub(crate) mod host;
mod knock;
mod life;
pub(crate) mod line;
mod multiplexed;
mod mux;
mod mux_dialer;
mod paths;
#[cfg(feature = "plugin")]
pub(crate) mod plugin;
mod reattach;
mod session;
mod socket;
pub(crate) mod stdio;
mod tls;
mod wire;

pub use address::AddressError;
pub use certificate::CertificateError;
pub use handshake::Handshake;
#[cfg(feature = "host")]
pub use host::ConnectError;
pub use line::LineError;
#[cfg(feature = "plugin")]
pub use plugin::ListenError;
pub use reattach::Reattach;
pub use reattach::ReattachError;
pub use socket::SocketError;
pub use tls::TlsError;
