//! One task that makes one call after the other, and never waits for ever.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;
use trunkline::Reason;

use crate::calls::Cut;
use crate::calls::Failure;
use crate::calls::Job;
use crate::calls::Plan;
use crate::ends::mix;
use crate::faults::explain;
use crate::fleet::Run;
use crate::proof::Outcome;
use crate::proof::Problem;
use crate::proof::Record;
use crate::stage::Stage;

/// Bits of a call's number that count a caller's calls; above them is the caller.
const COUNT_BITS: u32 = 40;

/// How often a call is looked at that takes long.
const LOOK: Duration = Duration::from_millis(500);

/// After how long to call again where a limit was reached.
const LATER: Duration = Duration::from_millis(10);

/// Whose call has this number.
pub fn caller_of(call: u64) -> u64 {
    call >> COUNT_BITS
}

pub async fn run(stage: Arc<Stage>, number: u32) {
    let mut rng = Rng::with_seed(mix(stage.seed, u64::from(number) + 1));
    let mut count = 0;
    // By slot, the life that has said that it takes no more calls.
    let mut ending = vec![None; stage.slots.len()];
    while let Some(due) = next(&stage).await {
        let mut plan = Plan::draw(&mut rng, &stage.options);
        if stage.schedule.is_none() && stage.options.callers >= stage.options.plugins {
            // Each keeps to one, or a plugin that stands still would have all of them.
            plan.slot = number as usize % stage.slots.len();
        }
        let Some(run) = stage.slots[plan.slot].current(&stage, ending[plan.slot]).await else {
            return;
        };
        count += 1;
        let id = (u64::from(number) + 1) << COUNT_BITS | count;
        let job = Job::new(id, plan.shape, run.end.clone());
        let call = Call { stage: &stage, run: &run, plan, job, due };
        match call.make().await {
            Some(Reason::GoingAway | Reason::TrunkEnded) => ending[plan.slot] = Some(run.life),
            Some(Reason::Limit) => tokio::time::sleep(LATER).await,
            _ => {}
        }
        // A call may fail without a moment's wait, and the rest must go on.
        tokio::task::yield_now().await;
    }
}

/// When the next call is due: at once in a closed loop. `None` if the run is over.
async fn next(stage: &Stage) -> Option<Option<Instant>> {
    let Some(schedule) = &stage.schedule else {
        return (!stage.is_over()).then_some(None);
    };
    let mut over = stage.over.subscribe();
    tokio::select! {
        biased;
        _ = over.wait_for(|over| *over) => None,
        due = schedule.next() => Some(Some(due)),
    }
}

/// One call, while it is made.
struct Call<'a> {
    stage: &'a Stage,
    run: &'a Run,
    plan: Plan,
    job: Job,
    due: Option<Instant>,
}

impl Call<'_> {
    /// Makes the call and writes down how it went. Returns why the broker failed it.
    async fn make(self) -> Option<Reason> {
        let (tally, plan) = (&self.stage.tally, &self.plan);
        let began = Instant::now();
        tally.begun();
        let result = self.watched(began).await;
        let reason = match &result {
            Some(Err(failure)) => failure.reason(),
            _ => None,
        };
        let outcome = match result {
            Some(Ok(())) => {
                tally.ok(plan, self.due.unwrap_or(began).elapsed());
                Outcome::Ok
            }
            Some(Err(Failure::Cut)) => {
                tally.cut(plan);
                Outcome::Open
            }
            Some(Err(failure)) => self.failed(&failure, began),
            None => Outcome::Open,
        };
        self.run.record(Record {
            call: self.job.call,
            kind: plan.shape.kind,
            direction: plan.direction(),
            parts: plan.shape.parts,
            outcome,
        });
        reason
    }

    fn failed(&self, failure: &Failure, began: Instant) -> Outcome {
        let tally = &self.stage.tally;
        match explain(failure, &self.plan, &self.run.faults()) {
            Ok((reason, outcome)) => {
                tally.failed(&self.plan, reason);
                outcome
            }
            Err(what) => {
                let problem = match failure {
                    Failure::Wrong(_) => Problem::Wrong,
                    _ => Problem::Unexplained,
                };
                tally.failed(&self.plan, problem.name().to_owned());
                let (call, took) = (self.job.call, began.elapsed());
                tally.problem(problem, format!("call {call:#x} after {took:?}: {what}"));
                Outcome::Open
            }
        }
    }

    /// Makes the call, drops it when its plan says so, and gives it up when nothing
    /// explains any more why it takes so long.
    async fn watched(&self, began: Instant) -> Option<Result<(), Failure>> {
        let work = Box::pin(self.job.perform_by(&self.plan));
        let cancel = async {
            match self.plan.shape.cut {
                Cut::Cancel(time) => tokio::time::sleep(time).await,
                _ => std::future::pending().await,
            }
        };
        let patience = self.stage.options.patience();
        let hang = async {
            loop {
                tokio::time::sleep(LOOK).await;
                if self.run.is_overdue(began, patience) {
                    return;
                }
            }
        };
        tokio::select! {
            biased;
            result = work => Some(result),
            () = cancel => Some(Err(Failure::Cut)),
            () = hang => {
                self.hung(began);
                None
            }
        }
    }

    fn hung(&self, began: Instant) {
        let (run, broker) = (self.run, &self.run.end.broker);
        let (faults, stats, end) = (run.faults(), broker.stats(), broker.end_reason());
        let what = format!(
            "call {:#x} on {} runs for {:?}: {:?}\n  {faults:?}\n  the trunk's end: {end:?}; \
             {stats:?}; handlers here: {}; process {}",
            self.job.call,
            run.name,
            began.elapsed(),
            self.plan,
            run.end.worker.running(),
            run.pid,
        );
        self.stage.tally.problem(Problem::Hung, what);
        self.stage.tally.failed(&self.plan, Problem::Hung.name().to_owned());
    }
}
