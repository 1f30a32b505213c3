//! What a provider has to tell the user.

use super::cty::Path;
use super::cty::Step;
use super::wire::tfplugin as wire;
use super::wire::tfplugin::attribute_path::step::Selector;

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
    fn from(diagnostic: wire::Diagnostic) -> Self {
        let severity = match diagnostic.severity() {
            wire::diagnostic::Severity::Warning => Severity::Warning,
            wire::diagnostic::Severity::Error | wire::diagnostic::Severity::Invalid => {
                Severity::Error
            }
        };
        let wire::Diagnostic { summary, detail, attribute, .. } = diagnostic;
        Self { severity, summary, detail, attribute: attribute.map(Path::from).unwrap_or_default() }
    }
}

impl From<Diagnostic> for wire::Diagnostic {
    fn from(diagnostic: Diagnostic) -> Self {
        let Diagnostic { severity, summary, detail, attribute } = diagnostic;
        let severity = match severity {
            Severity::Error => wire::diagnostic::Severity::Error,
            Severity::Warning => wire::diagnostic::Severity::Warning,
        };
        let attribute = wire::AttributePath::from(&attribute);
        let attribute = (!attribute.steps.is_empty()).then_some(attribute);
        Self { severity: severity.into(), summary, detail, attribute }
    }
}

/// A step without a selector ends the path: it then leads to what surrounds the value.
impl From<wire::AttributePath> for Path {
    fn from(path: wire::AttributePath) -> Self {
        let selectors = path.steps.into_iter().map_while(|step| step.selector);
        selectors
            .map(|selector| match selector {
                Selector::AttributeName(name) => Step::Attribute(name),
                Selector::ElementKeyString(key) => Step::Key(key),
                Selector::ElementKeyInt(index) => Step::Index(index),
            })
            .collect()
    }
}

/// The wire has no step into a set. There the path ends, and leads to the set.
impl From<&Path> for wire::AttributePath {
    fn from(path: &Path) -> Self {
        let selectors = path.0.iter().map_while(|step| match step {
            Step::Attribute(name) => Some(Selector::AttributeName(name.clone())),
            Step::Key(key) => Some(Selector::ElementKeyString(key.clone())),
            Step::Index(index) => Some(Selector::ElementKeyInt(*index)),
            Step::Element(_) => None,
        });
        let steps =
            selectors.map(|selector| wire::attribute_path::Step { selector: Some(selector) });
        Self { steps: steps.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> Path {
        let steps = [Step::Attribute("a".into()), Step::Key("k".into()), Step::Index(2)];
        steps.into_iter().collect()
    }

    #[test]
    fn a_diagnostic_survives_the_wire() {
        let warning = Diagnostic::warning("old", "use the new one").at(path());
        for diagnostic in [warning, Diagnostic::error("broken", "")] {
            let wire = wire::Diagnostic::from(diagnostic.clone());
            assert_eq!(Diagnostic::from(wire), diagnostic);
        }
    }

    #[test]
    fn what_is_about_all_of_the_configuration_has_no_path_on_the_wire() {
        assert_eq!(wire::Diagnostic::from(Diagnostic::error("broken", "")).attribute, None);
    }

    #[test]
    fn a_severity_that_does_not_exist_is_an_error() {
        for severity in [0, 1, 3, -1] {
            let diagnostic = wire::Diagnostic { severity, ..wire::Diagnostic::default() };
            assert!(has_errors(&[diagnostic.into()]), "{severity}");
        }
        let warning = wire::Diagnostic { severity: 2, ..wire::Diagnostic::default() };
        assert!(!has_errors(&[warning.into()]));
    }

    #[test]
    fn a_path_ends_where_a_step_has_no_selector() {
        let mut wire = wire::AttributePath::from(&path());
        wire.steps[1].selector = None;
        assert_eq!(Path::from(wire).to_string(), ".a");
    }

    #[test]
    fn a_path_into_a_set_leads_to_the_set_on_the_wire() {
        let inside = path().join(Step::Element("x".into())).join(Step::Attribute("b".into()));
        let wire = wire::AttributePath::from(&inside);
        assert_eq!(Path::from(wire), path());
    }
}
