//! The plugin author's side: serves to the host, and calls back.
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use trunkline::Offers;
//! use trunkline::plugin::Plugin;
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> ExitCode {
//!     Plugin::new("greeter", env!("CARGO_PKG_VERSION"))
//!         .serve(|_host| Offers::new()) // .service(GreeterServer::new(Greeter { host }))
//!         .await
//! }
//! ```
//!
//! The current-thread runtime is the better choice for most plugins: a call takes
//! less than half the time, because no other thread has to be woken.

mod connection;
#[cfg(feature = "goplugin")]
mod go_plugin;
mod host;
mod layer;
mod orphan;
mod serve;
mod servers;
#[cfg(feature = "goplugin")]
mod stdio;

pub use connection::NotLaunched;
pub use host::HostHandle;
pub use layer::HostLogFilter;
pub use layer::HostLogLayer;
pub use serve::Plugin;
pub use serve::ServeError;
pub use servers::Servers;
