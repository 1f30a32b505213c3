//! Bulk: one client stream of large messages.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use futures::stream;

use super::Caller;
use super::Client;
use crate::Failure;
use crate::clock;
use crate::proto::Payload;

/// What each message of a stream carries, in bytes: with the four that protobuf puts
/// before them it is 32 KiB, which is what pools of buffers have in store.
const MESSAGE: usize = 32 * 1024 - 4;

/// Megabytes (10^6) a second of a transfer of so many MiB.
pub async fn measure<C: Caller>(client: Client<C>, mib: u64) -> Result<f64, Failure> {
    let messages = |mib: u64| (mib << 20) as usize / MESSAGE;
    send::<C>(client.clone(), same_again().take(messages(mib.div_ceil(8)))).await?;
    send::<C>(client, same_again().take(messages(mib))).await
}

/// One payload without end.
pub fn same_again() -> impl Iterator<Item = Payload> + Send + 'static {
    let data = Bytes::from(vec![7; MESSAGE]);
    std::iter::repeat_with(move || Payload { data: data.clone() })
}

/// Sends all, checks that all came, and says how many megabytes a second that were.
pub async fn send<C: Caller>(
    mut client: Client<C>,
    payloads: impl Iterator<Item = Payload> + Send + 'static,
) -> Result<f64, Failure> {
    let count = Arc::new(AtomicU64::new(0));
    let counter = count.clone();
    let counted = payloads.inspect(move |_| {
        counter.fetch_add(1, Relaxed);
    });
    let began = clock::now();
    let received = client.bulk(stream::iter(counted)).await?.into_inner();
    let seconds = (clock::now() - began) as f64 / 1e9;
    let sent = count.load(Relaxed);
    if (received.messages, received.bytes) != (sent, sent * MESSAGE as u64) {
        return Err(format!("{sent} messages were sent, and {received:?} arrived").into());
    }
    Ok(received.bytes as f64 / 1e6 / seconds)
}
