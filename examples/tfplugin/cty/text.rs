//! Strings as cty has them: in Unicode's normal form NFC, so that two that look the same are
//! the same.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::is_nfc;

/// The text in its normal form.
pub fn normalized(text: &str) -> String {
    if text.is_ascii() || is_nfc(text) { text.to_owned() } else { text.nfc().collect() }
}
