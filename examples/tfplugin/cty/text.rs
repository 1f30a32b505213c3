//! Strings as cty has them: in Unicode's normal form NFC, so that two that look the same are
//! the same. More than 30 marks on one letter are parted, as Unicode's stream-safe format
//! has it: Go's normal form is that.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::is_nfc_stream_safe;

/// The text in its normal form.
pub fn normalized(text: &str) -> String {
    if text.is_ascii() || is_nfc_stream_safe(text) {
        return text.to_owned();
    }
    text.stream_safe().nfc().collect()
}
