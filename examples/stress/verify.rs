//! Compares what callers saw of a plugin's run with what was executed, and sees to
//! it that nothing of the run is left.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use trunkline::Stats;

use crate::caller::COUNT_BITS;
use crate::ledger;
use crate::ledger::Entry;
use crate::ledger::Event;
use crate::plan::Kind;
use crate::run::Outcome;
use crate::run::Record;
use crate::run::Run;
use crate::stage::Stage;
use crate::tally::Problem;

/// How long what is being let go may take.
const SETTLE: Duration = Duration::from_secs(5);

/// The end of a run: waits until nobody uses it, looks at what it holds, and reads
/// its ledgers.
pub async fn retire(stage: Arc<Stage>, run: Arc<Run>) {
    let limit = Instant::now() + stage.options.patience + SETTLE * 2;
    while Arc::strong_count(&run) > 1 {
        if Instant::now() > limit {
            let what = format!("{} is still in use", run.name);
            stage.tally.problem(Problem::Hung, what);
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    run.pool.lock().expect("no panic").clear();
    held(&stage, &run).await;
    let file = run.ledger.clone();
    let there = tokio::task::spawn_blocking(move || {
        let entries = ledger::read(&file);
        // The directory goes at the end, in any case.
        let _ = std::fs::remove_file(&file);
        entries
    });
    match there.await.map_err(std::io::Error::other).flatten() {
        Ok(there) => compare(&stage, &run, there),
        Err(error) => {
            let what = format!("the ledger of {}: {error}", run.name);
            stage.tally.problem(Problem::Process, what);
        }
    }
}

/// A trunk that has ended holds nothing.
async fn held(stage: &Stage, run: &Run) {
    let limit = Instant::now() + SETTLE;
    loop {
        let stats = run.broker.stats();
        let nothing = Stats::default();
        let handlers = run.worker.running();
        if stats == nothing && handlers == 0 {
            let totals = run.broker.totals();
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

/// How often each part of a call was begun and done, at one end.
type Parts = HashMap<(u64, u32), (u32, u32)>;

fn parts(stage: &Stage, run: &Run, entries: &[Entry]) -> Parts {
    let mut parts = Parts::new();
    for entry in entries {
        let part = parts.entry((entry.call, entry.index)).or_default();
        match entry.event {
            Event::Begun => part.0 += 1,
            Event::Done => part.1 += 1,
            Event::Counting | Event::Counted | Event::NotCounted => count(stage, run.slot, *entry),
            Event::Wrong => stage
                .tally
                .problem(Problem::Wrong, format!("a handler of {}: {entry:x?}", run.name)),
        }
    }
    for (part, times) in &parts {
        if times.0 > 1 || times.1 > 1 {
            let what = format!("call {part:x?} of {} ran {times:?} times", run.name);
            stage.tally.problem(Problem::Doubled, what);
        }
    }
    parts
}

fn count(stage: &Stage, slot: usize, entry: Entry) {
    let mut counters = stage.counters.lock().expect("no panic");
    let counter = counters.entry((slot, entry.index)).or_default();
    match entry.event {
        Event::Counting => counter.perhaps += 1,
        Event::Counted => {
            counter.perhaps -= 1;
            counter.surely += 1;
        }
        _ => counter.perhaps -= 1,
    }
}

fn compare(stage: &Stage, run: &Run, there: Vec<Entry>) {
    let mut records = std::mem::take(&mut *run.records.lock().expect("no panic"));
    records.sort_unstable_by_key(|record| record.call);
    stage.tally.add("calls compared with ledgers", records.len() as u64);
    let find = |call: u64| {
        let at = records.binary_search_by_key(&call, |record| record.call);
        at.ok().map(|at| records[at])
    };
    in_order(stage, run, &there, find);
    let there = parts(stage, run, &there);
    let here = parts(stage, run, &run.worker.ledger.take());
    for part in there.keys().chain(here.keys()) {
        if find(part.0).is_none() {
            let what = format!("{} executed call {part:x?}, which nobody made", run.name);
            stage.tally.problem(Problem::Wrong, what);
        }
    }
    for record in &records {
        check(stage, run, record, &there, &here);
    }
}

/// A caller begins a call after the one before has succeeded, so they must have
/// been executed in that order.
fn in_order(stage: &Stage, run: &Run, there: &[Entry], find: impl Fn(u64) -> Option<Record>) {
    let mut last = HashMap::new();
    let begun = there.iter().filter(|entry| entry.event == Event::Begun);
    for Entry { call, index, .. } in begun {
        // Parts beyond the first may be begun when nobody waits for them any more.
        let is_own = |record: Record| record.outcome == Outcome::Ok && own_index(&record) == *index;
        if !find(*call).is_some_and(is_own) {
            continue;
        }
        let before = last.insert(call >> COUNT_BITS, *call).unwrap_or(0);
        if before > *call {
            let (late, early) = (find(*call), find(before));
            let what = format!("{} ran {late:x?} after {early:x?}", run.name);
            stage.tally.problem(Problem::Reordered, what);
        }
    }
}

fn check(stage: &Stage, run: &Run, record: &Record, there: &Parts, here: &Parts) {
    let Record { call, parts, .. } = *record;
    let times = |parts: &Parts, index| parts.get(&(call, index)).copied().unwrap_or_default();
    let lost = |what: String| {
        let what = format!("{record:x?} of {}: {what}", run.name);
        stage.tally.problem(Problem::Lost, what);
    };
    match record.outcome {
        Outcome::Open => {}
        Outcome::NotBegun | Outcome::CutByStop => {
            let index = own_index(record);
            if times(there, index).0 > 0 {
                lost(format!("it was begun: {:?}", times(there, index)));
            }
        }
        Outcome::Ok => {
            let ends: Vec<(&Parts, u32)> = match record.kind {
                Kind::Callback => std::iter::once((there, 0))
                    .chain((1..=parts).map(|index| (here, index)))
                    .collect(),
                Kind::Nested => (0..=parts)
                    .map(|level| (if level % 2 == 0 { there } else { here }, level))
                    .collect(),
                Kind::Open => (0..parts).map(|index| (there, index)).collect(),
                _ => vec![(there, own_index(record))],
            };
            for (end, index) in ends {
                let times = times(end, index);
                if times != (1, 1) {
                    lost(format!("part {index} began and was done {times:?} times"));
                }
            }
        }
    }
}

/// Under which index the call itself stands in the plugin's ledger.
fn own_index(record: &Record) -> u32 {
    match record.kind {
        Kind::State => record.parts,
        _ => 0,
    }
}
