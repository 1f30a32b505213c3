//! The host's side: launches plugins as child processes, says what each may
//! reach, watches and stops them.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use trunkline::host::Host;
//! use trunkline::host::PluginCommand;
//!
//! let host = Host::new("my-app", "1.0");
//! let plugin = host.launch("greeter", PluginCommand::new("./greeter")).start().await?;
//! let channel = plugin.open("demo.v1.Greeter")?; // for GreeterClient::new
//! plugin.stop().await;
//! # Ok(()) }
//! ```

mod application;
#[cfg(feature = "goplugin")]
mod attached;
mod clients;
mod command;
mod connecting;
mod error;
mod exit;
#[cfg(feature = "goplugin")]
mod go_plugin;
#[cfg(not(feature = "goplugin"))]
#[path = "no_go_plugin.rs"]
mod go_plugin;
mod handle;
mod launch;
mod lines;
mod output;
mod pin;
mod process;
mod runner;
mod schema;
mod start;
mod supervisor;
mod tail;

pub use application::Host;
pub use application::PluginInfo;
pub use clients::ClientError;
pub use clients::Clients;
pub use command::Environment;
pub use command::PluginCommand;
pub use error::ExecObstacle;
pub use error::LaunchError;
pub use error::PinObstacle;
pub use exit::Exit;
pub use exit::ProcessEnded;
#[cfg(feature = "goplugin")]
pub use go_plugin::GoPlugin;
pub use handle::Dialect;
pub use handle::PluginEnd;
pub use handle::PluginHandle;
pub use launch::Launch;
pub use pin::ParsePinError;
pub use pin::Sha256Pin;
pub use schema::Fetched;
pub use schema::SchemaCache;
pub use schema::SchemaStats;
pub use schema::Schemas;
pub use supervisor::EndCause;
pub use supervisor::StopPolicy;
