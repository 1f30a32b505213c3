//! How much of everything is measured: decided once, told to every process of every
//! system.

use std::time::Duration;

/// One of the runs of a pair of processes. Each has processes of its own, because memory
/// that one leaves behind would be counted for, or hidden from, the next.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// From starting the child to its first callback, several times.
    Cold,
    /// Latencies and rates.
    Speed,
    /// Many sub-channels that do nothing.
    Idle,
    /// The cost of a call beside ever more idle sub-channels.
    Scale,
}

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Speed => "speed",
            Self::Idle => "idle",
            Self::Scale => "scale",
        }
    }
}

/// How much of everything is measured.
#[derive(clap::Args, Clone, Debug)]
pub struct Plan {
    #[arg(long, value_enum)]
    pub phase: Phase,
    /// How long each rate and each latency is measured, in milliseconds.
    #[arg(long)]
    pub millis: u64,
    /// What a bulk transfer moves, in MiB.
    #[arg(long)]
    pub bulk_mib: u64,
    /// Children that are started to see how long it takes.
    #[arg(long)]
    pub starts: u32,
    /// Sub-channels that are held open, idle.
    #[arg(long)]
    pub idle: u32,
    /// How long the opening of those may take, in milliseconds; then it is measured
    /// with as many as there are.
    #[arg(long)]
    pub idle_millis: u64,
}

impl Plan {
    /// For a run whose figures are to be quoted.
    pub fn full(phase: Phase) -> Self {
        Self { phase, millis: 500, bulk_mib: 512, starts: 20, idle: 10_000, idle_millis: 12_000 }
    }

    /// For a look at whether it works.
    pub fn quick(phase: Phase) -> Self {
        Self { phase, millis: 80, bulk_mib: 64, starts: 3, idle: 500, idle_millis: 1000 }
    }

    pub fn time(&self) -> Duration {
        Duration::from_millis(self.millis)
    }

    /// How long the same is done before it counts.
    pub fn warm_up(&self) -> Duration {
        self.time() / 4
    }

    /// The plan as the command line of the next process, in Rust or Go.
    pub fn arguments(&self) -> Vec<String> {
        let Self { phase, millis, bulk_mib, starts, idle, idle_millis } = self;
        vec![
            format!("--phase={}", phase.name()),
            format!("--millis={millis}"),
            format!("--bulk-mib={bulk_mib}"),
            format!("--starts={starts}"),
            format!("--idle={idle}"),
            format!("--idle-millis={idle_millis}"),
        ]
    }
}
