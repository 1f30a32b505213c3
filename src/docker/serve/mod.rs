//! Being a plugin: methods, served on a socket where Docker finds it.
//!
//! ```no_run
//! use serde::{Deserialize, Serialize};
//! use trunkline::docker::serve::{Failure, Plugin, UnixEndpoint};
//!
//! #[derive(Deserialize)]
//! #[serde(rename_all = "PascalCase")]
//! struct PathOf {
//!     name: String,
//! }
//!
//! #[derive(Serialize)]
//! #[serde(rename_all = "PascalCase")]
//! struct Path {
//!     mountpoint: String,
//! }
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let plugin = Plugin::new().implements("VolumeDriver").method(
//!     "VolumeDriver.Path",
//!     |volume: PathOf| async move {
//!         if volume.name != "data" {
//!             return Err(Failure::new("there is only one volume: data"));
//!         }
//!         Ok(Path { mountpoint: "/srv/data".to_owned() })
//!     },
//! );
//! let listener = UnixEndpoint::named("single").bind().await?; // /run/docker/plugins/single.sock
//! let interrupted = async {
//!     let _ = tokio::signal::ctrl_c().await;
//! };
//! plugin.serve_until(listener, interrupted).await;
//! # Ok(())
//! # }
//! ```

mod endpoint;
mod failure;
mod file;
mod listener;
mod plugin;
mod server;
mod socket;

#[cfg(test)]
mod tests;

pub use endpoint::ListenError;
pub use endpoint::TcpEndpoint;
pub use endpoint::UnixEndpoint;
pub use failure::Failure;
pub use listener::Listener;
pub use plugin::Plugin;
pub use plugin::Received;
pub use plugin::with_state;
