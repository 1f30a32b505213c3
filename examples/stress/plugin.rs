//! The stress test as its own plugin.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use trunkline::Offers;
use trunkline::plugin::Plugin;

use crate::console;
use crate::ends::Other;
use crate::ends::Source;
use crate::ends::Worker;
use crate::ends::ledger::Ledger;
use crate::fleet;
use crate::options::Flavor;

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
    pub callers: u32,
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
            console::note(format!("the ledger cannot be opened: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let source = Source::new(options.seed, options.least..=options.most);
    let roomy = || fleet::roomy(options.callers);
    Plugin::new("stress-plugin", env!("CARGO_PKG_VERSION"))
        .limits(options.tight.map_or_else(roomy, fleet::tight))
        .serve(|host| Worker::new(source, ledger, Other::Host(host)).offer(Offers::new()))
        .await
}
