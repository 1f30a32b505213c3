//! Which faults are done.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::units;

/// What is done to plugins and calls on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Plugins end: SIGKILL, `PluginHandle::kill`, stops in order; launches that fail.
    Kill,
    /// Plugins stand still for a while: SIGSTOP, then SIGCONT.
    Stall,
    /// Calls end before their time: dropped, over their deadline, cut half-way.
    Cancel,
    /// What calls depend on is dropped under them: the handle of a plugin, its trunk,
    /// a registration, a shared sub-channel.
    Drop,
}

impl Fault {
    pub const ALL: [Self; 4] = [Self::Kill, Self::Stall, Self::Cancel, Self::Drop];

    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Stall => "stall",
            Self::Cancel => "cancel",
            Self::Drop => "drop",
        }
    }
}

/// The faults that were chosen.
#[derive(Clone, Debug, Default)]
pub struct FaultSet {
    faults: BTreeSet<Fault>,
    /// How long to run, if that was given in their place.
    pub duration: Option<Duration>,
}

impl FaultSet {
    pub fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.faults.iter().map(|fault| fault.name())
    }
}

impl FromStr for FaultSet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = || Fault::ALL.into_iter().collect();
        match text {
            "none" => return Ok(Self::default()),
            "all" => return Ok(Self { faults: all(), duration: None }),
            _ if text.starts_with(|c: char| c.is_ascii_digit()) => {
                return Ok(Self { faults: all(), duration: Some(units::duration(text)?) });
            }
            _ => {}
        }
        let one = |name: &str| {
            let found = Fault::ALL.into_iter().find(|fault| fault.name() == name.trim());
            found.ok_or_else(|| {
                format!("{name:?} is not one of all, none, kill, stall, cancel, drop, or a time")
            })
        };
        let faults = text.split(',').map(one).collect::<Result<_, _>>()?;
        Ok(Self { faults, duration: None })
    }
}

impl fmt::Display for FaultSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        f.write_str(&self.names().collect::<Vec<_>>().join(","))
    }
}
