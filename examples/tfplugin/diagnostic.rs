//! What a provider has to tell the user.

use super::cty::Path;
use super::wire::tfplugin as wire;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The operation failed, although the call succeeded.
    Error,
    Warning,
}

/// One thing to tell the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    /// One line.
    pub summary: String,
    /// Any number of paragraphs, or empty.
    pub detail: String,
    /// What of the configuration it is about. Empty: all of it.
    pub attribute: Path,
}

impl Diagnostic {
    /// An error about the configuration as a whole.
    pub fn error(summary: impl Into<String>, detail: impl Into<String>) -> Self {
        let (summary, detail) = (summary.into(), detail.into());
        Self { severity: Severity::Error, summary, detail, attribute: Path::default() }
    }

    /// A warning about the configuration as a whole.
    pub fn warning(summary: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(summary, detail) }
    }

    /// The same, about what the path leads to.
    #[must_use]
    pub fn at(self, attribute: Path) -> Self {
        Self { attribute, ..self }
    }
}

/// Whether one of them is an error.
#[must_use]
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}

/// A severity that the protocol does not have is an error: nothing may pass for harmless.
impl From<wire::Diagnostic> for Diagnostic {
    fn from(_diagnostic: wire::Diagnostic) -> Self {
        unimplemented!()
    }
}

impl From<Diagnostic> for wire::Diagnostic {
    fn from(_diagnostic: Diagnostic) -> Self {
        unimplemented!()
    }
}

/// A step without a selector ends the path: it then leads to what surrounds the value.
impl From<wire::AttributePath> for Path {
    fn from(_path: wire::AttributePath) -> Self {
        unimplemented!()
    }
}

/// The wire has no step into a set. There the path ends, and leads to the set.
impl From<&Path> for wire::AttributePath {
    fn from(_path: &Path) -> Self {
        unimplemented!()
    }
}
