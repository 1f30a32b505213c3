//! The host's side: starts plugins as child processes, watches and stops them.

#![allow(
    dead_code,
    reason = "the launcher that uses these is joined from another branch"
)]

mod command;
mod error;
mod exit;
mod lines;
mod output;
mod pin;
mod process;
mod start;
mod supervisor;
mod tail;

pub use command::Environment;
pub use command::PluginCommand;
pub use error::ExecObstacle;
pub use error::LaunchError;
pub use error::PinObstacle;
pub use exit::Exit;
pub use pin::ParsePinError;
pub use pin::Sha256Pin;
pub use supervisor::StopPolicy;
