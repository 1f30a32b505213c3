//! The table of outcomes, in `docs/INTEROP.md` between two markers.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::fs;

use parking_lot::Mutex;

use crate::scenarios::Outcome;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/INTEROP.md");
const BEGIN: &str = "<!-- matrix: made by `cargo test --test goplugin` -->\n";
const END: &str = "<!-- end of the matrix -->\n";

/// The scenarios, in the order of the columns.
pub const SCENARIOS: [&str; 8] = [
    "call",
    "callback",
    "streaming callback",
    "200 opens each way at once",
    "5 MiB",
    "kill",
    "crash",
    "reattach",
];

/// One scenario of one row.
#[derive(Clone, Debug)]
pub enum Cell {
    Held,
    Failed(String),
    /// go-plugin itself has no such thing.
    NotApplicable,
}

impl From<Outcome> for Cell {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Ok(()) => Self::Held,
            Err(error) => Self::Failed(causes(&*error)),
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Held => "yes",
            Self::Failed(_) => "**no**",
            Self::NotApplicable => "–",
        })
    }
}

/// An error and all that is behind it.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Which row: where it stands, and its first columns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub order: usize,
    pub host: String,
    pub plugin: String,
    pub mode: &'static str,
}

/// Puts a row into the document, if that is wanted, and fails if one of its cells has.
pub fn record(row: Row, cells: [Cell; SCENARIOS.len()]) {
    let failed = SCENARIOS.iter().zip(&cells).filter_map(|(scenario, cell)| match cell {
        Cell::Failed(why) => Some(format!("{scenario}: {why}")),
        Cell::Held | Cell::NotApplicable => None,
    });
    let failed: Vec<String> = failed.collect();
    let title = format!("{} x {}, {}", row.host, row.plugin, row.mode);
    if env::var_os("TRUNKLINE_WRITE_INTEROP").is_some_and(|value| value == "1") {
        write(row, cells);
    }
    assert!(failed.is_empty(), "{title}:\n{}", failed.join("\n"));
}

/// Rewrites the table with all rows that this run has so far.
fn write(row: Row, cells: [Cell; SCENARIOS.len()]) {
    static ROWS: Mutex<BTreeMap<Row, [Cell; SCENARIOS.len()]>> = Mutex::new(BTreeMap::new());
    let mut rows = ROWS.lock();
    rows.insert(row, cells);
    let mut table = format!("| host | plugin | mode | {} |\n", SCENARIOS.join(" | "));
    table += &format!("|{}\n", " --- |".repeat(3 + SCENARIOS.len()));
    for (row, cells) in rows.iter() {
        let cells = cells.each_ref().map(ToString::to_string).join(" | ");
        table += &format!("| {} | {} | {} | {cells} |\n", row.host, row.plugin, row.mode);
    }
    let document = fs::read_to_string(DOCUMENT).expect("the document");
    let (before, rest) = document.split_once(BEGIN).expect("where the table begins");
    let (_, after) = rest.split_once(END).expect("where the table ends");
    fs::write(DOCUMENT, format!("{before}{BEGIN}\n{table}\n{END}{after}")).expect("written");
}
