//! Does the faults of plugins, one after the other, as the seed decides.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use rustix::process::Pid;
use rustix::process::Signal;
use tokio::task::JoinSet;

use crate::ends::mix;
use crate::fleet::Ending;
use crate::fleet::Run;
use crate::options::Fault;
use crate::options::FaultSet;
use crate::stage::Stage;

/// How long a plugin is stopped for, in milliseconds.
const STOPPED: std::ops::Range<u64> = 10..3000;

/// What can be done to a plugin: what it belongs to, and how often it is done.
const DEEDS: [(Fault, u32, Deed); 6] = [
    (Fault::Stall, 40, Deed::Stop),
    (Fault::Kill, 25, Deed::End(Ending::Kill)),
    (Fault::Kill, 17, Deed::End(Ending::Stop)),
    (Fault::Kill, 6, Deed::End(Ending::HandleKill)),
    (Fault::Drop, 6, Deed::End(Ending::HandleDrop)),
    (Fault::Drop, 6, Deed::End(Ending::Close)),
];

#[derive(Clone, Copy, Debug)]
enum Deed {
    /// SIGSTOP, and SIGCONT after a while.
    Stop,
    End(Ending),
}

/// Does faults until the run is over; then nothing is stopped any more.
pub async fn run(stage: Arc<Stage>) {
    let mut rng = Rng::with_seed(mix(stage.seed, 0));
    let mut over = stage.over.subscribe();
    let mut stops = JoinSet::new();
    loop {
        let pause = stage.options.every.mul_f64(rng.f64() * 2.0);
        let slot = rng.usize(..stage.slots.len());
        let time = Duration::from_millis(rng.u64(STOPPED));
        let Some((fault, deed)) = draw(&mut rng, &stage.options.faults) else {
            return;
        };
        tokio::select! {
            _ = over.wait_for(|over| *over) => break,
            () = tokio::time::sleep(pause) => {}
        }
        while stops.try_join_next().is_some() {}
        let Some(run) = stage.slots[slot].now() else {
            continue;
        };
        match deed {
            Deed::End(ending) => end(&stage, &run, ending).await,
            // The one that has stopped it will let it go on.
            Deed::Stop if run.faults().stopped => continue,
            Deed::Stop => {
                stage.tally.event("stops (SIGSTOP)");
                run.set_stopped(true);
                signal(&run, Signal::STOP);
                let stage = stage.clone();
                stops.spawn(async move { go_on_after(&stage, &run, time).await });
            }
        }
        stage.tally.fault(fault);
    }
    stops.join_all().await;
}

/// One of the deeds that were chosen; `None` if they are all of callers.
fn draw(rng: &mut Rng, faults: &FaultSet) -> Option<(Fault, Deed)> {
    let chosen = || DEEDS.iter().filter(|(fault, ..)| faults.has(*fault));
    let total: u32 = chosen().map(|(_, weight, _)| weight).sum();
    let mut at = rng.u32(..total.max(1));
    for (fault, weight, deed) in chosen() {
        if at < *weight {
            return Some((*fault, *deed));
        }
        at -= weight;
    }
    None
}

async fn end(stage: &Stage, run: &Run, ending: Ending) {
    stage.tally.event(match ending {
        Ending::Kill => "kills (SIGKILL)",
        Ending::Stop => "stops in order",
        Ending::HandleKill => "handles: kill",
        Ending::HandleDrop => "handles dropped",
        Ending::Close => "trunks closed",
    });
    if ending == Ending::Kill {
        run.will_end(ending);
        signal(run, Signal::KILL);
    } else {
        // Fails if the run has ended meanwhile.
        let _ = run.orders.send(ending).await;
    }
}

async fn go_on_after(stage: &Stage, run: &Run, time: Duration) {
    let mut over = stage.over.subscribe();
    tokio::select! {
        _ = over.wait_for(|over| *over) => {}
        () = tokio::time::sleep(time) => {}
    }
    signal(run, Signal::CONT);
    run.set_stopped(false);
}

/// The run is in its slot, or was a moment ago: the number is still its own.
fn signal(run: &Run, signal: Signal) {
    let pid = i32::try_from(run.pid).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // Fails if it has ended meanwhile.
        let _ = rustix::process::kill_process(pid, signal);
    }
}
