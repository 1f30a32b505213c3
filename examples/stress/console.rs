//! What people see while it runs: lines on standard error, with progress bars below
//! them if that is a terminal. A reader that has gone away stops nothing.

use std::fmt::Display;
use std::io;
use std::io::Write;
use std::sync::LazyLock;

use indicatif::MultiProgress;

/// Where all bars are. Draws nothing if standard error is no terminal.
pub static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Says something, above the bars.
pub fn note(what: impl Display) {
    // There is nobody to tell if it fails.
    let _ = writeln!(Stderr, "stress: {what}");
}

/// Prints the outcome.
///
/// # Errors
///
/// Those of standard output.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| io::Error::other(format!("standard output: {error}")))
}

/// Standard error, above the bars.
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        BARS.suspend(|| io::stderr().write(text))
    }

    fn write_all(&mut self, text: &[u8]) -> io::Result<()> {
        BARS.suspend(|| io::stderr().write_all(text))
    }

    fn write_fmt(&mut self, text: std::fmt::Arguments<'_>) -> io::Result<()> {
        self.write_all(text.to_string().as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
