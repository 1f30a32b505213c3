//! The strip that shows when faults were done, with a row for each kind.

use plotters::chart::ChartBuilder;
use plotters::element::PathElement;
use plotters::style::Color;
use plotters::style::RGBColor;

use super::Drawn;
use super::panel;
use super::panel::AXIS;
use super::panel::Area;
use super::panel::BLACK;
use super::panel::FAINT;
use super::panel::LEFT;
use super::panel::NUMBERS;
use super::panel::ORANGE;
use super::panel::PURPLE;
use super::panel::RED;
use super::panel::RIGHT;
use crate::options::Fault;
use crate::report::summary::Summary;

/// The faults of plugins that were chosen, from above. Those of calls are no moments:
/// they go on all the time.
pub fn rows(summary: &Summary) -> Vec<Fault> {
    let shown = [Fault::Kill, Fault::Stall, Fault::Drop];
    shown.into_iter().filter(|fault| summary.options.faults.has(*fault)).collect()
}

pub fn draw(area: &Area<'_>, summary: &Summary, rows: &[Fault]) -> Drawn {
    let area = panel::titled(area, "Faults done to plugins", &[])?;
    let names: Vec<_> = rows.iter().rev().map(|fault| fault.name()).collect();
    let mut chart = ChartBuilder::on(&area)
        .margin_right(RIGHT)
        .x_label_area_size(40)
        .margin_left(AXIS)
        .y_label_area_size(NUMBERS)
        .build_cartesian_2d(0.0..summary.took.as_secs_f64(), 0.0..rows.len() as f64)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(0)
        .x_desc(panel::SECONDS)
        .x_label_formatter(&|seconds| panel::number(*seconds))
        .label_style(panel::text(13, BLACK))
        .bold_line_style(FAINT)
        .light_line_style(FAINT.mix(0.5))
        .x_max_light_lines(0)
        .draw()?;
    for ((fault, name), row) in rows.iter().rev().zip(names).zip(0..) {
        let times = summary.spans().filter(|span| span.bucket.faults[*fault as usize] > 0);
        let bottom = f64::from(row);
        chart.draw_series(times.map(|span| {
            let line = vec![(span.middle, bottom + 0.12), (span.middle, bottom + 0.88)];
            PathElement::new(line, color(*fault).stroke_width(2))
        }))?;
        let (_, y) = chart.backend_coord(&(0.0, bottom + 0.5));
        let (_, top) = area.get_base_pixel();
        let at = (LEFT as i32 - 48, y - top - 7);
        panel::write(&area, name, at, panel::text(14, color(*fault)))?;
    }
    Ok(())
}

fn color(fault: Fault) -> RGBColor {
    match fault {
        Fault::Kill => RED,
        Fault::Stall => ORANGE,
        Fault::Cancel | Fault::Drop => PURPLE,
    }
}
