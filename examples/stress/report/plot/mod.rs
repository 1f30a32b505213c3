//! The run over time, as a picture: latency, throughput, calls in flight and faults,
//! one below the other, over the same seconds.

use std::error::Error;
use std::fs;
use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use plotters::backend::SVGBackend;
use plotters::drawing::IntoDrawingArea;
use plotters::style::Color;
use plotters::style::WHITE;

use super::summary::Summary;

mod faults;
mod panel;
mod panels;

/// Width and height of the picture.
const WIDTH: u32 = 1200;

/// The heights of its parts from above, and of all; without faults the last is left out.
const HEADER: u32 = 78;
const LATENCY: u32 = 360;
const THROUGHPUT: u32 = 210;
const IN_FLIGHT: u32 = 190;
const FAULTS: u32 = 120;
const FOOTER: u32 = 8;

/// What plotters may say.
type Drawn = Result<(), Box<dyn Error>>;

/// A file that a plot can be written to.
pub struct Plot {
    path: PathBuf,
}

impl Plot {
    /// Creates the file if it is not there, so that a run of hours does not end without
    /// its plot.
    ///
    /// # Errors
    ///
    /// Why it cannot be written.
    pub fn new(path: &Path) -> io::Result<Self> {
        File::options().create(true).append(true).open(path)?;
        Ok(Self { path: path.to_owned() })
    }

    /// # Errors
    ///
    /// Why it could not be drawn or written.
    pub fn draw(self, summary: &Summary) -> io::Result<()> {
        let mut svg = String::new();
        let drawn = draw(&mut svg, summary).map_err(|error| error.to_string());
        let written = drawn.map_err(io::Error::other).and_then(|()| fs::write(&self.path, svg));
        let named = |error| io::Error::other(format!("--plot {}: {error}", self.path.display()));
        written.map_err(named)
    }
}

fn draw(svg: &mut String, summary: &Summary) -> Drawn {
    let rows = faults::rows(summary);
    let strip = if rows.is_empty() { 0 } else { FAULTS };
    let height = HEADER + LATENCY + THROUGHPUT + IN_FLIGHT + strip + FOOTER;
    let root = SVGBackend::with_string(svg, (WIDTH, height)).into_drawing_area();
    root.fill(&WHITE.to_rgba())?;
    let (header, rest) = root.split_vertically(HEADER);
    let (latency, rest) = rest.split_vertically(LATENCY);
    let (throughput, rest) = rest.split_vertically(THROUGHPUT);
    let (in_flight, rest) = rest.split_vertically(IN_FLIGHT);
    let (strip, _footer) = rest.split_vertically(strip);
    panels::header(&header, summary)?;
    panels::latency(&latency, summary)?;
    panels::throughput(&throughput, summary)?;
    panels::in_flight(&in_flight, summary, rows.is_empty())?;
    if !rows.is_empty() {
        faults::draw(&strip, summary, &rows)?;
    }
    root.present()?;
    Ok(())
}
