//! Latencies as a histogram of text.

use std::fmt::Write;

use hdrhistogram::Histogram;
use indicatif::HumanCount;

/// The length of the longest bar, in characters.
const BAR: f64 = 50.0;

/// One line for each step of 1, 2, 5, 10 and so on, from the shortest latency to the
/// longest.
pub fn histogram(latency: &Histogram<u64>) -> String {
    let mut text = String::new();
    if latency.is_empty() {
        return "  none succeeded\n".to_owned();
    }
    let mut bins = Vec::new();
    let mut low = 0;
    for high in steps() {
        let count = latency.count_between(low, high - 1);
        if count > 0 || !bins.is_empty() {
            bins.push((high, count));
        }
        if high > latency.max() {
            break;
        }
        low = high;
    }
    let most = bins.iter().map(|(_, count)| *count).max().unwrap_or(1);
    for (high, count) in bins {
        let bar = "#".repeat((count as f64 / most as f64 * BAR).ceil() as usize);
        let share = count as f64 * 100.0 / latency.len() as f64;
        let (high, count) = (high as f64 / 1000.0, HumanCount(count).to_string());
        // Writing into a string cannot fail.
        let _ = writeln!(text, "  below {high:>9} ms {share:>7.3} % {count:>13} {bar}");
    }
    text
}

/// 10 µs, 20, 50, 100 and so on.
fn steps() -> impl Iterator<Item = u64> {
    (1..12).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u64.pow(power)))
}
