//! The summary for people, as text.

use std::fmt::Write;

use indicatif::HumanCount;

use super::histogram::histogram;
use super::summary::PERCENTILES;
use super::summary::Summary;

pub fn table(summary: &Summary) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = write(&mut text, summary);
    text
}

fn write(out: &mut String, summary: &Summary) -> std::fmt::Result {
    writeln!(out, "{}", summary.setting())?;
    writeln!(out, "mix {}, seed {}\n", summary.options.mix, summary.seed)?;
    calls(out, summary)?;
    writeln!(out, "\nlatency of the calls that succeeded, {}", counted_from(summary))?;
    write!(out, "{}", histogram(&summary.latency))?;
    writeln!(out)?;
    load(out, summary)?;
    counts(out, "failures, each explained by a fault unless it is a problem", summary.failed())?;
    counts(out, "events", summary.events.clone())?;
    verdict(out, summary)
}

fn calls(out: &mut String, summary: &Summary) -> std::fmt::Result {
    write!(out, "{:<8} {:<9} {:>11} {:>9} {:>9}", "calls", "direction", "ok", "cut", "failed")?;
    for (name, _) in PERCENTILES {
        write!(out, " {:>10}", format!("{name} ms"))?;
    }
    writeln!(out)?;
    for ((kind, direction), calls) in &summary.counts.calls {
        let failed: u64 = calls.failed.values().sum();
        let (name, ok, cut) = (kind.name(), HumanCount(calls.ok), calls.cut);
        write!(out, "{name:<8} {direction:<9} {:>11} {cut:>9} {failed:>9}", ok.to_string())?;
        percentiles(out, &calls.latency)?;
    }
    let failed: u64 = summary.failed().values().sum();
    let (ok, cut) = (HumanCount(summary.ok()).to_string(), summary.cut());
    write!(out, "{:<8} {:<9} {ok:>11} {cut:>9} {failed:>9}", "all", "")?;
    percentiles(out, &summary.latency)
}

fn percentiles(out: &mut String, latency: &hdrhistogram::Histogram<u64>) -> std::fmt::Result {
    for (_, percentile) in PERCENTILES {
        let millis = latency.value_at_percentile(percentile) as f64 / 1000.0;
        write!(out, " {millis:>10.3}")?;
    }
    writeln!(out)
}

/// Where latency counts from.
fn counted_from(summary: &Summary) -> &'static str {
    match summary.schedule {
        Some(_) => "from when each was due",
        None => "from when each began",
    }
}

fn load(out: &mut String, summary: &Summary) -> std::fmt::Result {
    let (finished, counts) = (summary.finished(), &summary.counts);
    writeln!(
        out,
        "{} calls in {:.1} s: {:.1} a second, of which {:.1} succeeded",
        HumanCount(finished),
        summary.took.as_secs_f64(),
        summary.per_second(finished),
        summary.per_second(summary.ok()),
    )?;
    if let Some(schedule) = summary.schedule {
        writeln!(
            out,
            "{} were due: {} waited for one of {} places in flight, {} never got one",
            HumanCount(schedule.due),
            HumanCount(schedule.late),
            summary.options.callers,
            HumanCount(summary.not_begun()),
        )?;
    }
    writeln!(
        out,
        "calls in flight: {} half of the time, at most {}; streams open on all trunks: {}, at \
         most {}",
        counts.in_flight.value_at_percentile(50.0),
        counts.in_flight.max(),
        counts.streams.value_at_percentile(50.0),
        counts.streams.max(),
    )?;
    let (now, most) = summary.memory;
    writeln!(out, "memory of the host: {now} MiB, at most {most} MiB")
}

fn counts<'a>(
    out: &mut String,
    title: &str,
    counts: impl IntoIterator<Item = (&'a str, u64)>,
) -> std::fmt::Result {
    let mut counts = counts.into_iter().peekable();
    if counts.peek().is_none() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    for (name, count) in counts {
        writeln!(out, "{:>13}  {name}", HumanCount(count).to_string())?;
    }
    Ok(())
}

fn verdict(out: &mut String, summary: &Summary) -> std::fmt::Result {
    if let Some(interrupt) = summary.interrupt {
        writeln!(out, "\nended early by {}", interrupt.name())?;
    }
    if summary.problems.is_empty() {
        return writeln!(out, "\nnothing lost, doubled, reordered, wrong, hung or left over");
    }
    writeln!(out, "\nPROBLEMS: {}", summary.problems())
}
