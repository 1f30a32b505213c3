//! What two applications do with a stream, and what each may then see of it.

use std::sync::LazyLock;

use bytes::Bytes;

use super::At;
use super::model::World;
use super::ok;
use crate::broker::protocol::Code;
use crate::broker::protocol::End;
use crate::broker::protocol::Kind;
use crate::broker::protocol::Read;
use crate::broker::protocol::StreamError;
use crate::broker::protocol::StreamKey;

/// One direction of a stream, by its writer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Half {
    pub(super) written: usize,
    pub(super) finished: bool,
    pub(super) read: usize,
    /// Whether the reader has seen the end, or an error.
    pub(super) ended: bool,
    pub(super) failed: bool,
    /// Whether somebody did something after which the reader may get an error.
    pub(super) cut: bool,
}

/// A call or a byte stream, as both applications see it.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) channel: usize,
    pub(super) opener: At,
    pub(super) kind: Kind,
    pub(super) responded: bool,
    /// By end; `None` before it arrived there and after it was let go of.
    pub(super) keys: [Option<StreamKey>; 2],
    /// Whether the reader, the writer was told to wait for an event.
    pub(super) parked_read: [bool; 2],
    pub(super) parked_room: [bool; 2],
    pub(super) halves: [Half; 2],
}

impl Flow {
    /// Whether `at` still has its end to write, and need not wait for the
    /// request that it serves.
    pub(super) fn may_finish(&self, at: At) -> bool {
        let theirs = self.halves[at.other() as usize];
        let heard = self.kind == Kind::Bytes || self.opener == at;
        !self.halves[at as usize].finished && (heard || theirs.ended || theirs.failed)
    }

    /// Whoever still holds it knows how it ended, and well if nobody cut it off.
    pub(super) fn assert_at_its_end(&self) {
        for reader in At::BOTH {
            let half = self.halves[reader.other() as usize];
            if self.keys[reader as usize].is_some() {
                assert!(half.ended || half.failed, "{self:?}");
            }
        }
    }
}

/// What is written from a place of a stream on: a window on bytes that are
/// without pattern for as long as `PERIOD`.
fn text(flow: usize, writer: At, place: usize, count: usize) -> Bytes {
    const PERIOD: usize = 65_521;
    const LONGEST: usize = 16 * 1024;
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| {
        let scattered = |place: usize| ((place % PERIOD).wrapping_mul(0x9E37_79B9) >> 13) as u8;
        (0..PERIOD + LONGEST).map(scattered).collect()
    });
    let from = (place + 1009 * (2 * flow + writer as usize)) % PERIOD;
    TEXT.slice(from..from + count)
}

impl World {
    pub(super) fn respond(&mut self, at: At, flow: usize) {
        let it = &mut self.flows[flow];
        if it.opener != at && !it.responded {
            it.responded = true;
            let key = it.keys[at as usize].expect("held");
            if let Err(error) = self.pair.at(at).respond(key, ok()) {
                self.assert_allowed(flow, at, &error);
            }
        }
    }

    pub(super) fn write(&mut self, at: At, flow: usize, count: usize) {
        let it = &self.flows[flow];
        let half = it.halves[at as usize];
        if half.finished || it.opener != at && !it.responded {
            return;
        }
        let key = it.keys[at as usize].expect("held");
        let parked = it.parked_room[at as usize];
        match self.pair.at(at).room(key) {
            Err(error) => self.assert_allowed(flow, at, &error),
            Ok(0) => self.flows[flow].parked_room[at as usize] = true,
            Ok(room) => {
                let worth_it = room >= self.pair.at(at).queued_on(key);
                assert!(!parked || !worth_it, "there is room, and nothing said so");
                self.flows[flow].parked_room[at as usize] = false;
                let data = text(flow, at, half.written, count);
                self.pair.at(at).write(key, data).expect("there was room");
                self.flows[flow].halves[at as usize].written += count;
            }
        }
    }

    pub(super) fn finish(&mut self, at: At, flow: usize) {
        let it = &mut self.flows[flow];
        if it.halves[at as usize].finished || it.opener != at && !it.responded {
            return;
        }
        it.halves[at as usize].finished = true;
        let key = it.keys[at as usize].expect("held");
        if let Err(error) = self.pair.at(at).finish(key, End::default()) {
            self.assert_allowed(flow, at, &error);
        }
    }

    /// Reads once. Returns whether there was data.
    pub(super) fn read(&mut self, at: At, flow: usize) -> bool {
        let writer = at.other();
        let it = &mut self.flows[flow];
        let key = it.keys[at as usize].expect("held");
        let parked = it.parked_read[at as usize];
        let result = self.pair.at(at).read(key);
        let half = &mut it.halves[writer as usize];
        if !matches!(result, Ok(Read::Pending)) {
            assert!(!parked, "there is something to read, and nothing said so");
            assert!(!half.failed || result.is_err(), "it had failed");
        }
        match result {
            Ok(Read::Data(data)) => {
                assert!(data == text(flow, writer, half.read, data.len()));
                half.read += data.len();
                assert!(half.read <= half.written && !half.ended);
                return true;
            }
            Ok(Read::End(end)) => {
                assert!(half.finished && half.read == half.written, "{half:?}");
                assert_eq!(end.is_none(), half.ended, "the end is given once");
                half.ended = true;
            }
            Ok(Read::Pending) => it.parked_read[at as usize] = true,
            Err(error) => {
                assert!(!half.ended);
                half.failed = true;
                self.assert_allowed(flow, writer, &error);
            }
        }
        false
    }

    pub(super) fn reset(&mut self, at: At, flow: usize) {
        let it = &mut self.flows[flow];
        it.halves.iter_mut().for_each(|half| half.cut = true);
        let key = it.keys[at as usize].expect("held");
        self.pair.at(at).reset(key, Code::Cancelled);
    }

    pub(super) fn release(&mut self, at: At, flow: usize) {
        let it = &mut self.flows[flow];
        let key = it.keys[at as usize].take().expect("held");
        let may_leave = it.kind == Kind::Bytes || it.opener != at;
        let ours = &mut it.halves[at as usize];
        // What was given whole still arrives.
        ours.cut |= !(ours.finished && may_leave);
        it.halves[at.other() as usize].cut = true;
        self.pair.at(at).release(key, Code::Cancelled);
    }

    /// Nobody is told that something failed without a cause.
    fn assert_allowed(&self, flow: usize, writer: At, error: &StreamError) {
        let it = &self.flows[flow];
        let answered = it.kind == Kind::Calls && it.halves[it.opener.other() as usize].finished;
        match error {
            StreamError::Local(Code::Done) if answered => {}
            _ if it.halves[writer as usize].cut => {}
            _ => self.assert_refusal(error),
        }
    }
}
