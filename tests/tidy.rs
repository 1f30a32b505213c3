//! Holds the architecture: which way arrows point, and what each floor may know.
//! It reads text, not syntax; `docs/ARCHITECTURE.md` has the picture.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// The floors, from the lowest up: a folder, and what it must not mention.
const FLOORS: &[(&str, &[&str])] = &[
    (
        "src/broker/protocol",
        &[
            "tokio",
            "tonic",
            "prost",
            "h2::",
            "http::",
            "async fn",
            ".await",
            "Instant::now",
            "SystemTime",
            "Waker",
            "std::io",
            "std::thread",
            "Mutex",
            "uuid",
            "crate::error",
            "broker::transport",
            "crate::services",
            "crate::docker",
            "crate::host",
            "crate::plugin",
        ],
    ),
    (
        "src/broker/transport",
        &[
            "crate::error",
            "crate::services",
            "crate::goplugin",
            "crate::docker",
            "crate::host",
            "crate::plugin",
            "std::process",
        ],
    ),
    (
        "src/broker",
        &[
            "crate::services",
            "crate::goplugin",
            "crate::docker",
            "crate::host",
            "crate::plugin",
            "std::process",
        ],
    ),
    ("src/services", &["crate::goplugin", "crate::docker", "crate::host", "crate::plugin"]),
    ("src/goplugin", &["crate::services", "crate::docker", "crate::host", "crate::plugin"]),
    (
        "src/docker",
        &[
            "tonic",
            "crate::error",
            "crate::broker",
            "crate::services",
            "crate::goplugin",
            "crate::host",
            "crate::plugin",
            "std::process",
        ],
    ),
    ("src/host", &["crate::docker", "crate::plugin"]),
    ("src/plugin", &["crate::docker", "crate::host"]),
];

/// The most lines of code in a file, without blanks, comments and its tests.
const LONGEST_FILE: usize = 400;

/// The places that read the clock: one for the broker and what stands on it, one for what
/// stands alone.
const CLOCKS: [&str; 2] = ["src/broker/transport/clock.rs", "src/docker/clock.rs"];

#[derive(Debug)]
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The lines of code, with their numbers: no comments, no tests at the end.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(at, line)| (at + 1, line));
        lines
            .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
            .filter(|(_, line)| !line.trim().is_empty())
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    collect(root, &root.join("src"), &mut found);
    assert!(found.len() > 30, "found only {} files", found.len());
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    let entries = fs::read_dir(folder).expect("a folder of the checkout");
    for path in entries.map(|entry| entry.expect("readable").path()) {
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("UTF-8");
            found.push(Source { path: relative(root, &path), text });
        }
    }
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).map(PathBuf::from).expect("below the root").display().to_string()
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

#[test]
fn arrows_point_down_and_the_core_knows_no_io_no_clock_and_no_async() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !is_test(&source.path)) {
        let floors = FLOORS.iter().filter(|(folder, _)| {
            source.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
        });
        for (_, banned) in floors {
            for (number, line) in source.code() {
                if let Some(word) = banned.iter().find(|word| line.contains(**word)) {
                    wrong.push(format!("{}:{number}: {word}", source.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "what a floor must not know:\n{}", wrong.join("\n"));
}

#[test]
fn every_arrow_is_a_line_that_grep_finds() {
    for source in sources() {
        for (number, line) in source.code() {
            let grouped = line.trim_start().starts_with("use ") && line.contains('{');
            assert!(!grouped, "{}:{number}: one `use` a line", source.path);
            let up = line.contains("super::super::");
            assert!(!up, "{}:{number}: name the path from the crate", source.path);
        }
    }
}

#[test]
fn only_the_conversion_sees_the_generated_messages_of_the_trunk() {
    for source in sources() {
        let is_transport = source.path.starts_with("src/broker/transport/");
        if is_transport && !source.path.ends_with("/convert.rs") {
            for (number, line) in source.code() {
                assert!(!line.contains("wire::"), "{}:{number}: {line}", source.path);
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is_and_is_short_enough_to_read() {
    for source in sources() {
        assert!(source.text.starts_with("//!"), "{} does not say what it is", source.path);
        let lines = source.code().count();
        assert!(is_test(&source.path) || lines <= LONGEST_FILE, "{}: {lines} lines", source.path);
    }
}

#[test]
fn nothing_is_left_for_later_and_no_lint_is_silenced_without_a_reason() {
    for source in sources() {
        for (at, line) in source.text.lines().enumerate() {
            let later = ["TODO", "FIXME", "XXX", "todo!(", "unimplemented!("];
            let found = later.iter().find(|word| line.contains(**word));
            assert!(found.is_none(), "{}:{}: {line}", source.path, at + 1);
        }
    }
}

#[test]
fn the_clock_is_read_in_its_places() {
    for source in sources().iter().filter(|source| !is_test(&source.path)) {
        let is_clock = CLOCKS.contains(&source.path.as_str());
        for (number, line) in source.code() {
            let reads = line.contains("Instant::now()");
            assert!(is_clock || !reads, "{}:{number}: {line}", source.path);
        }
    }
}
