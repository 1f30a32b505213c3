//! Strings as cty has them: in Unicode's normal form NFC, so that two that look the same are
//! the same. More than 30 marks on one letter are parted, as Unicode's stream-safe format
//! has it: Go's normal form is that.

use std::fmt;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::is_nfc_stream_safe;

/// The text in its normal form.
pub fn normalized(text: &str) -> String {
    if text.is_ascii() || is_nfc_stream_safe(text) {
        return text.to_owned();
    }
    text.stream_safe().nfc().collect()
}

/// Whether it is a name that a configuration may have without quotes.
pub fn is_plain_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

/// A name, for people: in quotes, with escapes, unless it is plain. Names come from
/// providers, and are shown on terminals.
pub struct Name<'a>(pub &'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_plain_name(self.0) { f.write_str(self.0) } else { write!(f, "{:?}", self.0) }
    }
}
