//! go-plugin's wire against real go-plugin programs.
//!
//! The programs in Go are in `tests/peers/go`, at several versions of go-plugin;
//! these tests build them. Where there is no Go, or no registry to get go-plugin from,
//! what needs them is skipped and says so; with `TRUNKLINE_REQUIRE_PEERS=1` it fails.
//!
//! With `TRUNKLINE_WRITE_INTEROP=1` the outcome goes into `docs/INTEROP.md`.

#[path = "../support/mod.rs"]
mod support;

mod bin;
mod contract;
mod go_host;
mod other;
mod peers;
mod probe;
mod rust_host;
mod scenarios;
mod table;

mod calls;
mod detection;
mod ends;
mod examples;
mod hazards;
mod leaks;
mod liar;
mod logs;
mod matrix;
mod plugin_role;
mod services;
