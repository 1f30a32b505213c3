//! Opening sub-channels: how long it takes, and how many a second.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::task::JoinSet;

use super::Caller;
use super::Opener;
use super::latency::Latencies;
use super::latency::Until;
use super::only;
use super::open;
use crate::Failure;
use crate::clock;
use crate::proto::Count;
use crate::proto::Ids;
use crate::proto::SubChannel;

/// Who open sub-channels at the same time.
const OPENERS: usize = 16;

/// Sub-channels that are registered at once for them.
const BATCH: u32 = 512;

/// From registering at the parent to the answer of the first call. The parent says how
/// long registering took; the message that brings the id over does not count.
pub async fn latencies<C: Caller>(opener: &Opener<C>, until: Until) -> Result<Latencies, Failure> {
    let mut base = opener.base.clone();
    let mut latencies = Latencies::default();
    while !until.is_over() {
        let registered = base.register(Count { sub_channels: 1 }).await?.into_inner();
        let sub_channel = only(&registered)?;
        let began = clock::now();
        let client = open(&opener.caller, sub_channel).await?;
        latencies.push(clock::now() - began + registered.nanoseconds);
        drop(client);
        base.release(Ids { ids: vec![sub_channel.id] }).await?;
    }
    Ok(latencies)
}

/// Sub-channels a second that are registered, dialled, called once and closed. Again
/// the messages that bring ids over do not count.
pub async fn rate<C: Caller>(opener: &Opener<C>, time: Duration) -> Result<f64, Failure> {
    let mut base = opener.base.clone();
    let (mut opened, mut took) = (0, 0);
    while took < time.as_nanos() as u64 {
        let registered = base.register(Count { sub_channels: BATCH }).await?.into_inner();
        let sub_channels: Arc<[SubChannel]> = registered.sub_channels.into();
        let began = clock::now();
        open_all(&opener.caller, sub_channels.clone()).await?;
        took += registered.nanoseconds + (clock::now() - began);
        opened += sub_channels.len();
        base.release(Ids { ids: sub_channels.iter().map(|it| it.id).collect() }).await?;
    }
    Ok(opened as f64 / (took as f64 / 1e9))
}

async fn open_all<C: Caller>(caller: &C, sub_channels: Arc<[SubChannel]>) -> Result<(), Failure> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut openers = JoinSet::new();
    for _ in 0..OPENERS {
        let (caller, sub_channels, next) = (caller.clone(), sub_channels.clone(), next.clone());
        openers.spawn(async move {
            while let Some(sub_channel) = sub_channels.get(next.fetch_add(1, Relaxed)) {
                drop(open(&caller, *sub_channel).await?);
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(ended) = openers.join_next().await {
        ended??;
    }
    Ok(())
}
