//! Contents that both ends can tell from a call's number: made, and compared
//! byte for byte.

use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::proto::Piece;
use crate::proto::Summary;

/// Which way a piece goes: an answer has other content than what it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    There,
    Back,
}

/// What two pieces do not have in common by chance: their place in this much
/// random data.
const BLOCK: usize = 1 << 20;

/// Where all content comes from: the same at both ends, for the same seed.
#[derive(Clone, Debug)]
pub struct Source {
    seed: u64,
    length: RangeInclusive<usize>,
    block: Bytes,
}

impl Source {
    /// Pieces of these lengths.
    pub fn new(seed: u64, length: RangeInclusive<usize>) -> Self {
        let mut block = vec![0; BLOCK.max(length.end() * 2)];
        fastrand::Rng::with_seed(seed).fill(&mut block);
        let block = block.into();
        Self { seed, length, block }
    }

    pub fn piece(&self, call: u64, index: u32, way: Way) -> Piece {
        let mut rng = self.rng(call, index, way);
        let length = rng.usize(self.length.clone());
        let start = rng.usize(..self.block.len() - length);
        let data = self.block.slice(start..start + length);
        Piece { call, index, crc: crc32fast::hash(&data), data }
    }

    /// What is wrong with a piece, if anything is.
    pub fn check(&self, piece: &Piece, call: u64, index: u32, way: Way) -> Result<(), String> {
        let expected = self.piece(call, index, way);
        if *piece == expected {
            return Ok(());
        }
        Err(format!(
            "piece {index} of call {call:#x} ({way:?}) is not as sent: it says {}/{:#x} and has \
             {} bytes (CRC {:08x}, said to be {:08x}), not {} bytes (CRC {:08x})",
            piece.index,
            piece.call,
            piece.data.len(),
            crc32fast::hash(&piece.data),
            piece.crc,
            expected.data.len(),
            expected.crc,
        ))
    }

    /// What all pieces of one call are together.
    pub fn summary(&self, call: u64, pieces: u32, way: Way) -> Summary {
        let mut sum = Sum::default();
        (0..pieces).for_each(|index| sum.add(&self.piece(call, index, way).data));
        sum.of(call)
    }

    /// The bytes of a call's byte stream from `position` on, as many as lie in
    /// one place, at most `most`.
    pub fn stream(&self, call: u64, position: u64, most: usize) -> Bytes {
        let start = self.rng(call, 0, Way::There).u64(..) % self.block.len() as u64;
        let at = ((start + position) % self.block.len() as u64) as usize;
        let end = self.block.len().min(at + most);
        self.block.slice(at..end)
    }

    /// Whether these are the bytes of a call's byte stream at `position`.
    pub fn is_stream(&self, call: u64, position: u64, mut data: &[u8]) -> bool {
        let mut position = position;
        while !data.is_empty() {
            let expected = self.stream(call, position, data.len());
            if data[..expected.len()] != expected {
                return false;
            }
            position += expected.len() as u64;
            data = &data[expected.len()..];
        }
        true
    }

    fn rng(&self, call: u64, index: u32, way: Way) -> fastrand::Rng {
        let back = u64::from(way == Way::Back) << 32;
        fastrand::Rng::with_seed(mix(mix(self.seed, call), back | u64::from(index)))
    }
}

/// One number of two, in which every bit matters (the end of SplitMix64).
pub fn mix(a: u64, b: u64) -> u64 {
    let mut x = a ^ b.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Sums up pieces as they come.
#[derive(Default)]
pub struct Sum {
    pieces: u32,
    bytes: u64,
    crc: crc32fast::Hasher,
}

impl Sum {
    pub fn add(&mut self, data: &[u8]) {
        self.pieces += 1;
        self.bytes += data.len() as u64;
        self.crc.update(data);
    }

    pub fn of(self, call: u64) -> Summary {
        Summary { call, pieces: self.pieces, bytes: self.bytes, crc: self.crc.finalize() }
    }
}
