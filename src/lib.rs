//! A plugin broker: applications run plugins as separate processes, call them, and
//! let them call back, all over one gRPC stream for each plugin.
//!
//! ```text
//!  application                                   plugin process
//!  ┌───────────────────┐        trunk        ┌───────────────────┐
//!  │ client ───────────┼──── sub-channel ────┼─▶ server          │
//!  │ server ◀──────────┼──── sub-channel ────┼── client          │
//!  │ byte stream ◀─────┼──── sub-channel ────┼─▶ byte stream     │
//!  └───────────────────┘                     └───────────────────┘
//! ```
//!
//! * A **trunk** is the one stream between a host and a plugin; [`Broker`] is the
//!   handle of one end of it.
//! * A **sub-channel** is opened on it by either side, for free: to a service that the
//!   other [offers](Offers) by name, or one that it [registered](Broker::register) and
//!   handed over as an id. [`SubChannel`] carries gRPC calls and is what tonic's
//!   generated clients are made of; [`ByteStream`] is `AsyncRead + AsyncWrite`.
//! * A **call** that a handler makes while it serves another inherits its deadline and
//!   is cancelled with it: [`CallContext`].
//!
//! # Where to begin
//!
//! * An application that runs plugins: [`host::Host`].
//! * The author of a plugin: [`plugin::Plugin`].
//! * What hosts offer to plugins out of the box: [`services`].
//! * Two ends in one process, as tests want them, or another transport than a child
//!   process: [`Broker::builder`].
//! * Plugins and hosts that were built on hashicorp/go-plugin: `host::Launch::go_plugin`,
//!   `plugin::Plugin::go_plugin`, and the guide `docs/INTEROP.md`.
//! * Docker's plugins, which are JSON over HTTP and no trunk: `docker`, for both sides, and
//!   the guide `docs/DOCKER.md`.
//!
//! The examples `quickstart`, `greeter_host` with `greeter_plugin`, `goplugin_host` with
//! `goplugin_plugin`, and `docker_client` with `docker_volume_plugin` are complete.
//!
//! # Errors
//!
//! Calls fail with a `tonic::Status`. If the broker made it, [`Error::of`] has the
//! typed error behind it: what happened, whose fault it is, whether it is worth
//! another try, and why the trunk ended if it did. One that a handler passes on with
//! `?` reaches the handler's caller as a plain status, for which `Error::of` is `None`.
//!
//! # Features
//!
//! * `host` (default): launching and supervising plugin processes. Unix only.
//! * `plugin` (default): being a plugin. Unix only. A plugin that turns the default
//!   off carries none of the host's code.
//! * `goplugin` (default): go-plugin's wire, on the sides that are built. Unix only. Building
//!   it takes a C compiler, for `aws-lc-rs`.
//! * `docker` (default): Docker's plugin protocol, version 1, in both roles. It stands alone,
//!   and uses nothing of a trunk. Unix only, and with a C compiler, as `goplugin`.
//! * `redb` (default): the durable state store.
//!
//! # Not its business
//!
//! Discovering and installing plugins; sandboxing them beyond what a process is; more
//! than one host for a plugin.

// For the library alone: in Cargo.toml they would also hit tests and examples.
#![deny(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]
#![warn(
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    clippy::exhaustive_enums
)]

mod broker;
#[cfg(all(feature = "docker", unix))]
pub mod docker;
mod error;
#[cfg(all(feature = "goplugin", unix))]
pub mod goplugin;
#[cfg(all(feature = "host", unix))]
pub mod host;
#[cfg(all(feature = "plugin", unix))]
pub mod plugin;
pub mod services;

pub use broker::Body;
pub use broker::Broker;
pub use broker::Builder;
pub use broker::ByteListener;
pub use broker::ByteStream;
pub use broker::CallContext;
pub use broker::CarrierError;
pub use broker::Client;
pub use broker::Code;
pub use broker::ConnectError;
pub use broker::EndReason;
pub use broker::Incompatible;
pub use broker::Limits;
pub use broker::LimitsError;
pub use broker::Offers;
pub use broker::Peer;
pub use broker::Registration;
pub use broker::Role;
pub use broker::Servable;
pub use broker::ServiceId;
pub use broker::Stats;
pub use broker::SubChannel;
pub use broker::Totals;
pub use broker::Violation;
pub use broker::WeakBroker;
pub use error::Error;
pub use error::Fault;
pub use error::Reason;
