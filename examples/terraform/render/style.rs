//! Colours, and text that is safe to show on a terminal.

use std::io::IsTerminal;

use anstyle::AnsiColor;

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

/// The text without what steers terminals: a provider, or who it asks, has written it.
pub fn printable(text: &str) -> String {
    let is_harmless = |c: char| !c.is_control() || c == '\n' || c == '\t';
    text.chars().map(|c| if is_harmless(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
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
            _ if character.is_control() => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// A name, in quotes if it is none that a configuration may have without.
pub fn name(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    if is_plain { text.to_owned() } else { quoted(text) }
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
    }

    #[test]
    fn without_a_terminal_there_is_no_colour() {
        assert_eq!(Style::OFF.red("x"), "x");
        assert_eq!(Style { is_on: true }.red("x"), "\u{1b}[31mx\u{1b}[0m");
    }
}
