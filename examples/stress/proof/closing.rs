//! The end of it all: what must be as it was at the beginning.

use std::time::Duration;

use tokio::time::Instant;
use trunkline::services::state::Store;

use super::Problem;
use super::leaks;
use super::leaks::Holdings;
use crate::ends::number;
use crate::fleet::Run;
use crate::proto::Held;
use crate::proto::Nothing;
use crate::stage::Stage;

/// How long what is being let go may take.
const SETTLE: Duration = Duration::from_secs(5);

/// What a plugin that is not used holds: the log's sub-channel and call, and this
/// one's.
const QUIET: u64 = 2;

/// Nobody calls any more: each plugin that runs must have let go of all.
pub async fn quiet(stage: &Stage) {
    for run in stage.slots.iter().filter_map(|slot| slot.now()) {
        run.end.worker.pool.clear();
        let limit = Instant::now() + SETTLE;
        loop {
            let held = tokio::time::timeout(SETTLE, ask(&run)).await;
            let Ok(Ok(held)) = held else {
                if run.faults().endings.is_empty() {
                    let what = format!("{} does not answer when all is quiet: {held:?}", run.name);
                    stage.tally.problem(Problem::Hung, what);
                }
                break;
            };
            let stats = run.end.broker.stats();
            let plugin = held.streams == QUIET
                && held.channels == QUIET
                && held.serving == 1
                && (held.registrations, held.buffered, held.window_growth) == (0, 0, 0)
                && held.handlers == 0;
            // The call that asked has come to its end here.
            let host = (stats.streams, stats.channels, stats.serving) == (1, 1, 1)
                && (stats.registrations, stats.buffered, stats.window_growth) == (0, 0, 0)
                && run.end.worker.running() == 0;
            if plugin && host {
                stage.tally.event("plugins found quiet");
                break;
            }
            if Instant::now() > limit {
                let what = format!("{} is quiet, but holds {held:?}, here {stats:?}", run.name);
                stage.tally.problem(Problem::Leaked, what);
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn ask(run: &Run) -> Result<Held, tonic::Status> {
    let held = run.end.open()?.holdings(Nothing {}).await?;
    Ok(held.into_inner())
}

/// Each counter must have what was added, and nothing that was not.
pub async fn counters(stage: &Stage) {
    for ((slot, key), counted) in stage.take_counters() {
        let name = &stage.slots[slot].name;
        let entry = stage.store.get(name, &key.to_le_bytes()).await;
        let value = match entry {
            Ok(entry) => entry.map_or(0, |entry| number(&entry.value)),
            Err(error) => {
                stage.tally.problem(Problem::Lost, format!("counter {key}: {error}"));
                continue;
            }
        };
        stage.tally.add("counters: surely added", counted.surely);
        stage.tally.add("counters: perhaps added", counted.perhaps);
        stage.tally.add("counters: found", value);
        let problem = if value < counted.surely {
            Problem::Lost
        } else if value > counted.surely + counted.perhaps {
            Problem::Doubled
        } else {
            continue;
        };
        let what = format!("counter {key} of {name} is {value}, and should be of {counted:?}");
        stage.tally.problem(problem, what);
    }
}

/// The process must hold what it held before the first launch.
pub async fn leaks(stage: &Stage, before: Holdings) {
    let limit = Instant::now() + SETTLE;
    loop {
        let now = leaks::holdings();
        if now == before {
            return;
        }
        if Instant::now() > limit {
            let what = format!("this process holds {now:?}, and began with {before:?}");
            return stage.tally.problem(Problem::Leaked, what);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
