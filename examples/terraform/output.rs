//! What goes to standard output: text as it comes, or one JSON document at the end. And
//! diagnostics: to standard error, or into the document.

use std::fmt;
use std::io::Write;

use serde_json::Map;
use serde_json::Value as Json;

use crate::render::Style;
use crate::render::diagnostic;
use crate::render::printable_json;
use crate::report::Report;

/// The part of the document without which nobody knows what there is.
pub const UNSAVED_STATE: &str = "unsaved_state";

/// Something to write on.
type Stream = Box<dyn Write + Send>;

/// Where a command says what it has done.
pub struct Output {
    pub style: Style,
    stdout: Stream,
    stderr: Stream,
    error_style: Style,
    /// How many columns diagnostics may have, on a terminal.
    width: Option<usize>,
    /// The document, if one is wanted.
    document: Option<Map<String, Json>>,
    /// How many diagnostics were shown.
    shown: usize,
    /// Nobody reads what is written.
    is_broken: bool,
}

/// Where something went that must not be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rescued {
    /// It will stand in the document.
    InDocument,
    ToStdout,
    ToStderr,
    /// Nothing could be written.
    Nowhere,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("is_json", &self.is_json()).finish_non_exhaustive()
    }
}

impl Output {
    pub fn new(as_json: bool) -> Self {
        let (stdout, stderr) = (std::io::stdout(), std::io::stderr());
        let style = if as_json { Style::OFF } else { Style::for_stream(&stdout) };
        let (error_style, width) = (Style::for_stream(&stderr), width(&stderr));
        let plain = Self::on(Box::new(stdout), Box::new(stderr), as_json);
        Self { style, error_style, width, ..plain }
    }

    /// On other streams than the process's, without colours.
    pub fn on(stdout: Stream, stderr: Stream, as_json: bool) -> Self {
        Self {
            style: Style::OFF,
            stdout,
            stderr,
            error_style: Style::OFF,
            width: None,
            document: as_json.then(Map::new),
            shown: 0,
            is_broken: false,
        }
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

    /// Writes what nobody else knows, as a part of the document or by itself: to standard
    /// error, if standard output takes nothing.
    pub fn rescue(&mut self, key: &str, value: Json) -> Rescued {
        if self.is_json() {
            // All of the document takes the same way, if it has to.
            self.set(key, value);
            return Rescued::InDocument;
        }
        self.write_somewhere(&document_text(&value))
    }

    /// Shows diagnostics that were not shown yet.
    pub fn show(&mut self, report: &Report) {
        if self.is_json() {
            return;
        }
        for entry in report.entries().iter().skip(self.shown) {
            // Nothing can be done about a standard error that is closed.
            let text = diagnostic::text(entry, self.error_style, self.width);
            let _ = self.stderr.write_all(text.as_bytes());
        }
        self.shown = report.entries().len();
    }

    /// Ends it. Fails if nobody could read it.
    pub fn finish(mut self, report: &Report) -> bool {
        self.show(report);
        if let Some(mut document) = self.document.take() {
            let diagnostics = report.entries().iter().map(diagnostic::json);
            document.insert("diagnostics".to_owned(), diagnostics.collect());
            let must_survive = document.contains_key(UNSAVED_STATE);
            let text = document_text(&Json::Object(document));
            if must_survive {
                self.write_somewhere(&text);
            } else {
                self.write(&text);
            }
        }
        !self.is_broken
    }

    /// Without the panic of `println` when the reader is gone: what was done is to be kept.
    /// Whether it was written.
    pub fn write(&mut self, text: &str) -> bool {
        let written = self.stdout.write_all(text.as_bytes()).and_then(|()| self.stdout.flush());
        if let Err(error) = &written
            && !self.is_broken
        {
            self.is_broken = true;
            tracing::warn!(%error, "standard output cannot be written");
        }
        written.is_ok()
    }

    fn write_somewhere(&mut self, text: &str) -> Rescued {
        if self.write(text) {
            return Rescued::ToStdout;
        }
        let written = self.stderr.write_all(text.as_bytes()).and_then(|()| self.stderr.flush());
        if written.is_ok() { Rescued::ToStderr } else { Rescued::Nowhere }
    }
}

fn document_text(json: &Json) -> String {
    format!("{}\n", printable_json(json))
}

/// How many columns the terminal has, if it is one.
fn width(stream: &impl std::os::fd::AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    (size.ws_col > 0).then_some(size.ws_col.into())
}
