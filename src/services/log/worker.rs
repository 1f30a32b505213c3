//! The plugin's end of the log service: what carries the queue to the host.

use std::sync::Arc;
use std::sync::atomic::Ordering::AcqRel;
use std::sync::atomic::Ordering::Acquire;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::Streaming;
#[cfg(all(feature = "goplugin", any(feature = "plugin", test)))]
use tracing::Level;

use crate::services::Channel;
#[cfg(all(feature = "goplugin", any(feature = "plugin", test)))]
use crate::services::log::Record;
use crate::services::log::client::Queued;
use crate::services::log::client::Shared;
use crate::services::log::convert::filter_from_wire;
use crate::services::wire::log as wire;
use crate::services::wire::log::log_client::LogClient;

/// A batch is closed when it holds this many records or bytes. With one more
/// record of the largest size it is still well within what the host accepts.
const BATCH_RECORDS: usize = 256;
const BATCH_BYTES: usize = 128 * 1024;

/// Why a log is not carried to the host any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The log is attached already; this attempt changed nothing.
    #[error("the log is attached already")]
    Attached,
    /// The call came to an end that the plugin had not asked for: the host does
    /// not offer its log, has ended the call, or is gone. The status is the
    /// cause; `None`: the host ended it without an error.
    #[error("the host ended the log")]
    Ended(#[source] Option<Status>),
}

/// Has the queue's other end, for as long as the log is attached.
pub(super) struct Worker {
    shared: Arc<Shared>,
    /// Only `None` while being dropped.
    queue: Option<mpsc::Receiver<Queued>>,
    /// A record that is out of the queue and in no batch yet.
    next: Option<Queued>,
    /// Records ever taken out of the queue.
    taken: u64,
    /// Drops ever reported.
    reported: u64,
    /// Where the totals stood when the call began; the host counts from there.
    records_before: u64,
    dropped_before: u64,
}

impl Worker {
    /// `None` if the log is attached already.
    pub(super) fn new(shared: &Arc<Shared>) -> Option<Self> {
        let mut place = shared.receiver.lock();
        let queue = place.take()?;
        shared.progress.send_modify(|progress| progress.attached = true);
        let before = *shared.progress.borrow();
        Some(Self {
            shared: Arc::clone(shared),
            queue: Some(queue),
            next: None,
            taken: before.records,
            reported: before.dropped,
            records_before: before.records,
            dropped_before: before.dropped,
        })
    }

    pub(super) async fn run<T: Channel>(mut self, channel: T) -> Result<(), LogError> {
        let (batches, stream) = mpsc::channel(1);
        let attached = LogClient::new(channel).attach(ReceiverStream::new(stream)).await;
        let mut directives = attached.map_err(|status| LogError::Ended(Some(status)))?.into_inner();
        self.carry(batches, &mut directives).await?;
        // The stream has ended; the host acknowledges the rest and ends too.
        while let Some(directive) = receive(&mut directives).await? {
            self.obey(directive);
        }
        Ok(())
    }

    /// Gives the records to `write` instead, and of drops a record of their own,
    /// until the last handle is gone and the queue is empty. What was given is
    /// taken for received.
    #[cfg(all(feature = "goplugin", any(feature = "plugin", test)))]
    pub(super) async fn write(mut self, mut write: impl FnMut(&Record)) {
        let shared = Arc::clone(&self.shared);
        let mut open = true;
        while open || self.has_news() {
            if self.has_news() {
                self.write_news(&mut write);
                continue;
            }
            tokio::select! {
                next = recv(&mut self.queue), if open => match next {
                    Some(next) => self.take(next),
                    None => open = false,
                },
                () = shared.wake.notified() => {}
            }
        }
    }

