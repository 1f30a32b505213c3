//! Shows how it goes, if somebody looks: a bar for the time, a line for all calls, and
//! one for each plugin.

use std::sync::Arc;
use std::time::Duration;

use indicatif::HumanCount;
use indicatif::MultiProgress;
use indicatif::ProgressBar;
use indicatif::ProgressStyle;

use crate::console;
use crate::stage::Stage;

/// How often it is drawn.
const FRAME: Duration = Duration::from_millis(200);

/// The most plugins that have a line each.
const LINES: usize = 8;

/// Draws until it is dropped.
pub async fn progress(stage: Arc<Stage>) {
    if console::BARS.is_hidden() {
        return std::future::pending().await;
    }
    let length = stage.options.duration();
    let time = console::BARS.add(ProgressBar::new(length.as_millis() as u64));
    time.set_style(style("{bar:50.cyan/blue} {msg}"));
    let calls = line(&console::BARS);
    let plugins: Vec<_> =
        stage.slots.iter().take(LINES).map(|slot| (slot, line(&console::BARS))).collect();
    let mut last = (Duration::ZERO, 0);
    loop {
        tokio::time::sleep(FRAME).await;
        let (now, finished) = (stage.tally.elapsed(), stage.tally.finished());
        let rate = (finished - last.1) as f64 / (now - last.0).as_secs_f64().max(0.001);
        last = (now, finished);
        time.set_position(now.min(length).as_millis() as u64);
        time.set_message(format!("{:.0} of {:.0} s", now.as_secs_f64(), length.as_secs_f64()));
        let problems: u64 = stage.tally.problems().values().sum();
        calls.set_message(format!(
            "{} calls, {rate:.0} a second, {} in flight, {problems} problems",
            HumanCount(finished),
            stage.tally.in_flight(),
        ));
        for (slot, line) in &plugins {
            line.set_message(match slot.now() {
                Some(run) if run.faults().stopped => format!("{}: stopped", run.name),
                Some(run) => {
                    let stats = run.end.broker.stats();
                    format!("{}: {} streams on its trunk", run.name, stats.streams)
                }
                None => format!("{}: being launched", slot.name),
            });
        }
    }
}

fn line(bars: &MultiProgress) -> ProgressBar {
    let line = bars.add(ProgressBar::new_spinner());
    line.set_style(style("{wide_msg}"));
    line
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is right")
}
