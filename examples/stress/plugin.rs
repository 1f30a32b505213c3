//! The stress test as its own plugin.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use trunkline::Limits;
use trunkline::Offers;
use trunkline::plugin::Plugin;

use crate::echo;
use crate::ledger::Ledger;
use crate::options::Flavor;
use crate::payload::Source;
use crate::plan;
use crate::worker::Other;
use crate::worker::Worker;

/// What the host tells its plugin.
#[derive(clap::Args, Clone, Debug)]
pub struct PluginOptions {
    #[arg(long)]
    pub seed: u64,
    #[arg(long)]
    pub least: usize,
    #[arg(long)]
    pub most: usize,
    #[arg(long)]
    pub ledger: PathBuf,
    /// The seed of the limits, if they are to be low.
    #[arg(long)]
    pub tight: Option<u64>,
    #[arg(long, value_enum, default_value = "current")]
    pub runtime: Flavor,
}

pub async fn serve(options: PluginOptions) -> ExitCode {
    let ledger = match Ledger::file(&options.ledger) {
        Ok(ledger) => Arc::new(ledger),
        Err(error) => {
            eprintln!("stress: the ledger cannot be opened: {error}");
            return ExitCode::FAILURE;
        }
    };
    let source = Source::new(options.seed, options.least..options.most);
    let plugin = Plugin::new("stress-plugin", env!("CARGO_PKG_VERSION"));
    let limits = options.tight.map_or_else(Limits::default, plan::limits);
    plugin
        .limits(limits)
        .serve(|host| {
            let worker = Worker::new(source, ledger, Other::Host(host));
            let (offers, listener) = Offers::new().service(worker.server()).bytes(echo::NAME);
            tokio::spawn(echo::serve_all(worker, listener));
            offers
        })
        .await
}
