//! Texts as they may be shown: plugins write them, and no plugin is to steer a terminal with
//! them, or to make one line look like two.

/// A text in which nothing steers: controls, tabs and line ends too, are escaped.
pub fn plain(text: &str) -> String {
    escaped(text, |c| c.escape_default().to_string())
}

/// JSON on one line that means the same, in which nothing steers.
pub fn plain_json(json: &str) -> String {
    // All that is left of these stands in strings.
    escaped(json, |c| {
        c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
    })
}

/// Fields on one line.
pub fn fields<const N: usize>(fields: [&str; N]) -> String {
    fields.map(plain).join("\t")
}

fn escaped(text: &str, escape: impl Fn(char) -> String) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) {
            escaped += &escape(c);
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Whether a character changes how others are shown, or has no width: controls, and what
/// Unicode has for directions, line ends, joins and tags.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}
