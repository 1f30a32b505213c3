//! Trunkline against other ways to call back from one process into another, on the same
//! work and in one run: `cargo bench --bench peers -- --help`.
//!
//! The first process runs all systems in turn. Each system is two processes of its own:
//! a parent, started by the first, and its child, which does the measured calls. Both are
//! this program for the systems in Rust, and `benches/peers/go` for those in Go.

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Builder;
use tokio::runtime::Runtime;

use crate::options::Options;
use crate::options::Part;
use crate::system::Flavor;

mod clock;
mod figures;
mod go;
mod machine;
mod options;
mod others;
mod pair;
mod parent;
mod plan;
mod results;
mod rounds;
mod system;
mod systems;
mod table;
mod targets;
mod usage;
mod work;

/// What the processes of a pair say to each other.
mod proto {
    #![allow(unused_qualifications, reason = "generated")]
    tonic::include_proto!("peers.v1");
}

/// An error that ends what a process does; it is shown to people.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let options = Options::parse();
    if options.part.is_some() {
        usage::raise_descriptor_limit();
    }
    let done = match options.part {
        None => runtime(Flavor::Current).and_then(|it| it.block_on(rounds::run(options.choice))),
        Some(Part::Parent(part)) => {
            runtime(part.system.flavor()).and_then(|it| it.block_on(systems::parent(part)))
        }
        Some(Part::Child(part)) => {
            runtime(part.system.flavor()).and_then(|it| it.block_on(systems::child(part)))
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("peers: {error}");
        let mut source = error.source();
        while let Some(cause) = source {
            eprintln!("  because: {cause}");
            source = cause.source();
        }
        ExitCode::FAILURE
    })
}

fn runtime(flavor: Flavor) -> Result<Runtime, Failure> {
    let mut builder = match flavor {
        Flavor::Multi => Builder::new_multi_thread(),
        Flavor::Current => Builder::new_current_thread(),
    };
    Ok(builder.enable_all().build()?)
}
