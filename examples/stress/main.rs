//! Runs plugins under load while they are killed, stopped and cut off, and proves
//! that no call is lost, doubled, reordered, wrong or hung.
//!
//! `cargo run --release --example stress -- --callers 1000 --faults all --plot out.svg`
//!
//! | folder | what is in it |
//! |---|---|
//! | `options` | the command line |
//! | `ends` | what host and plugin both have: service, content, ledger |
//! | `calls` | the calls that are made, by the host or by a plugin that calls back |
//! | `load` | who makes them, and when |
//! | `fleet` | the plugins, one life after the other |
//! | `faults` | what is done to them, and what that explains |
//! | `proof` | that nothing was lost, and nothing is left |
//! | `report` | what is measured and shown |

use std::process::ExitCode;

use clap::CommandFactory;
use clap::Parser;
use clap::error::ErrorKind;
use tokio::runtime::Builder;
use tokio::runtime::Runtime;

use crate::options::Command;
use crate::options::Flavor;
use crate::options::Options;
use crate::proof::pulse;
use crate::report::Plot;

mod calls;
mod console;
mod ends;
mod faults;
mod fleet;
mod host;
mod load;
mod options;
mod plugin;
mod proof;
mod report;
mod signals;
mod stage;

mod proto {
    #![allow(unused_qualifications, reason = "generated")]
    tonic::include_proto!("stress.v1");
}

fn main() -> ExitCode {
    let options = Options::parse();
    let ran = match options.command.clone() {
        Some(Command::Plugin(options)) => {
            runtime(options.runtime).map(|runtime| runtime.block_on(plugin::serve(options)))
        }
        None => runtime(options.runtime).and_then(|runtime| {
            let plot = checked(&options);
            pulse::start(&runtime, options.patience());
            runtime.block_on(host::host(options, plot))
        }),
    };
    ran.unwrap_or_else(|error| {
        console::note(error);
        ExitCode::FAILURE
    })
}

/// Ends the process if options contradict each other, or the plot cannot be written.
fn checked(options: &Options) -> Option<Plot> {
    let wrong = |what: String| Options::command().error(ErrorKind::ValueValidation, what).exit();
    if let Err(what) = options.check() {
        wrong(what);
    }
    let path = options.plot.as_ref()?;
    match Plot::new(path) {
        Ok(plot) => Some(plot),
        Err(error) => wrong(format!("--plot {}: {error}", path.display())),
    }
}

fn runtime(flavor: Flavor) -> std::io::Result<Runtime> {
    match flavor {
        Flavor::Multi => Builder::new_multi_thread().enable_all().build(),
        Flavor::Current => Builder::new_current_thread().enable_all().build(),
    }
}
