//! What all panels have in common: margins, a title, a legend, lines with gaps.

use indicatif::HumanCount;
use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::element::PathElement;
use plotters::element::Text;
use plotters::style::Color;
use plotters::style::FontStyle;
use plotters::style::IntoFont;
use plotters::style::RGBColor;
use plotters::style::TextStyle;

use super::Drawn;

pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Room at the left: for the name of the axis, and for its numbers. And at the right.
pub const AXIS: u32 = 20;
pub const NUMBERS: u32 = 76;
pub const LEFT: u32 = AXIS + NUMBERS;
pub const RIGHT: u32 = 28;

/// What the seconds are, below the last panel.
pub const SECONDS: &str = "seconds since the load began";

/// Room for the title of a panel.
const TITLE: u32 = 34;

/// Where the legend begins, and how wide one entry is.
const LEGEND: (i32, i32) = (420, 190);

pub const BLUE: RGBColor = RGBColor(31, 119, 180);
pub const ORANGE: RGBColor = RGBColor(255, 127, 14);
pub const RED: RGBColor = RGBColor(214, 39, 40);
pub const GREEN: RGBColor = RGBColor(44, 140, 60);
pub const PURPLE: RGBColor = RGBColor(130, 90, 180);
pub const GREY: RGBColor = RGBColor(90, 90, 90);
pub const FAINT: RGBColor = RGBColor(225, 225, 225);
pub const BLACK: RGBColor = RGBColor(30, 30, 30);

pub fn text(size: i32, color: RGBColor) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&color)
}

pub fn bold(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().style(FontStyle::Bold).color(&BLACK)
}

/// Writes title and legend. Returns what is left for the chart.
pub fn titled<'a>(
    area: &Area<'a>,
    title: &str,
    legend: &[(&str, RGBColor)],
) -> Result<Area<'a>, Box<dyn std::error::Error>> {
    let (top, chart) = area.split_vertically(TITLE);
    top.draw(&Text::new(title.to_owned(), (LEFT as i32, 12), bold(16)))?;
    for ((name, color), at) in legend.iter().zip(0..) {
        let x = LEGEND.0 + at * LEGEND.1;
        let line = vec![(x, 20), (x + 26, 20)];
        top.draw(&PathElement::new(line, color.stroke_width(3)))?;
        top.draw(&Text::new((*name).to_owned(), (x + 34, 13), text(14, BLACK)))?;
    }
    Ok(chart)
}

/// Points in runs that have no gap in them.
pub fn runs(points: impl Iterator<Item = (f64, Option<f64>)>) -> Vec<Vec<(f64, f64)>> {
    let mut runs = vec![Vec::new()];
    for (x, y) in points {
        match (y, runs.last_mut()) {
            (Some(y), Some(run)) => run.push((x, y)),
            _ => runs.push(Vec::new()),
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

/// A number as people write it.
pub fn number(number: f64) -> String {
    if number >= 1000.0 {
        return HumanCount(number as u64).to_string();
    }
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub fn write(area: &Area<'_>, what: &str, at: (i32, i32), style: TextStyle<'_>) -> Drawn {
    area.draw(&Text::new(what.to_owned(), at, style))?;
    Ok(())
}
