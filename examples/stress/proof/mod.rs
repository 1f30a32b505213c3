//! The proof that all went well: executions compared with what callers saw, and
//! nothing left over, of calls, of plugins and of the whole run.

mod audit;
pub mod closing;
pub mod leaks;
pub mod pulse;
#[cfg(test)]
mod tests;
mod verify;

pub use audit::Counted;
pub use audit::Outcome;
pub use audit::Record;
pub use verify::follow;

/// What must not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem {
    Lost,
    Doubled,
    Reordered,
    Wrong,
    Hung,
    Unexplained,
    Leaked,
    Process,
}

impl Problem {
    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Doubled => "doubled",
            Self::Reordered => "reordered",
            Self::Wrong => "wrong",
            Self::Hung => "hung",
            Self::Unexplained => "unexplained",
            Self::Leaked => "leaked",
            Self::Process => "process",
        }
    }
}
