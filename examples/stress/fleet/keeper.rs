//! Keeps a plugin in each slot: launches it, does with its handle what it is told
//! to, and launches the next when it has ended.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use rustix::process::Pid;
use tempfile::NamedTempFile;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use trunkline::host::LaunchError;
use trunkline::host::PluginCommand;
use trunkline::host::PluginEnd;
use trunkline::host::PluginHandle;

use super::Ending;
use super::Faults;
use super::Run;
use super::false_start;
use super::limits;
use crate::ends::End;
use crate::ends::SERVICE;
use crate::ends::echo;
use crate::ends::ledger::Reader;
use crate::ends::mix;
use crate::faults::expects_exit;
use crate::options::Fault;
use crate::proof;
use crate::proof::Problem;
use crate::stage::Slot;
use crate::stage::Stage;

/// The longest that an end in steps may take: all times of the stop policy, and
/// what the kernel is given.
const END: Duration = Duration::from_secs(25);

/// After how long a silence a plugin is asked for a sign of life, where it is.
const ALIVE: Duration = Duration::from_millis(700);

/// How long to wait after a launch that failed.
const AGAIN: Duration = Duration::from_secs(1);

pub async fn keep(stage: Arc<Stage>, slot: usize) {
    let slot = &stage.slots[slot];
    let mut followers = JoinSet::new();
    let mut life = 0;
    while !stage.is_over() {
        life += 1;
        let mut rng = Rng::with_seed(mix(stage.seed, !(slot.number as u64) << 32 | life));
        if stage.options.faults.has(Fault::Kill) {
            false_start::perhaps(&stage, &mut rng).await;
        }
        let launched = match launch(&stage, slot, life).await {
            Ok(launched) => launched,
            Err(error) => {
                stage.tally.problem(Problem::Process, format!("no launch: {error}"));
                if life == 1 {
                    // Nothing says that the next would fare better.
                    stage.over.send_replace(true);
                }
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        };
        stage.tally.event("launches");
        let Launched { handle, run, orders, ledger } = launched;
        let (ended, end) = oneshot::channel();
        followers.spawn(proof::follow(stage.clone(), run.clone(), ledger, end));
        slot.set(Some(run.clone()));
        let end = live(&stage, handle, &run, orders).await;
        slot.set(None);
        run.touch();
        check_end(&stage, &run, end).await;
        drop((run, ended));
        while followers.try_join_next().is_some() {}
    }
    followers.join_all().await;
}

struct Launched {
    handle: PluginHandle,
    run: Arc<Run>,
    orders: mpsc::Receiver<Ending>,
    ledger: Reader,
}

#[derive(Debug, thiserror::Error)]
enum NoLaunch {
    #[error("there is no file for the ledger: {0}")]
    Ledger(#[from] std::io::Error),
    #[error(transparent)]
    Launch(#[from] LaunchError),
}

async fn launch(stage: &Stage, slot: &Slot, life: u64) -> Result<Launched, NoLaunch> {
    let ledger = NamedTempFile::with_prefix("trunkline-stress-")?;
    let program = std::env::current_exe()?;
    let options = &stage.options;
    let mut rng = Rng::with_seed(mix(stage.seed, (slot.number as u64) << 32 | life));
    let (keep_alive, host, plugin) = (rng.u32(..4) == 0, rng.u64(..), rng.u64(..));
    let keep_alive = keep_alive && options.faults.has(Fault::Stall);
    let mut command = PluginCommand::new(program)
        .arg("plugin")
        .args(["--seed".to_owned(), stage.seed.to_string()])
        .args(["--least".to_owned(), options.payload.start().to_string()])
        .args(["--most".to_owned(), options.payload.end().to_string()])
        .args(["--callers".to_owned(), options.callers.to_string()])
        .arg("--ledger")
        .arg(ledger.path())
        .args(["--runtime", options.plugin_runtime.name()]);
    if options.tight {
        command = command.args(["--tight".to_owned(), plugin.to_string()]);
    }
    let low = || limits::tight(host);
    let limits = options.tight.then(low).unwrap_or_else(|| limits::roomy(options.callers));
    let mut launch = stage.host.launch(&*slot.name, command).limits(limits);
    if keep_alive {
        launch = launch.keep_alive(ALIVE, ALIVE);
    }
    let handle = launch.grant(SERVICE).grant(echo::NAME).grant_state().start().await?;
    // The plugin has the ledger open: without a name nothing is left of it, however
    // this process ends.
    let ledger = Reader::new(ledger.into_file());
    let worker = stage.worker(handle.run()).expect("made for each launch");
    let (sender, orders) = mpsc::channel(4);
    let run = Run::new(
        slot,
        life,
        handle.pid(),
        End { broker: handle.broker().clone(), worker },
        Faults::new(keep_alive, options.tight),
        sender,
    );
    Ok(Launched { handle, run: run.into(), orders, ledger })
}

/// Returns how the plugin ended; `None` if its handle was dropped, and an error if
/// it did not end.
async fn live(
    stage: &Stage,
    handle: PluginHandle,
    run: &Run,
    mut orders: mpsc::Receiver<Ending>,
) -> Result<Option<PluginEnd>, Ending> {
    let mut closing = stage.closing.subscribe();
    let order = tokio::select! {
        end = handle.ended() => return Ok(Some(end)),
        Some(order) = orders.recv() => order,
        _ = closing.wait_for(|closing| *closing) => Ending::Stop,
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
                run.end.broker.close();
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
                let what = format!("{name} has ended: {end:?}, but process {} is there", run.pid);
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
            let what =
                format!("the handle of {name} was dropped, but process {} is there", run.pid);
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
