//! The last lines of a plugin's standard error, for error messages.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

/// How many lines are kept.
pub(crate) const MOST_LINES: usize = 20;

/// How many bytes are kept, of all lines together.
pub(crate) const MOST_BYTES: usize = 4 * 1024;

/// The last lines that were pushed: at most [`MOST_LINES`] and [`MOST_BYTES`].
/// Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tail {
    lines: Arc<Mutex<VecDeque<String>>>,
}

impl Tail {
    /// Adds a line, of which only the end is kept if it is too long, and
    /// forgets the oldest.
    pub(crate) fn push(&self, line: &str) {
        let start = line.ceil_char_boundary(line.len().saturating_sub(MOST_BYTES));
        let mut lines = self.lines.lock();
        lines.push_back(line[start..].to_owned());
        while lines.len() > MOST_LINES || lines.iter().map(String::len).sum::<usize>() > MOST_BYTES
        {
            lines.pop_front();
        }
    }

    /// The lines, with a newline between them.
    pub(crate) fn text(&self) -> String {
        let lines = self.lines.lock();
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_lines_are_forgotten() {
        let tail = Tail::default();
        assert_eq!(tail.text(), "");
        for number in 0..25 {
            tail.push(&number.to_string());
        }
        let expected: Vec<String> = (5..25).map(|number: i32| number.to_string()).collect();
        assert_eq!(tail.text(), expected.join("\n"));
    }

    #[test]
    fn long_lines_push_out_more_than_one() {
        let tail = Tail::default();
        tail.push("a");
        tail.push("b");
        tail.push(&"c".repeat(MOST_BYTES - 1));
        assert_eq!(tail.text().split('\n').next(), Some("b"));
        tail.push("d");
        assert_eq!(tail.text(), format!("{}\nd", "c".repeat(MOST_BYTES - 1)));
    }

    #[test]
    fn of_a_line_that_is_too_long_the_end_is_kept() {
        let tail = Tail::default();
        tail.push(&format!("{}end", "é".repeat(MOST_BYTES)));
        let text = tail.text();
        assert!(text.len() <= MOST_BYTES);
        assert!(text.ends_with("éend"));
    }

    #[test]
    fn clones_share_the_lines() {
        let tail = Tail::default();
        tail.clone().push("from the pump");
        assert_eq!(tail.text(), "from the pump");
    }
}
