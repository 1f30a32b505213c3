//! Docker's plugin protocol on real sockets: our client and our plugins with each other, with
//! what is no good plugin, and with Docker's own code in Go.

#[path = "../support/mod.rs"]
mod support;

mod calls;
mod certificates;
mod crimes;
mod discovery;
mod early;
mod ends;
#[cfg(all(feature = "host", feature = "plugin", feature = "redb"))]
mod examples;
mod go_plugin;
mod moby;
mod peers;
mod raw;
mod served;
mod sockets;
mod tls;
mod volumes;
