//! What the command line says.

use std::ops::Range;
use std::time::Duration;

use crate::plan::Kind;
use crate::plugin::PluginOptions;

/// Runs plugins under load, with faults if asked to, and proves that no call is
/// lost, doubled, reordered, wrong or hung. Exit status: 0 if so, 1 if not, 130
/// after Ctrl-C.
#[derive(clap::Parser, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How long to run, without faults.
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub duration: Duration,
    /// How long to run with faults: kills, stops, cuts.
    #[arg(long, value_parser = duration, conflicts_with = "duration")]
    pub faults: Option<Duration>,
    /// Plugins that run at once.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub plugins: u32,
    /// Tasks that make one call after the other.
    #[arg(long, default_value_t = 64)]
    pub callers: u32,
    /// Sub-channels to each plugin that the callers share.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    pub channels: u32,
    /// The shortest and the longest piece of a message.
    #[arg(long, default_value = "0..16KiB", value_parser = sizes)]
    pub payload: Range<usize>,
    /// The kinds of calls.
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = Kind::ALL)]
    pub mix: Vec<Kind>,
    /// Low limits, other ones for each plugin: small windows and frames, few calls
    /// at once. Calls may then be refused.
    #[arg(long)]
    pub tight: bool,
    /// How long it takes from one fault of a plugin to the next, on average.
    #[arg(long, default_value = "800ms", value_parser = duration)]
    pub every: Duration,
    /// Decides every choice; by default it is drawn. Printed.
    #[arg(long)]
    pub seed: Option<u64>,
    /// How long a call may take beyond the last thing that could delay it,
    /// before it counts as hung.
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub patience: Duration,
    /// The host's runtime.
    #[arg(long, value_enum, default_value = "multi")]
    pub runtime: Flavor,
    /// The plugins' runtime.
    #[arg(long, value_enum, default_value = "current")]
    pub plugin_runtime: Flavor,
    /// Print the summary as JSON, and nothing else on standard output.
    #[arg(long)]
    pub json: bool,
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
    pub fn length(&self) -> Duration {
        self.faults.unwrap_or(self.duration)
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text)?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" | "" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number * 60)),
        "h" => Ok(Duration::from_secs(number * 3600)),
        _ => Err(format!("{unit:?} is not one of ms, s, m, h")),
    }
}

fn sizes(text: &str) -> Result<Range<usize>, String> {
    let (least, most) = text.split_once("..").unwrap_or((text, text));
    let (least, most) = (size(least)?, size(most)?);
    if least > most {
        return Err("the shortest is longer than the longest".to_owned());
    }
    Ok(least..most)
}

fn size(text: &str) -> Result<usize, String> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => return Err(format!("{unit:?} is not one of B, KiB, MiB")),
    };
    Ok(number as usize * factor)
}

fn split(text: &str) -> Result<(u64, &str), String> {
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let number = number.parse().map_err(|_| format!("{text:?} has no number"))?;
    Ok((number, unit.trim()))
}
