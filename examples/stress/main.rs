//! Runs plugins under load while they are killed, stopped and cut off, and proves
//! that no call is lost, doubled, reordered, wrong or hung.
//!
//! `cargo run --release --example stress -- --faults 120s`

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use indicatif::ProgressBar;
use tokio::runtime::Builder;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::options::Command;
use crate::options::Flavor;
use crate::options::Options;
use crate::report::Report;
use crate::stage::Stage;

mod callbacks;
mod caller;
mod calls;
mod channels;
mod closing;
mod echo;
mod explain;
mod false_start;
mod faults;
mod fleet;
mod job;
mod leaks;
mod ledger;
mod options;
mod payload;
mod plan;
mod plugin;
mod pulse;
mod report;
mod run;
mod service;
mod stage;
mod tally;
mod verify;
mod worker;

mod proto {
    #![allow(unused_qualifications, reason = "generated")]
    tonic::include_proto!("stress.v1");
}

/// The exit status after Ctrl-C: what shells call the end by SIGINT.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let options = Options::parse();
    let ran = match options.command.clone() {
        Some(Command::Plugin(options)) => {
            runtime(options.runtime).map(|runtime| runtime.block_on(plugin::serve(options)))
        }
        None => runtime(options.runtime).and_then(|runtime| {
            pulse::start(&runtime, options.patience);
            runtime.block_on(host(options))
        }),
    };
    ran.unwrap_or_else(|error| {
        eprintln!("stress: {error}");
        ExitCode::FAILURE
    })
}

fn runtime(flavor: Flavor) -> std::io::Result<Runtime> {
    match flavor {
        Flavor::Multi => Builder::new_multi_thread().enable_all().build(),
        Flavor::Current => Builder::new_current_thread().enable_all().build(),
    }
}

async fn host(options: Options) -> std::io::Result<ExitCode> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| "warn".into()))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("stress: --seed {seed}");
    let stage = Arc::new(Stage::new(options, seed)?);
    let progress = tokio::spawn(progress(stage.clone()));
    let interrupts = tokio::spawn(interrupted(stage.clone()));
    // Both are there now, and whatever the runtime needs for them.
    tokio::time::sleep(Duration::from_millis(10)).await;
    let before = leaks::holdings();
    let began = Instant::now();
    run(&stage).await;
    let took = began.elapsed();
    closing::counters(&stage).await;
    closing::leaks(&stage, before).await;
    progress.abort();
    let interrupted = interrupts.is_finished();
    interrupts.abort();
    let report = Report::new(&stage, took, interrupted);
    if stage.options.json {
        println!("{}", report.json());
    } else {
        report.print();
    }
    Ok(match (interrupted, stage.tally.is_clean()) {
        (true, _) => ExitCode::from(INTERRUPTED),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::FAILURE,
    })
}

/// From the first launch to the end of the last plugin.
async fn run(stage: &Arc<Stage>) {
    let mut keepers: JoinSet<()> =
        (0..stage.slots.len()).map(|slot| fleet::keep(stage.clone(), slot)).collect();
    let mut callers: JoinSet<()> =
        (0..stage.options.callers).map(|number| caller::run(stage.clone(), number)).collect();
    if stage.options.faults.is_some() {
        callers.spawn(faults::run(stage.clone()));
    }
    let mut over = stage.over.subscribe();
    tokio::select! {
        _ = over.wait_for(|over| *over) => {}
        () = tokio::time::sleep(stage.options.length()) => {
            stage.over.send_replace(true);
        }
    }
    // Each call ends by itself or is given up.
    while callers.join_next().await.is_some() {}
    closing::quiet(stage).await;
    for run in stage.slots.iter().filter_map(|slot| slot.now()) {
        // Fails if it has ended already.
        let _ = run.orders.send(run::Ending::Stop).await;
    }
    while keepers.join_next().await.is_some() {}
}

/// Ends the run in order at the first Ctrl-C, and at once at the second.
async fn interrupted(stage: Arc<Stage>) {
    if tokio::signal::ctrl_c().await.is_err() {
        return std::future::pending().await;
    }
    stage.over.send_replace(true);
    tokio::spawn(async {
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(INTERRUPTED.into());
        }
    });
}

/// Shows how it goes, if somebody looks.
async fn progress(stage: Arc<Stage>) {
    if !std::io::stderr().is_terminal() {
        return std::future::pending().await;
    }
    let bar = ProgressBar::new_spinner();
    let began = Instant::now();
    loop {
        let finished = stage.tally.finished.load(std::sync::atomic::Ordering::Relaxed);
        let seconds = began.elapsed().as_secs_f64();
        let events = stage.tally.events.lock().expect("no panic").clone();
        bar.set_message(format!(
            "{seconds:.0} s, {finished} calls, {:.0}/s, {} launches",
            finished as f64 / seconds.max(0.001),
            events.get("launches").unwrap_or(&0),
        ));
        bar.tick();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
