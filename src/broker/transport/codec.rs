//! gRPC's message framing on the trunk's stream, without copying large payloads.
//!
//! A message is a flag byte (0: not compressed; the trunk itself never is), its
//! length in four bytes, big-endian, and the message (gRPC over HTTP/2,
//! "Length-Prefixed-Message").

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Buf;
use bytes::BufMut;
use bytes::Bytes;
use bytes::BytesMut;
use prost::Message;

use super::convert;
use crate::broker::protocol::Frame;
use crate::broker::protocol::Limits;
use crate::broker::protocol::Violation;

const PREFIX: usize = 5;

/// The number of the field `data` in `Frame`, which is written by hand, last.
const DATA_FIELD: u32 = 4;

/// Payloads of at least this many bytes are passed on to HTTP/2 as they are;
/// below it, copying into the batch is cheaper than a piece of its own.
const SEND_SHARED_FROM: usize = 4 * 1024;

/// Payloads of at least this many bytes are handed on as a part of the buffer
/// that they were read into. A smaller one is copied: it would keep a buffer of
/// up to 64 KiB alive, which nobody accounts for.
const RECEIVE_SHARED_FROM: usize = 32 * 1024;

/// Collects frames into one piece of the HTTP/2 stream: small ones as one chunk, each
/// large payload as a chunk of its own.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    chunks: Chunks,
    /// The last chunk, which still grows.
    batch: BytesMut,
}

impl Encoder {
    /// Adds a frame.
    pub(super) fn push(&mut self, frame: Frame) {
        let (message, data) = convert::encode(frame);
        let fields = message.encoded_len();
        let data_len = if data.is_empty() { 0 } else { data_field_len(data.len()) };
        self.batch.reserve(PREFIX + fields + data_len.min(SEND_SHARED_FROM + 16));
        self.batch.put_u8(0);
        // Limits keep a frame far below 4 GiB.
        self.batch.put_u32(u32::try_from(fields + data_len).unwrap_or(u32::MAX));
        message.encode_raw(&mut self.batch);
        if !data.is_empty() {
            prost::encoding::encode_key(
                DATA_FIELD,
                prost::encoding::WireType::LengthDelimited,
                &mut self.batch,
            );
            prost::encoding::encode_varint(data.len() as u64, &mut self.batch);
        }
        if data.len() < SEND_SHARED_FROM {
            self.batch.put_slice(&data);
        } else {
            self.chunks.push(self.batch.split().freeze());
            self.chunks.push(data);
        }
    }

    /// Bytes that wait to be taken.
    pub(super) fn len(&self) -> usize {
        self.chunks.remaining() + self.batch.len()
    }

    /// All that was pushed.
    pub(super) fn take(&mut self) -> Chunks {
        self.chunks.push(self.batch.split().freeze());
        std::mem::take(&mut self.chunks)
    }
}

fn data_field_len(len: usize) -> usize {
    prost::encoding::key_len(DATA_FIELD) + prost::encoding::encoded_len_varint(len as u64) + len
}

/// Cuts the chunks of the HTTP/2 stream into frames.
#[derive(Debug)]
pub(super) struct Decoder {
    chunks: Chunks,
    /// The length of the message that is being received.
    expected: Option<usize>,
    longest: usize,
}

impl Decoder {
    pub(super) fn new(limits: &Limits) -> Self {
        // A head and an end, each within the limit, and data. Encoding metadata
        // takes less than the 32 bytes a field that the limit counts.
        let longest = limits.frame_data as usize + 2 * limits.metadata as usize + 1024;
        Self { chunks: Chunks::default(), expected: None, longest: longest.max(LONGEST_HELLO) }
    }

    pub(super) fn push(&mut self, chunk: Bytes) {
        self.chunks.push(chunk);
    }

    /// The next whole frame, if it is there.
    pub(super) fn pop(&mut self) -> Result<Option<Frame>, Violation> {
        let expected = match self.expected {
            Some(expected) => expected,
            None if self.chunks.remaining() < PREFIX => return Ok(None),
            None => {
                let compressed = self.chunks.get_u8() != 0;
                let len = self.chunks.get_u32() as usize;
                if compressed {
                    return Err(Violation::Malformed);
                }
                if len > self.longest {
                    return Err(Violation::FrameTooLong);
                }
                self.expected = Some(len);
                len
            }
        };
        if self.chunks.remaining() < expected {
            return Ok(None);
        }
        self.expected = None;
        if let Some(message) = self.chunks.chunk().get(..expected)
            && expected < RECEIVE_SHARED_FROM
        {
            let frame = convert::decode(message);
            self.chunks.advance(expected);
            return frame.map(Some);
        }
        convert::decode_shared((&mut self.chunks).take(expected), RECEIVE_SHARED_FROM).map(Some)
    }
}

/// A hello may be as long as this: it names the services that are offered.
const LONGEST_HELLO: usize = 128 * 1024;

/// Chunks in their order, read as one buffer.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    queue: VecDeque<Bytes>,
    len: usize,
}

impl Chunks {
    fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.len += chunk.len();
            self.queue.push_back(chunk);
        }
    }
}

impl Buf for Chunks {
    fn remaining(&self) -> usize {
        self.len
    }

