//! A byte stream from the host to the plugin that is kept busy.

use bytes::Bytes;

use crate::broker::protocol::ChannelKey;
use crate::broker::protocol::Code;
use crate::broker::protocol::End;
use crate::broker::protocol::Kind;
use crate::broker::protocol::Read;
use crate::broker::protocol::StreamKey;
use crate::pair::Pair;

/// What is written at once, in bytes: the data of one full frame with default limits.
pub(crate) const CHUNK: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Bulk {
    chunk: Bytes,
    writer: StreamKey,
    reader: StreamKey,
    written: usize,
    read: usize,
}

impl Bulk {
    /// Opens the stream and transfers until its window has grown to its largest.
    pub(crate) fn open(pair: &mut Pair) -> Self {
        let opened = pair.open(Kind::Bytes);
        let writer = opened.our_stream.expect("a byte stream comes with its stream");
        let reader = opened.their_stream.expect("a byte stream comes with its stream");
        let chunk = Bytes::from(vec![0; CHUNK]);
        let mut bulk = Self { chunk, writer, reader, written: 0, read: 0 };
        let mut growth = None;
        while growth != Some(pair.plugin.counts().window_growth) {
            growth = Some(pair.plugin.counts().window_growth);
            bulk.transfer(pair, 64 * CHUNK);
        }
        assert!(growth > Some(0), "a stream in use has a larger window");
        bulk
    }

    /// Writes `bytes`, as the room for them comes, and reads them.
    pub(crate) fn transfer(&mut self, pair: &mut Pair, bytes: usize) {
        let target = self.written + bytes;
        while self.read < target {
            let before = self.read;
            self.fill(pair, target);
            pair.deliver_to_plugin();
            self.drain(pair);
            pair.deliver_to_host();
            pair.skip_events();
            assert!(self.read > before, "stuck after {before} bytes of {target}");
        }
        assert_eq!(self.read, target, "no more was read than written");
    }

    /// Makes one unary call on `channel` while the stream has more to send than leaves
    /// before the call is over.
    pub(crate) fn call_beside(&mut self, pair: &mut Pair, channel: ChannelKey) {
        self.fill(pair, usize::MAX);
        pair.ask(channel);
        assert!(pair.deliver_one_to_plugin() && pair.deliver_one_to_plugin(), "one of each");
        assert!(pair.host.wants_transmit(), "the stream has more to send");
        assert_eq!(pair.serve(), 1, "the call waited for one frame of the stream at most");
        self.drain(pair);
        pair.deliver_to_host();
        assert_eq!(pair.take_answers(), 1);
    }

    /// Ends the stream in both directions once all of it was read.
    pub(crate) fn finish(mut self, pair: &mut Pair) {
        self.transfer(pair, 0);
        for (machine, key) in [(&mut pair.host, self.writer), (&mut pair.plugin, self.reader)] {
            machine.finish(key, End::default()).expect("open");
        }
        pair.deliver_to_plugin();
        pair.deliver_to_host();
        for (machine, key) in [(&mut pair.host, self.writer), (&mut pair.plugin, self.reader)] {
            let read = machine.read(key).expect("nothing failed");
            assert_eq!(read, Read::End(Some(End::default())));
            machine.release(key, Code::Failed);
        }
    }

    /// Writes up to `target` bytes in all, while there is room.
    fn fill(&mut self, pair: &mut Pair, target: usize) {
        loop {
            let room = pair.host.room(self.writer).expect("open");
            let part = room.min(CHUNK).min(target - self.written);
            if part == 0 {
                return;
            }
            pair.host.write(self.writer, self.chunk.slice(..part)).expect("open");
            self.written += part;
        }
    }

    /// Reads what has arrived, for which credit goes back.
    fn drain(&mut self, pair: &mut Pair) {
        while let Read::Data(data) = pair.plugin.read(self.reader).expect("open") {
            self.read += data.len();
        }
    }
}
