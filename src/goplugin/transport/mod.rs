//! What go-plugin's connections are made of: sockets, TLS, yamux, HTTP/2.

pub(crate) mod connection;
pub(crate) mod mux;
pub(crate) mod socket;
pub(crate) mod tls;
