//! The plugin's end of the log service: the queue.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::AcqRel;
use std::sync::atomic::Ordering::Acquire;
use std::sync::atomic::Ordering::Relaxed;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::services::Channel;
use crate::services::log::LogError;
use crate::services::log::Record;
use crate::services::log::worker;

/// How a [`Log`] queues.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LogOptions {
    /// The most records in the queue. Default: 4,096, at least 1. A program
    /// that starts logs some hundreds before it is attached.
    pub records: usize,
    /// The most bytes in the queue, as [`RECORD_BYTES`](super::RECORD_BYTES)
    /// counts them. Default: 4 MiB. Less than one record's limit would never
    /// let a large one through.
    pub bytes: usize,
    /// What is recorded until the host has said what it wants. Default: INFO.
    pub level: LevelFilter,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { records: 4096, bytes: 4 * 1024 * 1024, level: LevelFilter::INFO }
    }
}

/// A plugin's log, for the host to read.
///
/// It is a bounded queue. Recording puts a record into it and never waits; when
/// it is full, the record is dropped, and the host is told how many were. From
/// [`attach`](Self::attach) on, what is in the queue goes to the host, many
/// records to a message.
///
/// Clones are the same log, and cheap. When the last clone is dropped, the rest
/// of the queue is sent and the call ends; a plugin that is about to exit calls
/// [`flush`](Self::flush).
#[derive(Clone)]
pub struct Log {
    sender: mpsc::Sender<Queued>,
    shared: Arc<Shared>,
}

/// A record in the queue, and the bytes that it counts.
pub(super) struct Queued {
    pub(super) record: Record,
    pub(super) weight: usize,
}

/// What the queue and the worker have in common.
pub(super) struct Shared {
    level: AtomicU8,
    limit: usize,
    /// Bytes in the queue.
    pub(super) queued: AtomicUsize,
    /// Records ever put into the queue.
    recorded: AtomicU64,
    /// Records ever dropped, or lost on the way.
    pub(super) dropped: AtomicU64,
    /// Wakes the worker for something that is not a record.
    pub(super) wake: Notify,
    /// The other end of the queue, while no worker has it.
    pub(super) receiver: Mutex<Option<mpsc::Receiver<Queued>>>,
    pub(super) progress: watch::Sender<Progress>,
}

/// How far the host has followed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// A worker has the queue.
    pub(super) attached: bool,
    /// Records out of the queue of which the fate is known: received or lost.
    pub(super) records: u64,
    /// Drops that the host knows of.
    pub(super) dropped: u64,
    /// Records that were sent and never acknowledged.
    pub(super) lost: u64,
}

impl Log {
    /// A log with the default [`LogOptions`].
    pub fn new() -> Self {
        Self::with_options(LogOptions::default())
    }

    /// A log with options of the plugin's choice.
    pub fn with_options(options: LogOptions) -> Self {
        let most = options.records.clamp(1, tokio::sync::Semaphore::MAX_PERMITS);
        let (sender, receiver) = mpsc::channel(most);
        let shared = Shared {
            level: AtomicU8::new(level_to_u8(options.level)),
            limit: options.bytes,
            queued: AtomicUsize::new(0),
            recorded: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            wake: Notify::new(),
            receiver: Mutex::new(Some(receiver)),
            progress: watch::Sender::new(Progress::default()),
        };
        Self { sender, shared: Arc::new(shared) }
    }

    /// Puts a record into the queue, if the level allows it. Never waits. A
    /// record that is over [`RECORD_BYTES`](super::RECORD_BYTES) is cut; one
    /// for which the queue has no room is dropped and counted.
    pub fn record(&self, mut record: Record) {
        if !self.enabled(record.level) {
            return;
        }
        let weight = record.clip();
        let shared = &self.shared;
        let queued = shared.queued.fetch_add(weight, AcqRel);
        let fits = queued.saturating_add(weight) <= shared.limit;
        match self.sender.try_reserve() {
            Ok(place) if fits => {
                // Counted before it is in the queue: a flush must wait for at
                // least as many as are before its own.
                shared.recorded.fetch_add(1, AcqRel);
                place.send(Queued { record, weight });
            }
            _ => {
                shared.queued.fetch_sub(weight, AcqRel);
                shared.dropped.fetch_add(1, AcqRel);
                shared.wake.notify_one();
            }
        }
    }

    /// Records a message at level ERROR.
    #[track_caller]
    pub fn error(&self, message: impl Into<String>) {
        self.record(Record::new(Level::ERROR, message));
    }

    /// Records a message at level WARN.
    #[track_caller]
    pub fn warn(&self, message: impl Into<String>) {
        self.record(Record::new(Level::WARN, message));
    }

    /// Records a message at level INFO.
    #[track_caller]
    pub fn info(&self, message: impl Into<String>) {
        self.record(Record::new(Level::INFO, message));
    }

    /// Records a message at level DEBUG.
    #[track_caller]
    pub fn debug(&self, message: impl Into<String>) {
        self.record(Record::new(Level::DEBUG, message));
    }

    /// Records a message at level TRACE.
    #[track_caller]
    pub fn trace(&self, message: impl Into<String>) {
        self.record(Record::new(Level::TRACE, message));
    }

    /// What the host wants now, or, before it has said, what the options say.
    pub fn level(&self) -> LevelFilter {
        self.shared.level()
    }

