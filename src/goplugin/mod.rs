//! go-plugin's wire, in both roles: a host that drives plugins built on
//! hashicorp/go-plugin, and a plugin that runs under its hosts.

mod address;
mod certificate;
mod handshake;
mod line;
mod reattach;
mod socket;
mod tls;
mod wire;

pub use address::AddressError;
pub use certificate::CertificateError;
pub use handshake::Handshake;
pub use line::LineError;
pub use reattach::Reattach;
pub use reattach::ReattachError;
pub use socket::SocketError;
pub use tls::TlsError;
