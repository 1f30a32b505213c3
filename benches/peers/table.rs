//! The figures for people: tables in Markdown, which a terminal shows well too.

use comfy_table::CellAlignment;
use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;

use crate::machine;
use crate::results::Results;
use crate::results::Spread;
use crate::system::System;
use crate::targets;
use crate::targets::Bound;

/// Metrics in the order of the table. Others follow by name.
const ORDER: [&str; 21] = [
    "open_first_call_us_p50",
    "open_first_call_us_p99",
    "opens_per_s_16",
    "seq_call_us_p50",
    "seq_call_us_p99",
    "calls_per_s_1",
    "calls_per_s_16",
    "calls_per_s_64",
    "calls_per_s_64x1",
    "calls_per_s_256",
    "cpu_us_per_call_256",
    "bulk_mb_s",
    "bulk_during_small_mb_s",
    "small_idle_us_p50",
    "small_idle_us_p99",
    "small_during_bulk_us_p50",
    "small_during_bulk_us_p99",
    "idle_kib_per_channel",
    "idle_fds",
    "cold_start_ms_p50",
    "idle_kib_per_channel_at_100000",
];

/// Prints everything: Rust's systems, Go's systems, the targets, and what is missing.
pub fn print(results: &Results) {
    let rounds = results.rounds.len();
    let quick = if results.quick { ", quick: not to be quoted" } else { "" };
    println!(
        "\nMedians of {rounds} round(s){quick}; ± is half the distance from the least to the most."
    );
    let machine = machine::describe().into_iter().map(|(name, what)| format!("{name} {what}"));
    println!("Measured on: {}.\n", machine.collect::<Vec<_>>().join("; "));
    let (go, rust): (Vec<System>, Vec<System>) =
        results.systems().into_iter().partition(|system| system.is_go());
    for systems in [rust, go] {
        if !systems.is_empty() {
            println!("{}\n", figures(results, &systems));
        }
    }
    let targets = targets(results);
    if !targets.is_empty() {
        println!("{targets}\n");
    }
    if let Some(others) = Spread::of(results.others.clone()) {
        let percent = |part: f64| 100.0 * part;
        println!(
            "other programs used {:.0} % of the processors ({:.0} to {:.0} % in each round)\n",
            percent(others.median),
            percent(others.least),
            percent(others.most)
        );
    }
    for note in results.notes() {
        println!("note: {note}");
    }
    for (system, why) in &results.left_out {
        println!("left out: {}: {why}", system.name());
    }
    for (system, why) in &results.failed {
        println!("failed: {}: {why}", system.name());
    }
}

fn figures(results: &Results, systems: &[System]) -> Table {
    let mut table = table();
    let names = systems.iter().map(|system| system.name());
    table.set_header(std::iter::once("metric").chain(names));
    for metric in metrics(results, systems) {
        let cells = systems
            .iter()
            .map(|system| results.spread(*system, &metric).map_or_else(String::new, cell));
        table.add_row(std::iter::once(metric.clone()).chain(cells));
    }
    right(&mut table);
    table
}

fn metrics(results: &Results, systems: &[System]) -> Vec<String> {
    let mut metrics: Vec<String> =
        systems.iter().flat_map(|system| results.metrics(*system)).collect();
    metrics.sort_by_key(|metric| {
        let place = ORDER.iter().position(|name| name == metric);
        (place.unwrap_or(ORDER.len()), metric.clone())
    });
    metrics.dedup();
    metrics
}

fn targets(results: &Results) -> Table {
    let mut table = table();
    let targets = targets::all(results);
    if targets.is_empty() {
        return table;
    }
    table.set_header(["target", "system", "value", "bound", "met"]);
    for target in targets {
        let bound = match target.bound {
            Bound::AtMost(bound) => format!("≤ {}", number(bound)),
            Bound::AtLeast(bound) => format!("≥ {}", number(bound)),
        };
        let met = if target.is_met() { "yes" } else { "NO" };
        table.add_row([
            target.name.to_owned(),
            target.system.name().to_owned(),
            cell(target.value),
            bound,
            met.to_owned(),
        ]);
    }
    table
}

fn table() -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN);
    table
}

/// Numbers stand to the right.
fn right(table: &mut Table) {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// The median, and half of the spread as a part of it.
fn cell(spread: Spread) -> String {
    let half = (spread.most - spread.least) / 2.0;
    if half == 0.0 || spread.median == 0.0 {
        return number(spread.median);
    }
    format!("{} ±{:.0} %", number(spread.median), 100.0 * half / spread.median.abs())
}

/// Three digits that matter, or all before the point.
fn number(value: f64) -> String {
    match value.abs() {
        magnitude if magnitude >= 100.0 => grouped(value),
        magnitude if magnitude >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Rounded, with commas between thousands.
fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if value < 0.0 { format!("-{grouped}") } else { grouped }
}
