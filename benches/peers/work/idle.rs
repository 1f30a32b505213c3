//! Sub-channels that are open and do nothing: what they occupy, and what a call costs
//! beside them.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::Caller;
use super::Client;
use super::Opener;
use super::callers;
use super::latency::Until;
use super::open;
use super::speed::echoes;
use crate::Failure;
use crate::figures::Figures;
use crate::plan::Plan;
use crate::proto::Count;
use crate::proto::Moment;
use crate::proto::Resources;
use crate::proto::SubChannel;
use crate::proto::parent_client::ParentClient;
use crate::usage;

/// Who open them.
const OPENERS: usize = 16;

/// Sub-channels that are registered at once for them.
const BATCH: u32 = 50;

/// How long both processes are left alone before their memory is read.
const SETTLE: Duration = Duration::from_millis(300);

/// Descriptors are told for so many sub-channels, however many there are.
const TEN_THOUSAND: u32 = 10_000;

/// More than the opening of them takes.
const MINUTE: Duration = Duration::from_secs(60);

/// How many are open beside the calls that are measured.
const STEPS: [usize; 3] = [10, 1000, 100_000];

/// What each of many idle sub-channels occupies, in both processes.
pub async fn measure<C: Caller>(caller: C, plan: &Plan) -> Result<Figures, Failure> {
    let mut held = Held::new(caller).await?;
    let mut figures = Figures::default();
    let before = held.usage().await?;
    let wanted = plan.idle as usize;
    let until = Until::after(Duration::from_millis(plan.idle_millis));
    let stopped = held.grow(wanted, until).await;
    let number = held.clients.len();
    if number < wanted {
        let why =
            stopped.err().map_or("no time was left".to_owned(), |error| super::in_full(&*error));
        figures.note(format!("idle at {number} sub-channels, not {wanted}: {why}"));
    }
    let after = held.usage().await?;
    if number == 0 {
        return Err("no sub-channel could be opened".into());
    }
    if before.resident_kib > 0 {
        let grown = after.resident_kib as f64 - before.resident_kib as f64;
        figures.set("idle_kib_per_channel", grown / number as f64);
    }
    if before.descriptors > 0 {
        let gained = after.descriptors as f64 - before.descriptors as f64;
        figures.set("idle_fds", gained / number as f64 * f64::from(TEN_THOUSAND));
    }
    Ok(figures)
}

/// What a call costs beside 10, 1,000 and 100,000 idle sub-channels, and what those
/// occupy.
pub async fn scale<C: Caller>(caller: C, plan: &Plan) -> Result<Figures, Failure> {
    let mut held = Held::new(caller).await?;
    let mut figures = Figures::default();
    let before = held.usage().await?;
    for number in STEPS {
        held.grow(number, Until::after(MINUTE)).await?;
        if held.clients.len() < number {
            return Err(format!("{number} sub-channels were not opened within {MINUTE:?}").into());
        }
        if number == STEPS[STEPS.len() - 1] {
            let grown = held.usage().await?.resident_kib as f64 - before.resident_kib as f64;
            figures.set(format!("idle_kib_per_channel_at_{number}"), grown / number as f64);
        }
        let one = held.clients[number / 2].clone();
        echoes::<C>(&one, Until::after(plan.warm_up())).await?;
        let mut latencies = echoes::<C>(&one, Until::after(plan.time())).await?;
        figures.set(format!("seq_call_us_p50_at_{number}_open"), latencies.percentile(0.50)?);
        let rate = callers::measure::<C>(&held.opener, vec![one; 256], plan).await?;
        figures.set(format!("cpu_us_per_call_256_at_{number}_open"), rate.cpu_us_per_call);
    }
    Ok(figures)
}

/// The sub-channels that are open.
struct Held<C: Caller> {
    opener: Opener<C>,
    clients: Vec<Client<C>>,
}

impl<C: Caller> Held<C> {
    /// None yet, but everything that is made at the first use has been.
    async fn new(caller: C) -> Result<Self, Failure> {
        let opener = Opener { base: ParentClient::new(caller.base()), caller };
        let mut held = Self { opener, clients: Vec::new() };
        for _ in 0..OPENERS {
            let client = held.opener.open().await?;
            held.clients.push(client);
        }
        held.clients = Vec::new();
        Ok(held)
    }

    /// Opens more until there are so many, each with one call made on it, or until it is over.
    async fn grow(&mut self, number: usize, until: Until) -> Result<(), Failure> {
        while self.clients.len() < number && !until.is_over() {
            let batch = BATCH.min((number - self.clients.len()) as u32);
            let registered =
                self.opener.base.clone().register(Count { sub_channels: batch }).await?;
            let sub_channels: Arc<[SubChannel]> = registered.into_inner().sub_channels.into();
            let mut openers = JoinSet::new();
            for first in 0..OPENERS {
                openers.spawn(open_some(self.opener.caller.clone(), sub_channels.clone(), first));
            }
            while let Some(opened) = openers.join_next().await {
                self.clients.extend(opened??);
            }
        }
        Ok(())
    }

    /// Of both processes, when they have come to rest.
    async fn usage(&self) -> Result<Resources, Failure> {
        let mut base = self.opener.base.clone();
        tokio::time::sleep(SETTLE).await;
        let parent = base.usage(Moment { at_rest: true }).await?.into_inner();
        let own = usage::of_this_process();
        Ok(Resources {
            cpu_nanoseconds: parent.cpu_nanoseconds + own.cpu_nanoseconds,
            resident_kib: parent.resident_kib + own.resident_kib,
            descriptors: parent.descriptors + own.descriptors,
        })
    }
}

/// Opens every sixteenth from `first` on.
async fn open_some<C: Caller>(
    caller: C,
    sub_channels: Arc<[SubChannel]>,
    first: usize,
) -> Result<Vec<Client<C>>, Failure> {
    let mut clients = Vec::new();
    for sub_channel in sub_channels.iter().skip(first).step_by(OPENERS) {
        clients.push(open(&caller, *sub_channel).await?);
    }
    Ok(clients)
}
