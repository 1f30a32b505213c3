//! What the command line says.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::calls::Direction;
use crate::plugin::PluginOptions;

mod fault_set;
mod mix;
mod units;

pub use fault_set::Fault;
pub use fault_set::FaultSet;
pub use mix::Mix;

/// How long to run if nothing is said.
const DURATION: Duration = Duration::from_secs(30);

/// How long any call may take beside what is due to the amount of work.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the slowest machine moves in a second, in bytes, for `--patience`.
const SLOWEST: usize = 50_000_000;

/// Runs plugins under load, with faults if asked to, and proves that no call is
/// lost, doubled, reordered, wrong or hung.
///
/// Without --rate, each caller makes one call after the other to one plugin (a closed
/// loop), and latency counts from where a call begins. With --rate, calls are due by a schedule
/// (an open loop), and latency counts from where the schedule has a call begin, however
/// late it begins.
///
/// Every call is checked twice: its content byte for byte where it arrives, and its
/// execution against ledgers that both ends keep.
#[derive(clap::Parser, Clone, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Exit status: 0 if all is well; 1 if anything was lost, doubled, reordered, \
                  wrong, hung or left over, or a report could not be written; 2 if the options \
                  are wrong; 130 after Ctrl-C and 143 after SIGTERM, which end the run early, \
                  with its report.\n\n\
                  Examples:\n  \
                  stress --callers 1000 --faults all --duration 10m --plot stress.svg\n  \
                  stress --rate 5000 --mix unary --direction to-host --json"
)]
pub struct Options {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Plugins that run at once.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub plugins: u32,
    /// Sub-channels to each plugin (and from it) that calls share.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub channels: u32,
    /// Calls that are made at once, to all plugins together. With --rate the bound of
    /// calls in flight: what is due beyond it waits, and is counted.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub callers: u32,
    /// The length of a message's content: a size or a range, in B, KiB or MiB.
    #[arg(long, default_value = "0..16KiB", value_parser = units::sizes)]
    pub payload: RangeInclusive<usize>,
    /// The kinds of calls, each with its weight (1 if not given): unary, streams (or
    /// client, server, bidi), bytes (byte streams), opens (sub-channels opened, used
    /// and dropped, refusals, leases), nested (calls within calls, both ways), state (a
    /// counter in the host's store). By default all that go in the direction.
    #[arg(
        long,
        value_name = "KIND[=WEIGHT],...",
        default_value_ifs = [
            ("direction", "to-plugin", "unary,streams,bytes,opens"),
            ("direction", "to-host", "unary,streams,bytes,opens,state"),
        ],
        default_value = "unary,streams,bytes,opens,nested,state",
        hide_default_value = true,
    )]
    pub mix: Mix,
    /// Who is called: plugins by the host, the host by plugins that call back while
    /// they are called, or both.
    #[arg(long, value_enum, default_value = "both")]
    pub direction: Direction,
    /// How long calls are begun [default: 30s].
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    duration: Option<Duration>,
    /// Calls a second that are due, in all: an open loop.
    #[arg(long, value_name = "CALLS", value_parser = units::rate, allow_negative_numbers = true)]
    pub rate: Option<f64>,
    /// The faults that are done: any of kill, stall, cancel, drop, or all, or none.
    /// Alone it means all; a time, such as 120s, means all for so long.
    #[arg(
        long,
        value_name = "FAULT,...",
        num_args = 0..=1,
        default_value = "none",
        default_missing_value = "all",
    )]
    pub faults: FaultSet,
    /// How long it takes from one fault of a plugin to the next, on average.
    #[arg(long, value_name = "TIME", default_value = "800ms", value_parser = units::duration)]
    pub every: Duration,
    /// Low limits, other ones for each plugin: small windows and frames, few calls
    /// at once. Calls may then be refused.
    #[arg(long)]
    pub tight: bool,
    /// Decides every choice; by default it is drawn. Printed.
    #[arg(long)]
    pub seed: Option<u64>,
    /// How long a call may take beyond the last thing that could delay it, before it
    /// counts as hung [default: 10s, and more for much payload in flight].
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    patience: Option<Duration>,
    /// The host's runtime.
    #[arg(long, value_enum, default_value = "multi")]
    pub runtime: Flavor,
    /// The plugins' runtime.
    #[arg(long, value_enum, default_value = "current")]
    pub plugin_runtime: Flavor,
    /// Print the summary as JSON, and nothing else on standard output.
    #[arg(long)]
    pub json: bool,
    /// Draw latency, throughput, calls in flight and faults over time into this file.
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,
}

#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// The program as its own plugin.
    #[command(hide = true)]
    Plugin(PluginOptions),
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    Multi,
    Current,
}

impl Flavor {
    pub fn name(self) -> &'static str {
        match self {
            Self::Multi => "multi",
            Self::Current => "current",
        }
    }
}

impl Options {
    /// What options mean together, beyond what each may be.
    ///
    /// # Errors
    ///
    /// Which of them contradict each other.
    pub fn check(&self) -> Result<(), String> {
        if self.duration.is_some() && self.faults.duration.is_some() {
            return Err("--duration and a time in --faults exclude each other".to_owned());
        }
        for kind in self.mix.kinds() {
            if !kind.goes(self.direction) {
                let (kind, direction) = (kind.name(), self.direction);
                return Err(format!("--mix {kind} needs another --direction than {direction}"));
            }
        }
        Ok(())
    }

    /// How long calls are begun.
    pub fn duration(&self) -> Duration {
        self.duration.or(self.faults.duration).unwrap_or(DURATION)
    }

    /// How long a call may take without an excuse.
    pub fn patience(&self) -> Duration {
        let longest = self.mix.kinds().map(|kind| kind.parts() as usize).max().unwrap_or(1);
        let call = longest.saturating_mul(*self.payload.end()).saturating_mul(2);
        let seconds = call.saturating_mul(self.callers as usize) / SLOWEST;
        self.patience.unwrap_or(PATIENCE + Duration::from_secs(seconds as u64))
    }
}
