//! go-plugin's wire, in both roles: a host that drives plugins built on
//! hashicorp/go-plugin, and a plugin that runs under its hosts.

mod accepting;
mod address;
mod announced;
mod calling;
mod certificate;
mod classic;
mod connection;
mod control;
mod handshake;
pub(crate) mod host;
mod life;
mod line;
mod multiplexed;
mod mux;
mod paths;
pub(crate) mod plugin;
mod reattach;
mod session;
mod socket;
mod stdio;
mod tls;
mod wire;

pub use address::AddressError;
pub use certificate::CertificateError;
pub use handshake::Handshake;
pub use host::ConnectError;
pub use line::LineError;
pub use plugin::ListenError;
pub use reattach::Reattach;
pub use reattach::ReattachError;
pub use socket::SocketError;
pub use tls::TlsError;
