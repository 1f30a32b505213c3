//! The ratios that Trunkline has set itself.
//!
//! A ratio is of two figures of the same round, and what counts is the median over the
//! rounds: what else the machine did in a round concerns both figures.

use serde_json::Value;
use serde_json::json;

use crate::results::Results;
use crate::results::Round;
use crate::results::Spread;
use crate::system::System;

/// What a value must be, and how it came out.
#[derive(Clone, Debug)]
pub struct Target {
    pub system: System,
    pub name: &'static str,
    pub bound: Bound,
    /// Over the rounds.
    pub value: Spread,
}

#[derive(Clone, Copy, Debug)]
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

use Bound::AtLeast;
use Bound::AtMost;

impl Target {
    pub fn is_met(&self) -> bool {
        match self.bound {
            AtMost(bound) => self.value.median <= bound,
            AtLeast(bound) => self.value.median >= bound,
        }
    }

    pub fn to_json(&self) -> Value {
        let (at_most, at_least) = match self.bound {
            AtMost(bound) => (Some(bound), None),
            AtLeast(bound) => (None, Some(bound)),
        };
        json!({
            "system": self.system.name(),
            "name": self.name,
            "value": self.value.median,
            "spread": [self.value.least, self.value.most],
            "at_most": at_most,
            "at_least": at_least,
            "met": self.is_met(),
        })
    }
}

/// All that can be told from what was measured.
pub fn all(results: &Results) -> Vec<Target> {
    let pairs = [
        (System::Trunkline, System::TonicDirect, System::UdsFloor),
        (System::TrunklineCt, System::TonicDirectCt, System::UdsFloorCt),
    ];
    let of = |(system, direct, floor)| {
        let formulas = formulas(system, direct, floor);
        formulas.into_iter().filter_map(move |(name, bound, value, by)| {
            let ratios =
                results.rounds.iter().filter_map(|round| ratio(round, &value, by.as_ref()));
            let value = Spread::of(ratios.collect())?;
            Some(Target { system, name, bound, value })
        })
    };
    pairs.into_iter().flat_map(of).collect()
}

/// A figure of a system.
type Figure = (System, &'static str);

/// A name, the bound of the value, the value, and what it is divided by.
type Formula = (&'static str, Bound, Figure, Option<Figure>);

fn ratio(round: &Round, value: &Figure, by: Option<&Figure>) -> Option<f64> {
    let figure = |(system, metric): &Figure| round.get(system)?.metrics.get(*metric).copied();
    let by = by.map_or(Some(1.0), figure)?;
    Some(figure(value)? / by)
}

/// The table of the targets, one line each.
fn formulas(ours: System, direct: System, floor: System) -> Vec<Formula> {
    let (go, tls) = (System::Goplugin, System::GopluginMtls);
    let own = |metric| (ours, metric);
    let by = |system, metric| Some((system, metric));
    let (open, seq) = ("open_first_call_us_p50", "seq_call_us_p50");
    let (bulk, cpu) = ("bulk_mb_s", "cpu_us_per_call_256");
    // Where the other system's figure is above, a ratio says how many times less ours is.
    vec![
        ("open / own sequential call", AtMost(1.3), own(open), by(ours, seq)),
        ("goplugin's open / open", AtLeast(4.0), (go, open), by(ours, open)),
        ("goplugin_mtls' open / open", AtLeast(40.0), (tls, open), by(ours, open)),
        ("sequential call / tonic's", AtMost(0.8), own(seq), by(direct, seq)),
        ("sequential call / floor", AtMost(1.4), own(seq), by(floor, seq)),
        (
            "256 callers / tonic's",
            AtLeast(3.0),
            own("calls_per_s_256"),
            by(direct, "calls_per_s_256"),
        ),
        (
            "256 callers / goplugin's",
            AtLeast(3.0),
            own("calls_per_s_256"),
            by(go, "calls_per_s_256"),
        ),
        ("64 x 1 / 64 on one", AtLeast(1.0), own("calls_per_s_64x1"), by(ours, "calls_per_s_64")),
        ("1 caller / tonic's", AtLeast(1.0), own("calls_per_s_1"), by(direct, "calls_per_s_1")),
        ("16 callers / tonic's", AtLeast(1.5), own("calls_per_s_16"), by(direct, "calls_per_s_16")),
        ("CPU of a call at 256, us", AtMost(8.0), own(cpu), None),
        ("CPU of a call at 256 / goplugin's", AtMost(1.0 / 3.0), own(cpu), by(go, cpu)),
        ("bulk / tonic's", AtLeast(1.0), own(bulk), by(direct, bulk)),
        ("bulk / goplugin's", AtLeast(2.5), own(bulk), by(go, bulk)),
        (
            "p50 beside bulk / idle",
            AtMost(2.0),
            own("small_during_bulk_us_p50"),
            by(ours, "small_idle_us_p50"),
        ),
        (
            "p99 beside bulk / idle",
            AtMost(3.0),
            own("small_during_bulk_us_p99"),
            by(ours, "small_idle_us_p99"),
        ),
        (
            "bulk beside small calls / alone",
            AtLeast(0.8),
            own("bulk_during_small_mb_s"),
            by(ours, bulk),
        ),
        ("KiB of an idle sub-channel, both ends", AtMost(2.0), own("idle_kib_per_channel"), None),
        ("the same of 100,000", AtMost(2.0), own("idle_kib_per_channel_at_100000"), None),
        ("descriptors of idle sub-channels", AtMost(0.0), own("idle_fds"), None),
        (
            "sequential call beside 1,000 / 10",
            AtMost(1.1),
            own("seq_call_us_p50_at_1000_open"),
            by(ours, "seq_call_us_p50_at_10_open"),
        ),
        (
            "sequential call beside 100,000 / 10",
            AtMost(1.1),
            own("seq_call_us_p50_at_100000_open"),
            by(ours, "seq_call_us_p50_at_10_open"),
        ),
        (
            "CPU of a call beside 1,000 / 10",
            AtMost(1.1),
            own("cpu_us_per_call_256_at_1000_open"),
            by(ours, "cpu_us_per_call_256_at_10_open"),
        ),
        (
            "CPU of a call beside 100,000 / 10",
            AtMost(1.1),
            own("cpu_us_per_call_256_at_100000_open"),
            by(ours, "cpu_us_per_call_256_at_10_open"),
        ),
        ("opens a second, 16 openers", AtLeast(100_000.0), own("opens_per_s_16"), None),
        ("cold start to first callback, ms", AtMost(3.0), own("cold_start_ms_p50"), None),
    ]
}
