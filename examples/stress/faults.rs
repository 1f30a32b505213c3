//! The faults that are done to plugins, one after the other, as the seed decides.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use rustix::process::Pid;
use rustix::process::Signal;
use tokio::task::JoinSet;

use crate::payload::mix;
use crate::run::Ending;
use crate::run::Run;
use crate::stage::Stage;

/// How long a plugin is stopped for, in milliseconds.
const STOPPED: std::ops::Range<u64> = 10..3000;

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// SIGSTOP, and SIGCONT after this time.
    Stop(Duration),
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
        let fault = draw(&mut rng);
        tokio::select! {
            _ = over.wait_for(|over| *over) => break,
            () = tokio::time::sleep(pause) => {}
        }
        while stops.try_join_next().is_some() {}
        let Some(run) = stage.slots[slot].now() else {
            continue;
        };
        match fault {
            Fault::End(ending) => end(&stage, &run, ending).await,
            // The one that has stopped it will let it go on.
            Fault::Stop(_) if run.faults().stopped => {}
            Fault::Stop(time) => {
                stage.tally.event("stops (SIGSTOP)");
                run.set_stopped(true);
                signal(&run, Signal::STOP);
                let stage = stage.clone();
                stops.spawn(async move { go_on_after(&stage, &run, time).await });
            }
        }
    }
    stops.join_all().await;
}

fn draw(rng: &mut Rng) -> Fault {
    let stop = Fault::Stop(Duration::from_millis(rng.u64(STOPPED)));
    match rng.u32(..100) {
        0..40 => stop,
        40..65 => Fault::End(Ending::Kill),
        65..82 => Fault::End(Ending::Stop),
        82..88 => Fault::End(Ending::HandleKill),
        88..94 => Fault::End(Ending::HandleDrop),
        _ => Fault::End(Ending::Close),
    }
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