    /// Whether a record of this level is wanted. One atomic load.
    pub fn enabled(&self, level: Level) -> bool {
        level <= self.level()
    }

    /// How many records have been dropped so far: for want of room, or because
    /// the call ended before the host had acknowledged them.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Acquire)
    }

    /// Sends what is in the queue to the host behind this channel, and what
    /// comes into it, for as long as the future is polled: spawn it. It
    /// resolves when the last clone of this log has been dropped and the host
    /// has acknowledged everything.
    ///
    /// The log counts as attached from this call on, before the future is
    /// polled. When the future ends or is dropped, the log can be attached
    /// again; what was queued meanwhile is sent then.
    ///
    /// # Errors
    /// [`LogError::Attached`] if the log is attached already, and otherwise
    /// [`LogError::Ended`] when the host ends the call or is gone. Records that
    /// were on their way then count as dropped, even if the host did receive
    /// them.
    ///
    /// # Cancel safety
    /// Dropping the future ends the call; records that were on their way count
    /// as dropped.
    pub fn attach<T: Channel>(
        &self,
        channel: T,
    ) -> impl Future<Output = Result<(), LogError>> + Send + use<T> {
        // Not in the future: a flush right after this must find it attached.
        let worker = worker::Worker::new(&self.shared);
        async move {
            match worker {
                Some(worker) => worker.run(channel).await,
                None => Err(LogError::Attached),
            }
        }
    }

    /// As [`attach`](Self::attach), but gives every record to `write`, in their
    /// order, for a host that has no log service. What was given counts as
    /// acknowledged. Before the next record after some were dropped comes one
    /// at level WARN that says how many.
    ///
    /// The future needs no runtime's timers or sockets. If `write` may block,
    /// it should be run on a thread of its own, with `Handle::block_on`, and not
    /// on one of the runtime's blocking pool, which the end of the runtime
    /// waits for: it resolves only when the last clone of this log is dropped.
    ///
    /// # Errors
    /// [`LogError::Attached`] if the log is attached already.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: a record that was not given to
    /// `write` is still in the queue.
    #[cfg(all(feature = "goplugin", any(feature = "plugin", test)))]
    pub(crate) fn write_to<W: FnMut(&Record) + Send>(
        &self,
        write: W,
    ) -> impl Future<Output = Result<(), LogError>> + Send + use<W> {
        // As in `attach`.
        let worker = worker::Worker::new(&self.shared);
        async move {
            worker.ok_or(LogError::Attached)?.write(write).await;
            Ok(())
        }
    }

    /// Sets what is recorded, as the host's log service would.
    #[cfg(all(feature = "goplugin", any(feature = "plugin", test)))]
    pub(crate) fn set_level(&self, level: LevelFilter) {
        self.shared.set_level(level);
    }

    /// Waits until the host has acknowledged everything that was recorded so
    /// far, and knows of everything that was dropped so far. A plugin calls it
    /// before it exits.
    ///
    /// # Errors
    /// [`FlushError::Detached`] if the log is not attached, or no longer;
    /// [`FlushError::Lost`] if the call ended meanwhile, before the host had
    /// acknowledged all that was sent.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn flush(&self) -> Result<(), FlushError> {
        let records = self.shared.recorded.load(Acquire);
        let dropped = self.shared.dropped.load(Acquire);
        let mut progress = self.shared.progress.subscribe();
        let lost = progress.borrow().lost;
        let reached = progress
            .wait_for(|now| !now.attached || (now.records >= records && now.dropped >= dropped));
        // The sender is in `self`, so this always ends in a value.
        let now = reached.await.map_or_else(|_| Progress::default(), |now| *now);
        if now.records < records || now.dropped < dropped {
            return Err(FlushError::Detached);
        }
        match now.lost - lost {
            0 => Ok(()),
            count => Err(FlushError::Lost { count }),
        }
    }
}

impl Shared {
    pub(super) fn level(&self) -> LevelFilter {
        level_from_u8(self.level.load(Relaxed))
    }

    pub(super) fn set_level(&self, level: LevelFilter) {
        let new = level_to_u8(level);
        if self.level.swap(new, Relaxed) != new {
            // Callsites remember whether anybody listens to them. A tracing
            // layer over this log has changed its mind.
            tracing::callsite::rebuild_interest_cache();
        }
    }
}

/// Why a flush could not be completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlushError {
    /// No worker carries the log to the host: it was not attached yet, or the
    /// call has ended. What is in the queue stays there.
    #[error("the log is not attached to a host")]
    Detached,
    /// The call ended, and with it records whose receipt the host had not
    /// acknowledged. They count as dropped, and the host will be told.
    #[error("the call ended before the host had acknowledged {count} records")]
    Lost {
        /// How many.
        count: u64,
    },
}

fn level_to_u8(level: LevelFilter) -> u8 {
    match level {
        LevelFilter::OFF => 0,
        LevelFilter::ERROR => 1,
        LevelFilter::WARN => 2,
        LevelFilter::INFO => 3,
        LevelFilter::DEBUG => 4,
        LevelFilter::TRACE => 5,
    }
}

fn level_from_u8(level: u8) -> LevelFilter {
    match level {
        0 => LevelFilter::OFF,
        1 => LevelFilter::ERROR,
        2 => LevelFilter::WARN,
        3 => LevelFilter::INFO,
        4 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    }
}

impl Default for Log {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("level", &self.level())
            .field("dropped", &self.dropped())
            .finish_non_exhaustive()
    }
}
