//! Reads msgpack from memory. Nothing is reserved for what is only announced.

use rmp::Marker;
use rmp::decode;
use rmp::decode::Bytes;
use rmp::decode::NumValueReadError;
use rmp::decode::ValueReadError;
use rmp::decode::bytes::BytesReadError;

use super::budget::Budget;
use super::error::DecodeProblem;
use super::number::Number;

/// What is yet to be read.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: Bytes<'a>,
    budget: Budget,
}

/// An extension of msgpack: a kind, and bytes.
#[derive(Clone, Copy, Debug)]
pub struct Extension<'a> {
    pub kind: i8,
    pub payload: &'a [u8],
}

impl<'a> Reader<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: Bytes::new(bytes), budget: Budget::new() }
    }

    /// Counts elements, of which a value has so many at most.
    pub fn count(&self, elements: usize) -> Result<(), DecodeProblem> {
        self.budget.spend(elements)
    }

    /// How many bytes are left.
    pub const fn remaining(&self) -> usize {
        self.bytes.remaining_slice().len()
    }

    /// What comes next.
    pub fn peek(&self) -> Result<Marker, DecodeProblem> {
        let first = self.bytes.remaining_slice().first().ok_or(DecodeProblem::Truncated)?;
        Ok(Marker::from_u8(*first))
    }

    /// Reads a nil, if one comes next.
    pub fn nil(&mut self) -> Result<bool, DecodeProblem> {
        let is_nil = self.peek()? == Marker::Null;
        if is_nil {
            decode::read_nil(&mut self.bytes).map_err(|error| problem("nil", error))?;
        }
        Ok(is_nil)
    }

    pub fn bool(&mut self) -> Result<bool, DecodeProblem> {
        decode::read_bool(&mut self.bytes).map_err(|error| problem("a bool", error))
    }

    pub fn integer(&mut self) -> Result<i64, DecodeProblem> {
        decode::read_int(&mut self.bytes).map_err(|error| match error {
            NumValueReadError::TypeMismatch(marker) => mismatch("an integer", marker),
            NumValueReadError::OutOfRange => mismatch("an integer", Marker::U64),
            NumValueReadError::InvalidMarkerRead(_) | NumValueReadError::InvalidDataRead(_) => {
                DecodeProblem::Truncated
            }
        })
    }

    /// A number in any of the ways in which one may be sent.
    pub fn number(&mut self) -> Result<Number, DecodeProblem> {
        const EXPECTED: &str = "a number";
        let float = match self.peek()? {
            Marker::U64 => {
                let read = decode::read_u64(&mut self.bytes);
                return read.map(Number::from).map_err(|error| problem(EXPECTED, error));
            }
            marker if is_text(marker) => {
                return self.text(EXPECTED)?.parse().map_err(DecodeProblem::Number);
            }
            Marker::F64 => decode::read_f64(&mut self.bytes),
            Marker::F32 => decode::read_f32(&mut self.bytes).map(f64::from),
            Marker::FixPos(_)
            | Marker::FixNeg(_)
            | Marker::U8
            | Marker::U16
            | Marker::U32
            | Marker::I8
            | Marker::I16
            | Marker::I32
            | Marker::I64 => return self.integer().map(Number::from),
            other => return Err(mismatch(EXPECTED, other)),
        };
        let float = float.map_err(|error| problem(EXPECTED, error))?;
        Number::from_f64(float).ok_or(DecodeProblem::NaN)
    }

    /// Text. Bytes pass for it, as they do with go-cty.
    pub fn text(&mut self, expected: &'static str) -> Result<&'a str, DecodeProblem> {
        str::from_utf8(self.bytes(expected)?).map_err(|_| DecodeProblem::NotUtf8)
    }

    /// Bytes. Text passes for them.
    pub fn bytes(&mut self, expected: &'static str) -> Result<&'a [u8], DecodeProblem> {
        let length = match self.peek()? {
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => decode::read_bin_len(&mut self.bytes),
            _ => decode::read_str_len(&mut self.bytes),
        };
        self.take(length.map_err(|error| problem(expected, error))?)
    }

    /// The head of an array: how many elements are to follow. That is only announced.
    pub fn array(&mut self, expected: &'static str) -> Result<usize, DecodeProblem> {
        let length = decode::read_array_len(&mut self.bytes);
        Ok(usize_of(length.map_err(|error| problem(expected, error))?))
    }

    /// The head of a map: how many pairs are to follow. That is only announced.
    pub fn map(&mut self, expected: &'static str) -> Result<usize, DecodeProblem> {
        let length = decode::read_map_len(&mut self.bytes);
        Ok(usize_of(length.map_err(|error| problem(expected, error))?))
    }

    /// Reads an extension, if one comes next.
    pub fn extension(&mut self) -> Result<Option<Extension<'a>>, DecodeProblem> {
        let is_extension = matches!(
            self.peek()?,
            Marker::FixExt1
                | Marker::FixExt2
                | Marker::FixExt4
                | Marker::FixExt8
                | Marker::FixExt16
                | Marker::Ext8
                | Marker::Ext16
                | Marker::Ext32
        );
        if !is_extension {
            return Ok(None);
        }
        let head = decode::read_ext_meta(&mut self.bytes);
        let head = head.map_err(|error| problem("an extension", error))?;
        Ok(Some(Extension { kind: head.typeid, payload: self.take(head.size)? }))
    }

    /// Passes over one value, however deep it is nested.
    pub fn skip(&mut self) -> Result<(), DecodeProblem> {
        let mut left: usize = 1;
        while left > 0 {
            left -= 1;
            match self.peek()? {
                Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
                    left = left.saturating_add(self.array("an array")?);
                }
                Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
                    left = left.saturating_add(self.map("a map")?.saturating_mul(2));
                }
                Marker::Null => drop(self.nil()?),
                Marker::True | Marker::False => drop(self.bool()?),
                Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => drop(self.bytes("bytes")?),
                marker if is_text(marker) => drop(self.bytes("text")?),
                Marker::F32 | Marker::F64 | Marker::U64 => drop(self.number_bytes()?),
                _ => match self.extension()? {
                    Some(_) => {}
                    None => drop(self.integer()?),
                },
            }
        }
        Ok(())
    }

    /// A number that need not be one of cty's.
    fn number_bytes(&mut self) -> Result<&'a [u8], DecodeProblem> {
        let length = if self.peek()? == Marker::F32 { 5 } else { 9 };
        self.take(length)
    }

    fn take(&mut self, length: u32) -> Result<&'a [u8], DecodeProblem> {
        let length = usize_of(length);
        let rest = self.bytes.remaining_slice();
        let (taken, rest) = rest.split_at_checked(length).ok_or(DecodeProblem::Truncated)?;
        self.bytes = Bytes::new(rest);
        Ok(taken)
    }
}

