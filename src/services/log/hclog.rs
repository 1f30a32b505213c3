//! hclog's lines: what go-plugin's plugins log to standard error, one JSON
//! object a line, with the lines around them that are not hclog's.
//!
//! A host reads them ([`Lines`]), a plugin writes them ([`line()`]).

mod read;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use read::Lines;
#[cfg(test)]
pub(crate) use write::LONGEST_LINE;
pub(crate) use write::line;

/// The keys that mean something. All others are fields.
mod key {
    pub(super) const LEVEL: &str = "@level";
    pub(super) const MESSAGE: &str = "@message";
    pub(super) const MODULE: &str = "@module";
    pub(super) const TIMESTAMP: &str = "@timestamp";
    pub(super) const CALLER: &str = "@caller";
    /// Not hclog's: the bytes that were cut off, if any.
    pub(super) const CUT: &str = "@cut";

    pub(super) const ALL: [&str; 6] = [LEVEL, MESSAGE, MODULE, TIMESTAMP, CALLER, CUT];
}
