//! Which kinds of calls are made, and how often each.

use std::fmt;
use std::str::FromStr;

use fastrand::Rng;

use crate::calls::Kind;

/// The word for the three kinds of calls that stream messages, which share its weight.
const STREAMS: (&str, [Kind; 3]) = ("streams", [Kind::Client, Kind::Server, Kind::Bidi]);

/// The most that one weight may be.
const HEAVIEST: u32 = 1_000_000;

/// Kinds with their weights: `unary=8,streams,bytes=0`.
#[derive(Clone, Debug)]
pub struct Mix {
    text: String,
    weights: Vec<(Kind, u32)>,
    total: u32,
}

impl Mix {
    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.weights.iter().map(|(kind, _)| *kind)
    }

    /// A kind, as often as its weight says.
    pub fn draw(&self, rng: &mut Rng) -> Kind {
        let mut at = rng.u32(..self.total);
        for (kind, weight) in &self.weights {
            if at < *weight {
                return *kind;
            }
            at -= weight;
        }
        unreachable!("the total is the sum of the weights")
    }
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut weights = Vec::new();
        for entry in text.split(',') {
            let (name, weight) = entry.split_once('=').unwrap_or((entry, "1"));
            let weight: u32 = weight.trim().parse().map_err(|_| {
                format!("the weight {:?} of {name:?} is not a whole number", weight.trim())
            })?;
            if weight > HEAVIEST {
                return Err(format!("the weight of {name:?} is above {HEAVIEST}"));
            }
            let kinds = kinds(name.trim())?;
            // Every weight counts three times, so that it can be shared by three.
            let each = weight * 3 / kinds.len() as u32;
            for kind in kinds {
                if weights.iter().any(|(other, _)| other == kind) {
                    return Err(format!("{:?} is named twice", kind.name()));
                }
                weights.push((*kind, each));
            }
        }
        weights.retain(|(_, weight)| *weight > 0);
        let total = weights.iter().map(|(_, weight)| weight).sum();
        if total == 0 {
            return Err("all weights are 0".to_owned());
        }
        Ok(Self { text: text.to_owned(), weights, total })
    }
}

fn kinds(name: &str) -> Result<&'static [Kind], String> {
    if name == STREAMS.0 {
        return Ok(&STREAMS.1);
    }
    let one = Kind::ALL.iter().position(|kind| kind.name() == name);
    one.map(|at| &Kind::ALL[at..=at]).ok_or_else(|| {
        let names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        format!("{name:?} is not one of {}, {}", STREAMS.0, names.join(", "))
    })
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