/// A length; on machines where it does not fit, more than all memory has.
fn usize_of(length: u32) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

const fn is_text(marker: Marker) -> bool {
    matches!(
        marker,
        Marker::FixStr(_)
            | Marker::Str8
            | Marker::Str16
            | Marker::Str32
            | Marker::Bin8
            | Marker::Bin16
            | Marker::Bin32
    )
}

fn problem(expected: &'static str, error: ValueReadError<BytesReadError>) -> DecodeProblem {
    match error {
        ValueReadError::TypeMismatch(marker) => mismatch(expected, marker),
        ValueReadError::InvalidMarkerRead(_) | ValueReadError::InvalidDataRead(_) => {
            DecodeProblem::Truncated
        }
    }
}

const fn mismatch(expected: &'static str, found: Marker) -> DecodeProblem {
    let found = match found {
        Marker::Null => "null",
        Marker::True | Marker::False => "a bool",
        Marker::FixPos(_)
        | Marker::FixNeg(_)
        | Marker::U8
        | Marker::U16
        | Marker::U32
        | Marker::U64
        | Marker::I8
        | Marker::I16
        | Marker::I32
        | Marker::I64
        | Marker::F32
        | Marker::F64 => "a number",
        Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => "a string",
        Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => "bytes",
        Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => "an array",
        Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => "a map",
        Marker::Reserved => "nothing that msgpack has",
        _ => "unknown",
    };
    DecodeProblem::Kind { expected, found }
}
