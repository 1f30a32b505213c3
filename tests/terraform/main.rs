//! Real Terraform providers under our host, and our provider under the real tool.
//!
//! The providers and the tool (OpenTofu) are built from the Go module registry at first use.
//! Where there is no Go, or no registry, what needs them is skipped and says so; with
//! `TRUNKLINE_REQUIRE_PEERS=1` it fails.

#[path = "../support/mod.rs"]
mod support;

mod cli;
mod peers;
mod programs;
mod running;
mod tofu;
mod wire;

mod agreement;
mod driving;
mod interrupts;
mod killed;
mod notebook;
mod reattach;
mod schemas;
mod states;
