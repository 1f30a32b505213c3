//! What the command line says.

use std::path::PathBuf;

use crate::plan::Plan;
use crate::system::System;

/// Compares Trunkline with other ways to call back from one process into another, and
/// prints a table of medians. The same figures go to `target/peers.json`. Exit status: 0
/// if every system that could be run was measured, 1 if not, 130 after Ctrl-C.
#[derive(clap::Parser, Debug)]
#[command(name = "peers", args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(flatten)]
    pub choice: Choice,
    #[command(subcommand)]
    pub part: Option<Part>,
}

#[derive(clap::Args, Debug)]
pub struct Choice {
    /// One round with little of everything, within a minute: to see that it works, not
    /// to quote.
    #[arg(long)]
    pub quick: bool,
    /// Only these systems.
    #[arg(long, value_delimiter = ',', value_enum)]
    pub only: Vec<System>,
    /// How often each system is measured; they take turns [default: 3, or 1 with --quick].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: Option<u32>,
    /// Given by cargo; it has no effect.
    #[arg(long, hide = true)]
    pub bench: bool,
}

/// The program as one of the two processes of a system.
#[derive(clap::Subcommand, Debug)]
pub enum Part {
    /// Starts the child, and is called back.
    #[command(hide = true)]
    Parent(Parent),
    /// Measures.
    #[command(hide = true)]
    Child(Child),
}

#[derive(clap::Args, Clone, Debug)]
pub struct Parent {
    #[arg(value_enum)]
    pub system: System,
    #[command(flatten)]
    pub plan: Plan,
}

#[derive(clap::Args, Clone, Debug)]
pub struct Child {
    #[arg(value_enum)]
    pub system: System,
    #[command(flatten)]
    pub plan: Plan,
    /// The folder of the parent's sockets, where there are any.
    #[arg(long)]
    pub sockets: Option<PathBuf>,
    /// When the parent started this process, by the monotonic clock.
    #[arg(long)]
    pub started_at: u64,
}
