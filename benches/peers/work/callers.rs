//! Rates: many callers at once, each making one call after the other.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use tokio::task::JoinSet;

use super::Caller;
use super::Client;
use super::Opener;
use super::payload;
use crate::Failure;
use crate::clock;
use crate::plan::Plan;
use crate::proto;

pub struct Rate {
    pub calls_per_second: f64,
    /// Of both processes.
    pub cpu_us_per_call: f64,
}

/// What has been used up at a moment, in nanoseconds.
struct Moment {
    time: u64,
    cpu: u64,
    calls: u64,
}

/// One caller for each client, for as long as the plan says.
pub async fn measure<C: Caller>(
    opener: &Opener<C>,
    clients: Vec<Client<C>>,
    plan: &Plan,
) -> Result<Rate, Failure> {
    let calls = Arc::new(AtomicU64::new(0));
    let over = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for client in clients {
        callers.spawn(call::<C>(client, calls.clone(), over.clone()));
    }
    tokio::time::sleep(plan.warm_up()).await;
    let before = moment(opener, &calls).await?;
    tokio::time::sleep(plan.time()).await;
    let after = moment(opener, &calls).await?;
    over.store(true, Relaxed);
    while let Some(ended) = callers.join_next().await {
        ended??;
    }
    let made = (after.calls - before.calls) as f64;
    Ok(Rate {
        calls_per_second: made / ((after.time - before.time) as f64 / 1e9),
        cpu_us_per_call: (after.cpu - before.cpu) as f64 / 1e3 / made,
    })
}

async fn call<C: Caller>(
    mut client: Client<C>,
    calls: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
) -> Result<(), Failure> {
    while !over.load(Relaxed) {
        client.echo(payload()).await?;
        calls.fetch_add(1, Relaxed);
    }
    Ok(())
}

async fn moment<C: Caller>(opener: &Opener<C>, calls: &AtomicU64) -> Result<Moment, Failure> {
    let parent = opener.base.clone().usage(proto::Moment { at_rest: false }).await?.into_inner();
    let cpu = clock::cpu() + parent.cpu_nanoseconds;
    Ok(Moment { time: clock::now(), cpu, calls: calls.load(Relaxed) })
}
