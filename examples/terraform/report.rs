//! What there is to tell the user: diagnostics, and what they are about.

use std::error::Error;

use crate::tfplugin::diagnostic::Diagnostic;
use crate::tfplugin::diagnostic::Severity;
use crate::tfplugin::diagnostic::has_errors;

/// How many diagnostics are shown. Nobody reads more, and a provider may have a million.
pub const MOST_ENTRIES: usize = 1000;

/// Diagnostics, in the order in which they came: the first [`MOST_ENTRIES`], and in one more
/// how many are left out.
#[derive(Debug, Default)]
pub struct Report {
    entries: Vec<Entry>,
    left_out: usize,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it is about, such as `random_string.example`; empty if nothing in particular.
    pub subject: String,
    pub diagnostic: Diagnostic,
}

/// It has failed, and the report says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

impl Report {
    pub fn add(&mut self, subject: &str, diagnostic: Diagnostic) {
        self.push(Entry { subject: subject.to_owned(), diagnostic });
    }

    fn push(&mut self, entry: Entry) {
        if self.entries.len() < MOST_ENTRIES {
            return self.entries.push(entry);
        }
        self.left_out += 1;
        // A report with an error among what is left out has errors.
        let severity = match self.entries.get(MOST_ENTRIES) {
            Some(last) if last.diagnostic.severity == Severity::Error => Severity::Error,
            _ => entry.diagnostic.severity,
        };
        let detail = format!("As many are not shown: {}.", self.left_out);
        let diagnostic =
            Diagnostic { severity, ..Diagnostic::warning("There are more diagnostics", detail) };
        self.entries.truncate(MOST_ENTRIES);
        self.entries.push(Entry { subject: String::new(), diagnostic });
    }

    /// Takes what a provider has to say. Fails if there are errors among it.
    pub fn take(
        &mut self,
        subject: &str,
        diagnostics: impl IntoIterator<Item = impl Into<Diagnostic>>,
    ) -> Result<(), Failed> {
        let diagnostics: Vec<Diagnostic> = diagnostics.into_iter().map(Into::into).collect();
        let failed = has_errors(&diagnostics);
        for diagnostic in diagnostics {
            self.add(subject, diagnostic);
        }
        if failed { Err(Failed) } else { Ok(()) }
    }

    /// Says why something has failed.
    pub fn fail(&mut self, subject: &str, summary: &str, detail: impl Into<String>) -> Failed {
        self.add(subject, Diagnostic::error(summary, detail));
        Failed
    }

    /// Takes what another report has.
    pub fn extend(&mut self, other: Self) {
        other.entries.into_iter().for_each(|entry| self.push(entry));
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn has_errors(&self) -> bool {
        self.entries.iter().any(|entry| has_errors(std::slice::from_ref(&entry.diagnostic)))
    }
}

/// An error with all that caused it, in lines.
pub fn explain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // Some errors show their cause themselves.
        if !text.ends_with(&said) {
            text.push_str("\n  because: ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

/// The same, as sentences begin.
pub fn sentence(error: &(dyn Error + 'static)) -> String {
    let said = explain(error);
    let mut rest = said.chars();
    rest.next().into_iter().flat_map(char::to_uppercase).chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_no_failure_and_errors_are() {
        let mut report = Report::default();
        let warning = Diagnostic::warning("old", "");
        assert_eq!(report.take("a.b", [warning.clone()]), Ok(()));
        assert!(!report.has_errors());
        assert_eq!(report.take("a.b", [warning, Diagnostic::error("wrong", "")]), Err(Failed));
        assert!(report.has_errors());
        assert_eq!(report.entries().len(), 3);
    }

    #[test]
    fn of_very_many_diagnostics_the_first_are_shown_and_the_rest_counted() {
        let mut report = Report::default();
        for _ in 0..MOST_ENTRIES {
            report.add("", Diagnostic::warning("old", ""));
        }
        assert_eq!((report.entries().len(), report.has_errors()), (MOST_ENTRIES, false));
        let diagnostics = [Diagnostic::error("wrong", ""), Diagnostic::warning("old", "")];
        assert_eq!(report.take("", diagnostics), Err(Failed));
        assert!(report.has_errors());
        assert_eq!(report.entries().len(), MOST_ENTRIES + 1);
        let last = report.entries().last().expect("it is there");
        assert_eq!(last.diagnostic.detail, "As many are not shown: 2.");
    }

    #[test]
    fn an_error_is_explained_with_its_causes() {
        let cause = std::io::Error::new(std::io::ErrorKind::NotFound, "no such file");
        let error = std::io::Error::other(cause);
        assert_eq!(explain(&error), "no such file");
        #[derive(Debug, thiserror::Error)]
        #[error("the state cannot be read")]
        struct Outer(#[source] std::io::Error);
        assert_eq!(sentence(&Outer(error)), "The state cannot be read\n  because: no such file");
    }
}
