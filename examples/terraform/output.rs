//! What goes to standard output: text as it comes, or one JSON document at the end. And
//! diagnostics: to standard error, or into the document.

use std::io::Write;

use serde_json::Map;
use serde_json::Value as Json;

use crate::render::Style;
use crate::render::diagnostic;
use crate::report::Report;

/// Where a command says what it has done.
#[derive(Debug)]
pub struct Output {
    pub style: Style,
    /// The document, if one is wanted.
    document: Option<Map<String, Json>>,
    /// How many diagnostics were shown.
    shown: usize,
    /// Nobody reads what is written.
    is_broken: bool,
}

impl Output {
    pub fn new(as_json: bool) -> Self {
        let style = if as_json { Style::OFF } else { Style::for_stream(&std::io::stdout()) };
        Self { style, document: as_json.then(Map::new), shown: 0, is_broken: false }
    }

    pub fn is_json(&self) -> bool {
        self.document.is_some()
    }

    /// A paragraph for people.
    pub fn say(&mut self, text: &str) {
        if !self.is_json() {
            self.write(&format!("{text}\n"));
        }
    }

    /// A part of the document.
    pub fn set(&mut self, key: &str, value: impl Into<Json>) {
        if let Some(document) = &mut self.document {
            document.insert(key.to_owned(), value.into());
        }
    }

    /// Shows diagnostics that were not shown yet.
    pub fn show(&mut self, report: &Report) {
        if self.is_json() {
            return;
        }
        let stderr = std::io::stderr();
        let style = Style::for_stream(&stderr);
        let width = width(&stderr);
        for entry in report.entries().iter().skip(self.shown) {
            // Nothing can be done about a standard error that is closed.
            let _ = write!(&stderr, "{}", diagnostic::text(entry, style, width));
        }
        self.shown = report.entries().len();
    }

    /// Ends it. Fails if nobody could read it.
    pub fn finish(mut self, report: &Report) -> bool {
        self.show(report);
        if let Some(mut document) = self.document.take() {
            let diagnostics = report.entries().iter().map(diagnostic::json);
            document.insert("diagnostics".to_owned(), diagnostics.collect());
            self.write(&format!("{:#}\n", Json::Object(document)));
        }
        !self.is_broken
    }

    /// Without the panic of `println` when the reader is gone: what was done is to be kept.
    pub fn write(&mut self, text: &str) {
        let mut stdout = std::io::stdout();
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        if let Err(error) = written
            && !self.is_broken
        {
            self.is_broken = true;
            tracing::warn!(%error, "standard output cannot be written");
        }
    }
}

/// How many columns the terminal has, if it is one.
fn width(stream: &impl std::os::fd::AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    (size.ws_col > 0).then_some(size.ws_col.into())
}
