//! Colours, and text that is safe to show on a terminal.

use std::io::IsTerminal;

use anstyle::AnsiColor;
use serde_json::Value as Json;

use crate::tfplugin::cty::is_plain_name;

/// Whether and how text is coloured.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    is_on: bool,
}

impl Style {
    /// For files, documents and tests.
    pub const OFF: Self = Self { is_on: false };

    /// Colours for a terminal whose user has not turned them off (`NO_COLOR`).
    pub fn for_stream(stream: &impl IsTerminal) -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        Self { is_on: stream.is_terminal() && !is_set("NO_COLOR") && !is_dumb }
    }

    pub fn is_on(self) -> bool {
        self.is_on
    }

    pub fn bold(self, text: &str) -> String {
        self.paint(anstyle::Style::new().bold(), text)
    }

    pub fn dim(self, text: &str) -> String {
        self.paint(AnsiColor::BrightBlack.on_default(), text)
    }

    pub fn red(self, text: &str) -> String {
        self.paint(AnsiColor::Red.on_default(), text)
    }

    pub fn green(self, text: &str) -> String {
        self.paint(AnsiColor::Green.on_default(), text)
    }

    pub fn yellow(self, text: &str) -> String {
        self.paint(AnsiColor::Yellow.on_default(), text)
    }

    fn paint(self, style: anstyle::Style, text: &str) -> String {
        if self.is_on { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

/// Whether a character changes how others are shown, or hides: controls, and of Unicode's
/// format characters those for directions, joins and tags, and what has no width. Text
/// that has them may look like another text.
fn steers(c: char) -> bool {
    let is_format = matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e007f}'
    );
    c.is_control() || is_format
}

/// The text without what steers terminals: a provider, or who it asks, has written it.
pub fn printable(text: &str) -> String {
    let is_harmless = |c: char| !steers(c) || c == '\n' || c == '\t';
    text.chars().map(|c| if is_harmless(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// JSON that means the same, in which nothing steers terminals.
pub fn printable_json(json: &Json) -> String {
    let text = format!("{json:#}");
    // What is left of these stands in strings. Line ends do not: those of strings are escaped.
    let is_harmless = |c: char| !steers(c) || c == '\n';
    if text.chars().all(is_harmless) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmless(c) {
            escaped.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    escaped
}

/// A string as it stands in a configuration.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            // A template would begin here.
            '$' | '%' if characters.peek() == Some(&'{') => {
                quoted.extend([character, character]);
            }
            _ if steers(character) => quoted.push_str(&match u32::from(character) {
                short @ ..=0xffff => format!("\\u{short:04x}"),
                long => format!("\\U{long:08x}"),
            }),
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// A name, in quotes if it is none that a configuration may have without.
pub fn name(text: &str) -> String {
    if is_plain_name(text) { text.to_owned() } else { quoted(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_written_so_that_they_can_be_read_again() {
        assert_eq!(quoted("a\"b\\c\nd"), r#""a\"b\\c\nd""#);
        assert_eq!(quoted("${x} $y %{z}"), r#""$${x} $y %%{z}""#);
        assert_eq!(quoted("\u{1b}[31m"), r#""\u001b[31m""#);
        assert_eq!(
            (name("a-b"), name("1a"), name("a b")),
            ("a-b".into(), "\"1a\"".into(), "\"a b\"".into())
        );
    }

    #[test]
    fn what_steers_terminals_is_taken_out() {
        assert_eq!(printable("a\u{1b}]0;x\u{7}\tb\n"), "a\u{fffd}]0;x\u{fffd}\tb\n");
        assert_eq!(printable("a\u{202e}b\u{200b}c\u{9b}d"), "a\u{fffd}b\u{fffd}c\u{fffd}d");
        assert_eq!(quoted("a\u{202e}b\u{e0041}"), r#""a\u202eb\U000e0041""#);
        let untouched = "é שלום 日本 e\u{301} 👍🏽";
        assert_eq!(printable(untouched), untouched);
    }

    #[test]
    fn json_means_the_same_without_what_steers_terminals() {
        let json = serde_json::json!({"a\u{9b}31m": "\u{7f}\u{202e}\u{e0041}\n\u{1b}é"});
        let text = printable_json(&json);
        let safe = |c: char| !steers(c) || c == '\n';
        assert!(text.chars().all(safe), "{text:?}");
        assert!(text.contains(r"\u009b") && text.contains(r"\udb40\udc41"), "{text}");
        assert_eq!(serde_json::from_str::<Json>(&text).unwrap(), json);
    }

    #[test]
    fn without_a_terminal_there_is_no_colour() {
        assert_eq!(Style::OFF.red("x"), "x");
        assert_eq!(Style { is_on: true }.red("x"), "\u{1b}[31mx\u{1b}[0m");
    }
}
