//! Keeps a plugin in each slot: launches it, does with its handle what it is told
//! to, and launches the next when it has ended.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use rustix::process::Pid;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use trunkline::host::LaunchError;
use trunkline::host::PluginCommand;
use trunkline::host::PluginEnd;
use trunkline::host::PluginHandle;

use crate::explain::expects_exit;
use crate::false_start;
use crate::ledger;
use crate::payload::mix;
use crate::plan;
use crate::run::Ending;
use crate::run::Faults;
use crate::run::Run;
use crate::run::SERVICE;
use crate::stage::Slot;
use crate::stage::Stage;
use crate::tally::Problem;
use crate::verify;

/// The longest that an end in steps may take: all times of the stop policy, and
/// what the kernel is given.
const END: Duration = Duration::from_secs(25);

/// After how long a silence a plugin is asked for a sign of life, where it is.
const ALIVE: Duration = Duration::from_millis(700);

/// With more callers the default limits may be met.
const MANY: u32 = 200;

pub async fn keep(stage: Arc<Stage>, slot: usize) {
    let slot = &stage.slots[slot];
    let mut retiring = JoinSet::new();
    let mut life = 0;
    while !stage.is_over() {
        life += 1;
        let mut rng = Rng::with_seed(mix(stage.seed, !(slot.number as u64) << 32 | life));
        if stage.options.faults.is_some() {
            false_start::perhaps(&stage, &mut rng).await;
        }
        let (handle, run, orders) = match launch(&stage, slot, life).await {
            Ok(launched) => launched,
            Err(error) => {
                stage
                    .tally
                    .problem(Problem::Process, format!("no launch: {error}"));
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        stage.tally.event("launches");
        slot.set(Some(run.clone()));
        let end = live(handle, &run, orders).await;
        slot.set(None);
        run.touch();
        check_end(&stage, &run, end).await;
        retiring.spawn(verify::retire(stage.clone(), run));
        while retiring.try_join_next().is_some() {}
    }
    retiring.join_all().await;
}

type Launched = (PluginHandle, Arc<Run>, mpsc::Receiver<Ending>);

async fn launch(stage: &Stage, slot: &Slot, life: u64) -> Result<Launched, LaunchError> {
    let ledger = stage.directory.path().join(format!("{}-{life}", slot.name));
    // Written by the plugin; it must be there if the plugin never comes to that.
    drop(ledger::Ledger::file(&ledger));
    let program = std::env::current_exe().unwrap_or_else(|_| "stress".into());
    let options = &stage.options;
    let mut rng = Rng::with_seed(mix(stage.seed, (slot.number as u64) << 32 | life));
    let (keep_alive, host, plugin) = (rng.u32(..4) == 0, rng.u64(..), rng.u64(..));
    let keep_alive = keep_alive && options.faults.is_some();
    let mut command = PluginCommand::new(program)
        .arg("plugin")
        .args(["--seed".to_owned(), stage.seed.to_string()])
        .args(["--least".to_owned(), options.payload.start.to_string()])
        .args(["--most".to_owned(), options.payload.end.to_string()])
        .arg("--ledger")
        .arg(&ledger)
        .args(["--runtime", options.plugin_runtime.name()]);
    if options.tight {
        command = command.args(["--tight".to_owned(), plugin.to_string()]);
    }
    let mut launch = stage.host.launch(&*slot.name, command);
    if options.tight {
        launch = launch.limits(plan::limits(host));
    }
    if keep_alive {
        launch = launch.keep_alive(ALIVE, ALIVE);
    }
    let handle = launch.grant(SERVICE).grant_state().start().await?;
    let faults = Faults::new(keep_alive, options.tight || options.callers > MANY);
    let worker = stage.worker(handle.run()).expect("made for each launch");
    let (orders, ordered) = mpsc::channel(4);
    let run = Run::new(
        (format!("{} (life {life})", slot.name), slot.number),
        (handle.pid(), handle.broker().clone()),
        (worker, faults),
        ledger,
        orders,
    );
    Ok((handle, run.into(), ordered))
}

/// Returns how the plugin ended; `None` if its handle was dropped, and an error if
/// it did not end.
async fn live(
    handle: PluginHandle,
    run: &Run,
    mut orders: mpsc::Receiver<Ending>,
) -> Result<Option<PluginEnd>, Ending> {
    let order = tokio::select! {
        end = handle.ended() => return Ok(Some(end)),
        Some(order) = orders.recv() => order,
    };
    run.will_end(order);
    let end = async {
        match order {
            Ending::HandleDrop => {
                drop(handle);
                None
            }
            Ending::Stop => Some(handle.stop().await),
            Ending::HandleKill => Some(handle.kill().await),
            Ending::Close => {
                run.broker.close();
                Some(handle.ended().await)
            }
            Ending::Kill => Some(handle.ended().await),
        }
    };
    tokio::time::timeout(END, end).await.map_err(|_| order)
}

async fn check_end(stage: &Stage, run: &Run, end: Result<Option<PluginEnd>, Ending>) {
    let faults = run.faults();
    let name = &run.name;
    match end {
        Ok(Some(end)) => {
            let silent = faults.keep_alive && faults.ever_stopped;
            if faults.endings.is_empty() && !silent {
                let what = format!("{name} ended by itself: {end:?}");
                stage.tally.problem(Problem::Process, what);
            } else if !expects_exit(&faults, end.exit) {
                let what = format!("{name} ended so: {end:?}, after {faults:?}");
                stage.tally.problem(Problem::Process, what);
            }
            if is_there(run.pid) {
                let what = format!(
                    "{name} has ended: {end:?}, but process {} is there",
                    run.pid
                );
                stage.tally.problem(Problem::Process, what);
            }
        }
        Ok(None) => {
            for _ in 0..100 {
                if !is_there(run.pid) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let what = format!(
                "the handle of {name} was dropped, but process {} is there",
                run.pid
            );
            stage.tally.problem(Problem::Process, what);
        }
        Err(order) => {
            let what = format!("{name} did not end within {END:?} of {order:?}; {faults:?}");
            stage.tally.problem(Problem::Hung, what);
        }
    }
}

/// Whether there is a process of this number. Nobody is given the number of a
/// process that has just ended as long as there are others.
fn is_there(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}
