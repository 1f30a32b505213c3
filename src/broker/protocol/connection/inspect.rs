//! What tests see of a machine beside its counts: its tables and their memory.

use super::Connection;
use crate::broker::protocol::stream::StreamKey;

/// Entries and room of all tables and queues of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tables {
    /// Entries, whatever they are.
    pub(crate) entries: usize,
    /// Entries that there is memory for.
    pub(crate) capacity: usize,
    /// Control frames that answer the peer.
    pub(crate) answers: usize,
}

impl Connection {
    pub(crate) fn tables(&self) -> Tables {
        let (queued, queue_capacity) = self.scheduler.size();
        let channels = self.channels.keys().into_iter();
        let channels = channels.filter_map(|key| self.channels.get(key));
        let ready: Vec<_> = channels.map(|channel| &channel.ready).collect();
        let counted = self.our_channels + self.their_channels + self.our_streams;
        Tables {
            entries: self.channels.len()
                + self.streams.len()
                + self.channels_by_id.len()
                + self.streams_by_id.len()
                + queued
                + ready.iter().map(|ready| ready.len()).sum::<usize>()
                + self.answers
                + (counted + self.their_streams) as usize,
            capacity: self.channels.capacity()
                + self.streams.capacity()
                + self.channels_by_id.capacity()
                + self.streams_by_id.capacity()
                + queue_capacity
                + ready.iter().map(|ready| ready.capacity()).sum::<usize>()
                + self.events.capacity(),
            answers: self.answers,
        }
    }

    /// Bytes that wait to be sent on a stream.
    pub(crate) fn queued_on(&self, key: StreamKey) -> usize {
        self.streams.get(key.0).map_or(0, |stream| stream.send.queued())
    }

    /// Streams that the peer has opened and that count against its limit.
    pub(crate) fn streams_of_peer(&self) -> u32 {
        self.their_streams
    }
}
