//! Follows one run of one plugin: audits its calls while it lives, and sees to it that
//! nothing of it is left when it has ended.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use trunkline::Stats;

use super::Problem;
use super::audit::Audit;
use super::audit::Side;
use crate::ends::ledger::Reader;
use crate::fleet::Run;
use crate::stage::Stage;

/// How long what is being let go may take.
const SETTLE: Duration = Duration::from_secs(5);

/// How often the ledgers are read: what is not audited yet is in memory.
const ROUND: Duration = Duration::from_millis(250);

/// Audits a run until it has ended and nobody uses it any more.
pub async fn follow(
    stage: Arc<Stage>,
    run: Arc<Run>,
    ledger: Reader,
    mut ended: oneshot::Receiver<()>,
) {
    let mut audit = Auditor { audit: Audit::default(), ledger };
    loop {
        let is_over = tokio::select! {
            // Fails if the keeper is gone, which is an end, too.
            _ = &mut ended => true,
            () = tokio::time::sleep(ROUND) => false,
        };
        if is_over {
            break;
        }
        audit = audit.round(&stage, &run).await;
    }
    let limit = Instant::now() + stage.options.patience() + SETTLE * 2;
    while Arc::strong_count(&run) > 1 {
        if Instant::now() > limit {
            stage.tally.problem(Problem::Hung, format!("{} is still in use", run.name));
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    run.end.worker.pool.clear();
    held(&stage, &run).await;
    audit = audit.round(&stage, &run).await;
    stage.add_counters(run.slot, audit.audit.finish());
    audit.report(&stage, &run);
    stage.tally.add("calls compared with ledgers", audit.audit.compared());
}

#[derive(Debug)]
struct Auditor {
    audit: Audit,
    ledger: Reader,
}

impl Auditor {
    /// Audits what has come since the last round. On a thread that may block: it reads
    /// a file.
    async fn round(self, stage: &Arc<Stage>, run: &Arc<Run>) -> Self {
        let (stage, run) = (stage.clone(), run.clone());
        let mut auditor = self;
        let work = tokio::task::spawn_blocking(move || {
            if let Err(error) = auditor.read(&run) {
                let what = format!("the ledger of {}: {error}", run.name);
                stage.tally.problem(Problem::Process, what);
            }
            auditor.report(&stage, &run);
            auditor
        });
        work.await.expect("no panic")
    }

    fn read(&mut self, run: &Run) -> io::Result<()> {
        // First what is over: what was executed of it stands in the ledgers then.
        let records = run.take_records();
        self.audit.entries(Side::Host, &run.end.worker.ledger.take());
        loop {
            let entries = self.ledger.read()?;
            if entries.is_empty() {
                break;
            }
            self.audit.entries(Side::Plugin, &entries);
        }
        self.audit.records(records, Instant::now());
        Ok(())
    }

    fn report(&mut self, stage: &Stage, run: &Run) {
        for (problem, what) in self.audit.findings() {
            stage.tally.problem(problem, format!("{}: {what}", run.name));
        }
    }
}

/// A trunk that has ended holds nothing.
async fn held(stage: &Stage, run: &Run) {
    let limit = Instant::now() + SETTLE;
    loop {
        let stats = run.end.broker.stats();
        let nothing = Stats::default();
        let handlers = run.end.worker.running();
        if stats == nothing && handlers == 0 {
            let totals = run.end.broker.totals();
            stage.tally.add("trunks: calls", totals.calls);
            stage.tally.add("trunks: sub-channels", totals.channels);
            return;
        }
        if Instant::now() > limit {
            let what = format!(
                "the ended trunk of {} holds {stats:?} (not {nothing:?}), {handlers} handlers run",
                run.name
            );
            return stage.tally.problem(Problem::Leaked, what);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