    #[cfg(all(feature = "goplugin", any(feature = "plugin", test)))]
    fn write_news(&mut self, write: &mut impl FnMut(&Record)) {
        let dropped = self.shared.dropped.load(Acquire);
        if dropped > self.reported {
            let message = format!("{} log records had to be dropped", dropped - self.reported);
            write(&Record::new(Level::WARN, message).with_target(module_path!()));
            self.reported = dropped;
        }
        if let Some(Queued { record, .. }) = self.next.take() {
            write(&record);
        }
        self.shared.progress.send_modify(|progress| {
            progress.records = self.taken;
            progress.dropped = self.reported;
        });
    }

    /// Until the last handle is gone and the queue is empty.
    async fn carry(
        &mut self,
        batches: mpsc::Sender<wire::Batch>,
        directives: &mut Streaming<wire::Directive>,
    ) -> Result<(), LogError> {
        let shared = Arc::clone(&self.shared);
        let mut open = true;
        while open || self.has_news() {
            let news = self.has_news();
            tokio::select! {
                directive = receive(directives) => match directive? {
                    Some(directive) => self.obey(directive),
                    None => return Err(LogError::Ended(None)),
                },
                permit = batches.reserve(), if news => match permit {
                    Ok(permit) => permit.send(self.batch()),
                    // The host reads no more. Why is behind its last directives.
                    Err(_) => return self.ended(directives).await,
                },
                next = recv(&mut self.queue), if open && !news => match next {
                    Some(next) => self.take(next),
                    None => open = false,
                },
                () = shared.wake.notified(), if !news => {}
            }
        }
        Ok(())
    }

    async fn ended(&mut self, directives: &mut Streaming<wire::Directive>) -> Result<(), LogError> {
        while let Some(directive) = receive(directives).await? {
            self.obey(directive);
        }
        Err(LogError::Ended(None))
    }

    fn has_news(&self) -> bool {
        self.next.is_some() || self.shared.dropped.load(Acquire) > self.reported
    }

    fn take(&mut self, queued: Queued) {
        self.shared.queued.fetch_sub(queued.weight, AcqRel);
        self.taken += 1;
        self.next = Some(queued);
    }

    /// What there is, up to a batch's size.
    fn batch(&mut self) -> wire::Batch {
        let mut records = Vec::new();
        let mut bytes = 0;
        while records.len() < BATCH_RECORDS && bytes < BATCH_BYTES {
            let Some(Queued { record, weight }) = self.next.take() else {
                match self.queue.as_mut().map_or(Err(TryRecvError::Empty), mpsc::Receiver::try_recv)
                {
                    Ok(next) => self.take(next),
                    Err(_) => break,
                }
                continue;
            };
            bytes += weight;
            records.push(record.into());
        }
        let dropped = self.shared.dropped.load(Acquire);
        let batch = wire::Batch { records, dropped: dropped - self.reported };
        self.reported = dropped;
        batch
    }

    fn obey(&self, directive: wire::Directive) {
        if let Some(level) = directive.level.and_then(filter_from_wire) {
            self.shared.set_level(level);
        }
        if let Some(ack) = directive.ack {
            // A host that acknowledges what was not sent is not believed.
            let records = self.records_before.saturating_add(ack.records).min(self.taken);
            let dropped = self.dropped_before.saturating_add(ack.dropped).min(self.reported);
            self.shared.progress.send_modify(|progress| {
                progress.records = progress.records.max(records);
                progress.dropped = progress.dropped.max(dropped);
            });
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Held to the end, so that the next worker begins after it.
        let mut place = self.shared.receiver.lock();
        self.shared.progress.send_modify(|progress| {
            // Nobody knows whether these arrived. Too many reported as dropped
            // is better than one lost in silence.
            let lost = self.taken - progress.records;
            self.shared.dropped.fetch_add(lost, AcqRel);
            progress.lost += lost;
            progress.records = self.taken;
            progress.attached = false;
        });
        *place = self.queue.take();
    }
}

async fn receive(
    directives: &mut Streaming<wire::Directive>,
) -> Result<Option<wire::Directive>, LogError> {
    directives.message().await.map_err(|status| LogError::Ended(Some(status)))
}

async fn recv(queue: &mut Option<mpsc::Receiver<Queued>>) -> Option<Queued> {
    queue.as_mut()?.recv().await
}