    fn chunk(&self) -> &[u8] {
        self.queue.front().map_or(&[], |chunk| chunk)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let pairs = slices.iter_mut().zip(&self.queue);
        pairs.map(|(slice, chunk)| *slice = IoSlice::new(chunk)).count()
    }

    fn advance(&mut self, mut count: usize) {
        self.len -= count;
        while let Some(front) = self.queue.front_mut() {
            if front.len() > count {
                front.advance(count);
                return;
            }
            count -= front.len();
            self.queue.pop_front();
        }
    }

    /// Shares the memory if the bytes lie in one chunk.
    fn copy_to_bytes(&mut self, len: usize) -> Bytes {
        match self.queue.front_mut() {
            Some(front) if front.len() >= len => {
                self.len -= len;
                let bytes = front.split_to(len);
                if front.is_empty() {
                    self.queue.pop_front();
                }
                bytes
            }
            _ => {
                let mut bytes = BytesMut::with_capacity(len);
                bytes.put(self.take(len));
                bytes.freeze()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::protocol::Code;
    use crate::broker::protocol::End;
    use crate::broker::protocol::Entry;
    use crate::broker::protocol::Head;
    use crate::broker::protocol::Id;
    use crate::broker::protocol::Metadata;
    use crate::broker::protocol::RequestHead;
    use crate::broker::protocol::StreamFrame;
    use std::time::Duration;

    fn id(number: u64) -> Id {
        Id::new(number).expect("not 0")
    }

    fn frames() -> Vec<Frame> {
        let entry = Entry { name: "key-bin".into(), value: Bytes::from_static(&[0, 255, 7]) };
        let head = RequestHead {
            channel: id(1),
            path: "/a.B/C".into(),
            metadata: Metadata(vec![entry]),
            timeout: Some(Duration::from_micros(1500)),
            parent: Some(id(4)),
            depth: 3,
        };
        let stream = |data: usize, head, end| {
            Frame::Stream(StreamFrame { stream: id(3), head, data: vec![9u8; data].into(), end })
        };
        vec![
            stream(10, Some(Head::Request(head)), Some(End::default())),
            stream(4096, None, None),
            stream(65536, None, None),
            stream(40000, None, Some(End { grpc_status: Some(5), ..End::default() })),
            Frame::Credit { stream: id(3), bytes: 7 },
            Frame::GoAway { code: Code::GoingAway, message: "bye".into() },
        ]
    }

    #[test]
    fn frames_come_out_as_they_went_in_however_the_stream_is_cut() {
        for cut in [1usize, 3, 7, 1000, 16384, 1 << 20] {
            let mut encoder = Encoder::default();
            frames().into_iter().for_each(|frame| encoder.push(frame));
            let mut all = encoder.take();
            assert_eq!(encoder.len(), 0);
            let mut all = all.copy_to_bytes(all.remaining());
            let mut decoder = Decoder::new(&Limits::default());
            let mut got = Vec::new();
            while !all.is_empty() {
                decoder.push(all.split_to(cut.min(all.len())));
                while let Some(frame) = decoder.pop().expect("well-formed") {
                    got.push(frame);
                }
            }
            assert_eq!(got, frames(), "cut into {cut}");
        }
    }

    #[test]
    fn a_large_payload_is_not_copied_on_its_way_out() {
        let data = Bytes::from(vec![1u8; 60_000]);
        let frame = StreamFrame { stream: id(2), head: None, data: data.clone(), end: None };
        let mut encoder = Encoder::default();
        encoder.push(Frame::Stream(frame));
        let mut slices = [IoSlice::new(&[]); 3];
        let chunks = encoder.take();
        assert_eq!(chunks.chunks_vectored(&mut slices), 2, "the fields and the payload");
        assert_eq!(slices[1].as_ptr(), data.as_ptr());
    }

    #[test]
    fn a_small_payload_does_not_keep_the_buffer_that_it_was_read_into() {
        let data = Bytes::from(vec![1u8; 100]);
        let frame = StreamFrame { stream: id(2), head: None, data, end: None };
        let mut encoder = Encoder::default();
        encoder.push(Frame::Stream(frame));
        let mut chunks = encoder.take();
        let chunk = chunks.copy_to_bytes(chunks.remaining());
        let mut decoder = Decoder::new(&Limits::default());
        decoder.push(chunk.clone());
        let Some(Frame::Stream(frame)) = decoder.pop().expect("well-formed") else {
            panic!("a stream frame");
        };
        assert!(!chunk.as_ptr_range().contains(&frame.data.as_ptr()));
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_anything_is_collected() {
        let mut decoder = Decoder::new(&Limits::default());
        decoder.push(Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff]));
        assert_eq!(decoder.pop(), Err(Violation::FrameTooLong));
    }

    #[test]
    fn a_compressed_frame_is_refused() {
        let mut decoder = Decoder::new(&Limits::default());
        decoder.push(Bytes::from_static(&[1, 0, 0, 0, 0]));
        assert_eq!(decoder.pop(), Err(Violation::Malformed));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_frame_or_a_violation_and_never_a_panic(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300),
        ) {
            let mut message = vec![0, 0, 0, (bytes.len() >> 8) as u8, bytes.len() as u8];
            message.extend_from_slice(&bytes);
            let mut decoder = Decoder::new(&Limits::default());
            decoder.push(message.into());
            let _ = decoder.pop();
        }
    }
}
