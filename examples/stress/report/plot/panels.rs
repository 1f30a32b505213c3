//! The panels with numbers over time.

use indicatif::HumanCount;
use plotters::chart::ChartBuilder;
use plotters::coord::combinators::IntoLogRange;
use plotters::coord::ranged1d::AsRangedCoord;
use plotters::coord::ranged1d::ValueFormatter;
use plotters::element::Circle;
use plotters::prelude::LineSeries;
use plotters::prelude::Ranged;
use plotters::style::Color;
use plotters::style::RGBColor;

use super::Drawn;
use super::panel;
use super::panel::AXIS;
use super::panel::Area;
use super::panel::BLACK;
use super::panel::BLUE;
use super::panel::FAINT;
use super::panel::GREEN;
use super::panel::GREY;
use super::panel::LEFT;
use super::panel::NUMBERS;
use super::panel::ORANGE;
use super::panel::PURPLE;
use super::panel::RED;
use super::panel::RIGHT;
use crate::report::summary::Summary;
use crate::report::timeline::Span;

/// Room above the highest value of a linear axis.
const ROOM: f64 = 1.08;

/// A line of a panel.
struct Line {
    name: &'static str,
    color: RGBColor,
    value: fn(Span<'_>) -> Option<f64>,
}

/// What is written around the lines.
struct Words<'a> {
    title: &'a str,
    unit: &'static str,
    /// Lines of the grid between two numbers.
    between: usize,
    /// Whether to say that the numbers below are seconds.
    seconds: bool,
}

pub fn header(area: &Area<'_>, summary: &Summary) -> Drawn {
    let outcome = if summary.problems.is_empty() {
        "nothing lost, doubled, reordered, wrong, hung or left over".to_owned()
    } else {
        format!("PROBLEMS: {}", summary.problems())
    };
    let line = format!(
        "{} calls in {:.0} s: {outcome}; seed {}",
        HumanCount(summary.finished()),
        summary.took.as_secs_f64(),
        summary.seed
    );
    let left = LEFT as i32;
    panel::write(area, "Trunkline under stress", (left, 14), panel::bold(22))?;
    panel::write(area, &line, (left, 42), panel::text(14, BLACK))?;
    panel::write(area, &summary.setting(), (left, 60), panel::text(13, GREY))
}

pub fn latency(area: &Area<'_>, summary: &Summary) -> Drawn {
    let lines = [
        Line { name: "max", color: RED, value: |span| millis(span, 100.0) },
        Line { name: "p99", color: ORANGE, value: |span| millis(span, 99.0) },
        Line { name: "p50", color: BLUE, value: |span| millis(span, 50.0) },
    ];
    let (low, high) = lines
        .iter()
        .flat_map(|line| values(line, summary))
        .fold((f64::MAX, 0.0), |(low, high): (f64, f64), value| (low.min(value), high.max(value)));
    // If no call succeeded, any.
    let (low, high) = if high > 0.0 { (low, high) } else { (1.0, 10.0) };
    // Whole powers of ten, so that the lines of the grid have their numbers; the lowest
    // would not be within if it were exact.
    let (low, high) = (10_f64.powf(low.log10().floor()), 10_f64.powf(high.log10().ceil()));
    let (low, high) = (low * 0.999, high.max(low * 10.0));
    let from = if summary.schedule.is_some() { "since it was due" } else { "since it began" };
    let title = format!("Latency of a call, {from}");
    let words =
        Words { title: &title, unit: "milliseconds, logarithmic", between: 9, seconds: false };
    draw(area, summary, words, (low..high).log_scale(), &lines)
}

pub fn throughput(area: &Area<'_>, summary: &Summary) -> Drawn {
    let lines = [
        Line {
            name: "failed or cut",
            color: RED,
            value: |span| Some(span.bucket.failed as f64 / span.seconds),
        },
        Line {
            name: "succeeded",
            color: GREEN,
            value: |span| Some(span.bucket.ok as f64 / span.seconds),
        },
    ];
    let words = Words { title: "Throughput", unit: "calls a second", between: 0, seconds: false };
    draw(area, summary, words, 0.0..most(summary, &lines), &lines)
}

pub fn in_flight(area: &Area<'_>, summary: &Summary, is_last: bool) -> Drawn {
    let lines = [
        Line {
            name: "streams on trunks",
            color: GREY,
            value: |span| Some(span.bucket.streams as f64),
        },
        Line {
            name: "calls of callers",
            color: PURPLE,
            value: |span| Some(span.bucket.in_flight as f64),
        },
    ];
    let words = Words { title: "In flight", unit: "at most at once", between: 0, seconds: is_last };
    draw(area, summary, words, 0.0..most(summary, &lines), &lines)
}

fn draw<Y>(area: &Area<'_>, summary: &Summary, words: Words<'_>, y: Y, lines: &[Line]) -> Drawn
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let legend: Vec<_> = lines.iter().map(|line| (line.name, line.color)).collect();
    let area = panel::titled(area, words.title, &legend)?;
    let mut chart = ChartBuilder::on(&area)
        .margin_left(AXIS)
        .margin_right(RIGHT)
        .x_label_area_size(if words.seconds { 42 } else { 24 })
        .y_label_area_size(NUMBERS)
        .build_cartesian_2d(0.0..summary.took.as_secs_f64(), y)?;
    chart
        .configure_mesh()
        .x_desc(if words.seconds { panel::SECONDS } else { "" })
        .y_desc(words.unit)
        .y_labels(6)
        .x_label_formatter(&|seconds| panel::number(*seconds))
        .y_label_formatter(&|value| panel::number(*value))
        .label_style(panel::text(13, BLACK))
        .bold_line_style(FAINT)
        .light_line_style(FAINT.mix(0.5))
        .x_max_light_lines(0)
        .y_max_light_lines(words.between)
        .draw()?;
    for line in lines {
        let points = summary.spans().map(|span| (span.middle, (line.value)(span)));
        for run in panel::runs(points) {
            // A line of one point cannot be seen.
            chart.draw_series(run.iter().map(|at| Circle::new(*at, 1, line.color.filled())))?;
            chart.draw_series(LineSeries::new(run, line.color.stroke_width(2)))?;
        }
    }
    Ok(())
}

fn values(line: &Line, summary: &Summary) -> impl Iterator<Item = f64> {
    let value = line.value;
    summary.spans().filter_map(value)
}

/// Where a linear axis ends.
fn most(summary: &Summary, lines: &[Line]) -> f64 {
    lines.iter().flat_map(|line| values(line, summary)).fold(1.0, f64::max) * ROOM
}

/// `None` if no call succeeded.
fn millis(span: Span<'_>, percentile: f64) -> Option<f64> {
    let latency = &span.bucket.latency;
    let micros = latency.value_at_percentile(percentile).max(1);
    (!latency.is_empty()).then_some(micros as f64 / 1000.0)
}
