//! Docker's plugin protocol on real sockets: our client and our plugins with each other, and
//! with what is no good plugin.

mod calls;
mod crimes;
mod discovery;
mod ends;
#[cfg(all(feature = "host", feature = "plugin", feature = "redb"))]
mod examples;
mod raw;
mod served;
mod sockets;
mod tls;
