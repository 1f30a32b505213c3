//! The program's own log and the provider's, on standard error; and what the provider wrote
//! last, for messages.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use tracing::Event;
use tracing::Level;
use tracing::Subscriber;
use tracing::field::Field;
use tracing::field::Visit;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Context;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::render::printable;

/// The target of a plugin's log; what it writes elsewhere is in targets below it.
const PLUGIN: &str = "trunkline::plugin";

/// How many lines are kept. The beginning of a panic, and of the stack under it, is in fewer.
const MOST_LINES: usize = 12;

/// How much of a line is kept, in bytes.
const LONGEST_LINE: usize = 1024;

/// How a program in Go says that it is dying. What comes after that is its stack.
const DYING: [&str; 3] = ["panic: ", "fatal error: ", "SIGABRT: "];

/// The last lines that the provider wrote: of its log those at WARN and above, and its
/// output. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct LastWords(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    lines: VecDeque<String>,
    /// The first lines of a panic are worth more than the last ones.
    is_dying: bool,
}

impl LastWords {
    pub fn lines(&self) -> Vec<String> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.lines.iter().cloned().collect()
    }

    fn push(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Lines { lines, is_dying } = &mut *lines;
        if !*is_dying && DYING.iter().any(|beginning| line.starts_with(beginning)) {
            *is_dying = true;
            lines.clear();
        }
        if lines.len() == MOST_LINES {
            if *is_dying {
                return;
            }
            lines.pop_front();
        }
        let end = line.floor_char_boundary(LONGEST_LINE);
        lines.push_back(printable(&line[..end]));
    }
}

impl<S: Subscriber> Layer<S> for LastWords {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut Message(self));
    }
}

struct Message<'a>(&'a LastWords);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0.push(&format!("{value:?}"));
        }
    }
}

/// Starts to log: what `RUST_LOG` says, or else what is at WARN and above.
pub fn start(with_colour: bool) -> LastWords {
    let last_words = LastWords::default();
    let shown = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let written = Targets::new()
        .with_target(PLUGIN, LevelFilter::WARN)
        .with_target("trunkline::plugin::stdout", LevelFilter::INFO)
        .with_target("trunkline::plugin::stderr", LevelFilter::INFO);
    let to_stderr =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(with_colour);
    tracing_subscriber::registry()
        .with(to_stderr.with_filter(shown))
        .with(last_words.clone().with_filter(written))
        .init();
    last_words
}

/// How much of its log the provider is asked for: what is shown.
pub fn level() -> Level {
    let levels = [
        (Level::TRACE, tracing::enabled!(target: "trunkline::plugin", Level::TRACE)),
        (Level::DEBUG, tracing::enabled!(target: "trunkline::plugin", Level::DEBUG)),
        (Level::INFO, tracing::enabled!(target: "trunkline::plugin", Level::INFO)),
    ];
    let shown = levels.into_iter().find(|(_, is_shown)| *is_shown);
    shown.map_or(Level::WARN, |(level, _)| level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept() {
        let words = LastWords::default();
        for number in 0..20 {
            words.push(&number.to_string());
        }
        let lines = words.lines();
        assert_eq!((lines.len(), lines[0].as_str(), lines[11].as_str()), (12, "8", "19"));
    }

    #[test]
    fn of_a_panic_the_first_lines_are_kept() {
        let words = LastWords::default();
        words.push("before");
        words.push("panic: nil map");
        for number in 0..40 {
            words.push(&format!("frame {number}"));
        }
        let lines = words.lines();
        assert_eq!((lines.len(), lines[0].as_str()), (12, "panic: nil map"));
        assert_eq!(lines[11], "frame 10");
    }

    #[test]
    fn long_lines_are_cut_and_what_steers_terminals_is_taken_out() {
        let words = LastWords::default();
        words.push(&format!("\u{1b}[31m{}", "é".repeat(LONGEST_LINE)));
        let line = words.lines().remove(0);
        assert!(line.len() <= LONGEST_LINE + 8 && !line.contains('\u{1b}'), "{line}");
    }
}
