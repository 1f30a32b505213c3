//! Diagnostics, as Terraform shows them.

use serde_json::Value as Json;
use serde_json::json;

use crate::render::Style;
use crate::render::printable;
use crate::report::Entry;
use crate::tfplugin::diagnostic::Severity;

/// A box at the left of a summary, of what it is about, and of the detail. Paragraphs are
/// broken to the width of a terminal, if there is one.
pub fn text(entry: &Entry, style: Style, width: Option<usize>) -> String {
    let Entry { subject, diagnostic } = entry;
    let is_error = diagnostic.severity == Severity::Error;
    let paint = |text: &str| if is_error { style.red(text) } else { style.yellow(text) };
    let kind = if is_error { "Error: " } else { "Warning: " };
    let summary = printable(&diagnostic.summary);
    let mut lines =
        vec![format!("{}{}", style.bold(&paint(kind)), style.bold(&summary)), String::new()];
    let at = printable(&diagnostic.attribute.to_string());
    match (subject.is_empty(), at.is_empty()) {
        (true, true) => {}
        (false, true) => lines.extend([format!("  with {subject}"), String::new()]),
        (true, false) => lines.extend([format!("  on attribute {at}"), String::new()]),
        (false, false) => {
            let with = format!("  with {subject},");
            lines.extend([with, format!("  on attribute {at}"), String::new()]);
        }
    }
    for line in printable(&diagnostic.detail).lines() {
        match width {
            // What is indented is laid out already.
            Some(width) if !line.starts_with(' ') => {
                let wrapped = textwrap::wrap(line, width.saturating_sub(3).max(20));
                lines.extend(wrapped.into_iter().map(Into::into));
            }
            _ => lines.push(line.to_owned()),
        }
    }
    if diagnostic.detail.is_empty() {
        lines.pop();
    }
    let mut text = format!("{}\n", paint("╷"));
    for line in lines {
        let space = if line.is_empty() { "" } else { " " };
        text.push_str(&format!("{}{space}{line}\n", paint("│")));
    }
    text.push_str(&format!("{}\n", paint("╵")));
    text
}

/// The same for programs.
pub fn json(entry: &Entry) -> Json {
    let Entry { subject, diagnostic } = entry;
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut json = json!({
        "severity": severity,
        "summary": diagnostic.summary,
        "detail": diagnostic.detail,
    });
    if let Json::Object(fields) = &mut json {
        if !subject.is_empty() {
            fields.insert("address".to_owned(), subject.as_str().into());
        }
        if !diagnostic.attribute.0.is_empty() {
            fields.insert("attribute".to_owned(), diagnostic.attribute.to_string().into());
        }
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tfplugin::cty::Path;
    use crate::tfplugin::cty::Step;
    use crate::tfplugin::diagnostic::Diagnostic;

    fn entry(subject: &str, diagnostic: Diagnostic) -> Entry {
        Entry { subject: subject.to_owned(), diagnostic }
    }

    #[test]
    fn a_box_has_the_summary_the_place_and_the_detail() {
        let path = Path(vec![Step::Attribute("length".to_owned())]);
        let diagnostic = Diagnostic::error("Invalid Attribute Value", "It is 0.\n\nNo.").at(path);
        let expected = "\
╷
│ Error: Invalid Attribute Value
│
│   with random_string.example,
│   on attribute .length
│
│ It is 0.
│
│ No.
╵
";
        assert_eq!(text(&entry("random_string.example", diagnostic), Style::OFF, None), expected);
    }

    #[test]
    fn what_is_empty_takes_no_lines() {
        let short = text(&entry("", Diagnostic::warning("Old", "")), Style::OFF, None);
        assert_eq!(short, "╷\n│ Warning: Old\n╵\n");
        let with = text(&entry("a.b", Diagnostic::warning("Old", "")), Style::OFF, None);
        assert_eq!(with, "╷\n│ Warning: Old\n│\n│   with a.b\n╵\n");
    }

    #[test]
    fn paragraphs_are_broken_and_what_is_indented_is_not() {
        let detail = format!("{}\n  {}", "word ".repeat(20), "line ".repeat(20));
        let wrapped = text(&entry("", Diagnostic::error("Long", detail)), Style::OFF, Some(40));
        let widths: Vec<usize> = wrapped.lines().map(|line| line.chars().count()).collect();
        assert!(widths[3..6].iter().all(|width| *width <= 39), "{wrapped}");
        assert!(widths.iter().any(|width| *width > 90), "{wrapped}");
    }

    #[test]
    fn json_names_the_resource_and_the_attribute() {
        let path = Path(vec![Step::Attribute("tags".to_owned()), Step::Key("a".to_owned())]);
        let found = json(&entry("a.b", Diagnostic::warning("s", "d").at(path)));
        let expected = json!({
            "severity": "warning", "summary": "s", "detail": "d", "address": "a.b",
            "attribute": ".tags[\"a\"]",
        });
        assert_eq!(found, expected);
        assert_eq!(json(&entry("", Diagnostic::error("s", ""))).get("address"), None);
    }
}
