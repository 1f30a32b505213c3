//! One task that makes one call after the other, and never waits for ever.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

use crate::explain::explain;
use crate::job::Failure;
use crate::job::Job;
use crate::payload::mix;
use crate::plan::Cut;
use crate::plan::Plan;
use crate::run::Outcome;
use crate::run::Record;
use crate::stage::Stage;
use crate::tally::Problem;

/// Bits of a call's number that count a caller's calls; above them is the caller.
pub const COUNT_BITS: u32 = 40;

/// How often a call is looked at that takes long.
const LOOK: Duration = Duration::from_millis(500);

pub async fn run(stage: Arc<Stage>, number: u32) {
    let mut rng = Rng::with_seed(mix(stage.seed, u64::from(number) + 1));
    let mut count = 0;
    loop {
        let plan = Plan::draw(&mut rng, &stage.options);
        let Some(run) = stage.slots[plan.slot].current(&stage).await else {
            return;
        };
        count += 1;
        let job = Job {
            call: (u64::from(number) + 1) << COUNT_BITS | count,
            plan,
            run,
            patience: stage.options.patience,
        };
        make(&stage, &job).await;
        // A call may fail without a moment's wait, and the rest must go on.
        tokio::task::yield_now().await;
    }
}

async fn make(stage: &Stage, job: &Job) {
    let began = Instant::now();
    let result = watched(stage, job, began).await;
    let kind = job.plan.kind;
    let outcome = match result {
        Some(Ok(())) => {
            stage.tally.ok(kind, began.elapsed());
            Outcome::Ok
        }
        Some(Err(Failure::Cut)) => {
            stage.tally.cancelled(kind);
            Outcome::Open
        }
        Some(Err(failure)) => {
            let faults = job.run.faults();
            match explain(&failure, &job.plan, &faults) {
                Ok((reason, outcome)) => {
                    stage.tally.failed(kind, reason);
                    outcome
                }
                Err(what) => {
                    let problem = match failure {
                        Failure::Wrong(_) => Problem::Wrong,
                        _ => Problem::Unexplained,
                    };
                    stage.tally.failed(kind, format!("{problem:?}"));
                    let took = began.elapsed();
                    let what = format!("call {:#x} after {took:?}: {what}", job.call);
                    stage.tally.problem(problem, what);
                    Outcome::Open
                }
            }
        }
        None => Outcome::Open,
    };
    job.run.record(Record { call: job.call, kind, parts: job.plan.parts, outcome });
}

/// Makes the call, drops it when its plan says so, and gives it up when nothing
/// explains any more why it takes so long.
async fn watched(stage: &Stage, job: &Job, began: Instant) -> Option<Result<(), Failure>> {
    let work = Box::pin(job.perform());
    let cancel = async {
        match job.plan.cut {
            Cut::Cancel(time) => tokio::time::sleep(time).await,
            _ => std::future::pending().await,
        }
    };
    let hang = async {
        loop {
            tokio::time::sleep(LOOK).await;
            if job.run.is_overdue(began, stage.options.patience) {
                return;
            }
        }
    };
    tokio::select! {
        biased;
        result = work => Some(result),
        () = cancel => Some(Err(Failure::Cut)),
        () = hang => {
            let (faults, stats) = (job.run.faults(), job.run.broker.stats());
            let end = job.run.broker.end_reason();
            let (plan, took, name) = (job.plan, began.elapsed(), &job.run.name);
            let what = format!(
                "call {:#x} on {name} runs for {took:?}: {plan:?}\n  {faults:?}\n  the trunk's \
                 end: {end:?}; {stats:?}; handlers here: {}; process {}",
                job.call,
                job.run.worker.running(),
                job.run.pid,
            );
            stage.tally.problem(Problem::Hung, what);
            stage.tally.failed(plan.kind, "hung".to_owned());
            None
        }
    }
}
