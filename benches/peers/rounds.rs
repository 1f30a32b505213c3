//! The first process: systems take turns, round after round.

use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use indicatif::ProgressBar;

use crate::Failure;
use crate::go;
use crate::go::NoProgram;
use crate::options::Choice;
use crate::others;
use crate::pair;
use crate::plan::Phase;
use crate::plan::Plan;
use crate::results::Results;
use crate::results::Round;
use crate::system::System;
use crate::table;

/// The exit status after Ctrl-C: what shells call the end by SIGINT.
const INTERRUPTED: u8 = 130;

/// What one phase of one system may take, before it counts as hung.
const LIMIT: Duration = Duration::from_secs(120);

/// The same with `--quick`.
const QUICK_LIMIT: Duration = Duration::from_secs(30);

/// Measures, prints the table and writes the results.
pub async fn run(choice: Choice) -> Result<ExitCode, Failure> {
    tokio::select! {
        done = measure(&choice) => done,
        interrupt = tokio::signal::ctrl_c() => {
            interrupt?;
            // What was running is dropped here, and killed.
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

async fn measure(choice: &Choice) -> Result<ExitCode, Failure> {
    let target = target_folder()?;
    let mut results = Results { quick: choice.quick, ..Results::default() };
    let all = System::value_variants();
    let chosen = if choice.only.is_empty() { all } else { &choice.only };
    let chosen: Vec<System> =
        all.iter().filter(|system| chosen.contains(system)).copied().collect();
    let programs = programs(&chosen, &target, &mut results).await?;
    let rounds = choice.rounds.unwrap_or(if choice.quick { 1 } else { 3 });
    let bar = ProgressBar::new(u64::from(rounds) * programs.len() as u64);
    let style = "{wide_bar} {pos}/{len} {msg}";
    bar.set_style(indicatif::ProgressStyle::with_template(style)?);
    for number in 1..=rounds {
        let mut round = Round::new();
        let moment = others::Moment::now();
        for (system, program) in &programs {
            bar.set_message(format!("round {number}: {}", system.name()));
            // What hung or crashed once is not waited for again.
            if !results.failed.contains_key(system) {
                one_system(*system, program, choice.quick, &mut round, &mut results).await;
            }
            bar.inc(1);
        }
        results.rounds.push(round);
        results.others.extend(moment.and_then(others::Moment::share_since));
    }
    bar.finish_and_clear();
    table::print(&results);
    let file = target.join("peers.json");
    std::fs::write(&file, format!("{:#}\n", results.to_json()))?;
    println!("\nall of it is in {}", file.display());
    Ok(if results.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All phases of one system; the first that fails is the last.
async fn one_system(
    system: System,
    program: &Path,
    quick: bool,
    round: &mut Round,
    results: &mut Results,
) {
    let (plan, limit): (fn(Phase) -> Plan, _) =
        if quick { (Plan::quick, QUICK_LIMIT) } else { (Plan::full, LIMIT) };
    for phase in system.phases(quick) {
        match pair::run(program, system, &plan(*phase), limit).await {
            Ok(figures) => round.entry(system).or_default().add(figures),
            Err(error) => {
                results.failed.insert(system, format!("in phase `{}`: {error}", phase.name()));
                return;
            }
        }
    }
}

/// The program of each system that can be run.
async fn programs(
    chosen: &[System],
    target: &Path,
    results: &mut Results,
) -> Result<Vec<(System, PathBuf)>, Failure> {
    let (go, rust): (Vec<System>, Vec<System>) = chosen.iter().partition(|it| it.is_go());
    let this = std::env::current_exe()?;
    let mut programs: Vec<_> = rust.into_iter().map(|system| (system, this.clone())).collect();
    if !go.is_empty() {
        match go::build(target).await {
            Ok(program) => programs.extend(go.into_iter().map(|it| (it, program.clone()))),
            Err(NoProgram::NoGo(why)) => {
                results.left_out.extend(go.into_iter().map(|it| (it, why.clone())));
            }
            Err(NoProgram::NotBuilt(why)) => {
                results.failed.extend(go.into_iter().map(|it| (it, why.clone())));
            }
        }
    }
    Ok(programs)
}

/// Cargo's, where this program was built.
fn target_folder() -> Result<PathBuf, Failure> {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    Ok(scratch.parent().ok_or("cargo's target folder has no parent")?.to_owned())
}
