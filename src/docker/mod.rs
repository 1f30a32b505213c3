//! Docker's plugin protocol, version 1: JSON over HTTP, on a Unix socket or a TCP port.
//!
//! It is what Docker's daemon speaks with volume drivers, network drivers, authorization and
//! log plugins. It stands alone: nothing of it goes over a trunk, and there are no callbacks,
//! because the protocol has none. Both sides are here:
//!
//! * A program that uses such plugins, as the daemon does: [`Registry`] finds them and
//!   activates them, [`Client`] calls one.
//! * The author of such a plugin: [`serve`].
//!
//! ```no_run
//! use trunkline::docker::{Empty, Registry};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = Registry::system();
//! let plugin = registry.get("flocker", "VolumeDriver").await?;
//! let volumes: serde_json::Value = plugin.client().call("VolumeDriver.List", &Empty {}).await?;
//! println!("{volumes}");
//! # Ok(())
//! # }
//! ```
//!
//! # What is not as in Docker
//!
//! Any plugin that works with Docker works here, and the other way round. Where the daemon's
//! own client is known to do wrong, this one does not:
//!
//! * A request that is made again has its body again, and is made again only if the plugin
//!   cannot have got it, unless [`RetryPolicy::resend`] says otherwise.
//! * A call has a timeout if nobody says so, can be given up at any time, also between two
//!   attempts, and its answer has a bound.
//! * Verification of certificates is switched off only by who says so: [`TlsOptions`].
//! * A failed activation is told to all who wait for it; a handler is called once for each
//!   plugin, and not again when another is added.
//! * A scan names each plugin once, and only those that can be found by that name.
//! * Rootless spec files are looked for where they are meant to be: [`Directories::system`].
//! * [`is_not_found`] sees through what wraps an error.
//! * Names of plugins and methods cannot lead elsewhere.
//!
//! Two things are left out: proxies named by the environment (see [`Client`]), and answers
//! that are compressed, which no request asks for.

mod address;
mod body;
mod client;
mod clock;
mod discovery;
mod error;
mod not_found;
mod registry;
mod regular_file;
pub mod serve;
mod tls;
mod wire;

pub use address::Address;
pub use address::AddressError;
pub use body::Body;
pub use body::BoxError;
pub use client::Client;
pub use client::ClientBuilder;
pub use client::DEFAULT_TIMEOUT;
pub use client::Download;
pub use client::RetryPolicy;
pub use client::Transport;
pub use client::TransportError;
pub use client::Upload;
pub use discovery::Directories;
pub use discovery::FindError;
pub use discovery::Location;
pub use discovery::ScanError;
pub use discovery::SpecError;
pub use error::CallError;
pub use error::Fault;
pub use not_found::is_not_found;
pub use registry::GetError;
pub use registry::Plugin;
pub use registry::Registry;
pub use tls::ClientAuth;
pub use tls::MinVersion;
pub use tls::TlsError;
pub use tls::TlsOptions;
pub use wire::Empty;
pub use wire::MAX_MESSAGE;
pub use wire::MEDIA_TYPE;
pub use wire::Manifest;
pub use wire::PROTOCOL;
