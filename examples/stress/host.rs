//! The run as a whole, from the first launch to the report.

use std::io;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::console;
use crate::faults;
use crate::fleet;
use crate::load;
use crate::options::Options;
use crate::proof::closing;
use crate::proof::leaks;
use crate::report;
use crate::report::Plot;
use crate::report::Summary;
use crate::signals::Signals;
use crate::stage::Stage;

/// Runs, and reports.
///
/// # Errors
///
/// Those of the system that prevent the run, or of writing the report.
pub async fn host(options: Options, plot: Option<Plot>) -> io::Result<ExitCode> {
    trace();
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    console::note(format!("--seed {seed}"));
    let stage = Arc::new(Stage::new(options, seed));
    let interrupt = Arc::new(OnceLock::new());
    let mut beside = JoinSet::new();
    beside.spawn(Signals::new()?.watch(stage.clone(), interrupt.clone()));
    beside.spawn(report::progress(stage.clone()));
    beside.spawn(report::sample(stage.clone()));
    let before = leaks::holdings();
    let took = run(&stage).await;
    closing::counters(&stage).await;
    closing::leaks(&stage, before).await;
    beside.shutdown().await;
    let _ = console::BARS.clear();
    let summary = Summary::new(&stage, took, interrupt.get().copied());
    let text = if stage.options.json {
        format!("{}\n", report::json(&summary))
    } else {
        report::table(&summary)
    };
    // One that cannot be written does not keep the other from it.
    let drawn = plot.map_or(Ok(()), |plot| plot.draw(&summary));
    console::print(&text)?;
    drawn?;
    Ok(summary.exit_code())
}

/// From the first launch to the end of the last plugin. Returns for how long calls were
/// made.
async fn run(stage: &Arc<Stage>) -> Duration {
    let mut keepers: JoinSet<()> =
        (0..stage.slots.len()).map(|slot| fleet::keep(stage.clone(), slot)).collect();
    let mut over = stage.over.subscribe();
    let work = async {
        // What is measured is the load, not the first launch.
        for slot in &stage.slots {
            slot.current(stage, None).await;
        }
        stage.tally.start();
        let injector = tokio::spawn(faults::run(stage.clone()));
        load::run(stage).await;
        let took = stage.tally.stop();
        injector.await.expect("no panic");
        took
    };
    let limit = async {
        tokio::select! {
            _ = over.wait_for(|over| *over) => {}
            () = tokio::time::sleep(stage.options.duration()) => {
                stage.over.send_replace(true);
            }
        }
    };
    // Each call ends by itself or is given up.
    let (took, ()) = tokio::join!(work, limit);
    closing::quiet(stage).await;
    stage.closing.send_replace(true);
    while keepers.join_next().await.is_some() {}
    took
}

/// What the library and the plugins report goes to standard error.
fn trace() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| "warn".into()))
        .with_writer(|| console::Stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}
