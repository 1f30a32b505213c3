//! Writes msgpack, everything in its shortest form.

use std::convert::Infallible;

use rmp::encode;
use rmp::encode::ByteBuf;
use rmp::encode::ValueWriteError;

use super::error::EncodeProblem;
use super::number::Number;
use super::number::Written;

/// Bytes that grow. What may be longer than msgpack can say fails; the rest cannot.
#[derive(Debug, Default)]
pub struct Writer(ByteBuf);

impl Writer {
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.into_vec()
    }

    pub fn nil(&mut self) {
        let Ok(()) = encode::write_nil(&mut self.0);
    }

    pub fn bool(&mut self, value: bool) {
        let Ok(()) = encode::write_bool(&mut self.0, value);
    }

    pub fn integer(&mut self, value: i64) {
        always(encode::write_sint(&mut self.0, value));
    }

    pub fn number(&mut self, number: &Number) {
        match number.in_msgpack() {
            Written::Integer(integer) => self.integer(integer),
            Written::Float(float) => always(encode::write_f64(&mut self.0, float)),
            // As short as the limit of digits.
            Written::Text(text) => always(encode::write_str(&mut self.0, &text)),
        }
    }

    pub fn text(&mut self, text: &str) -> Result<(), EncodeProblem> {
        length(text.len())?;
        always(encode::write_str(&mut self.0, text));
        Ok(())
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), EncodeProblem> {
        length(bytes.len())?;
        always(encode::write_bin(&mut self.0, bytes));
        Ok(())
    }

    /// The head of an array: its elements follow.
    pub fn array(&mut self, elements: usize) -> Result<(), EncodeProblem> {
        always(encode::write_array_len(&mut self.0, length(elements)?));
        Ok(())
    }

    /// The head of a map: pairs of keys and values follow.
    pub fn map(&mut self, pairs: usize) -> Result<(), EncodeProblem> {
        always(encode::write_map_len(&mut self.0, length(pairs)?));
        Ok(())
    }

    pub fn extension(&mut self, kind: u8, payload: &[u8]) -> Result<(), EncodeProblem> {
        // The first bit is for kinds that msgpack defines: ours have it clear.
        let kind = (kind & 0x7f).cast_signed();
        always(encode::write_ext_meta(&mut self.0, length(payload.len())?, kind));
        self.0.as_mut_vec().extend_from_slice(payload);
        Ok(())
    }
}

fn length(length: usize) -> Result<u32, EncodeProblem> {
    u32::try_from(length).map_err(|_| EncodeProblem::TooLong)
}

/// Memory takes every write.
fn always<T>(written: Result<T, ValueWriteError<Infallible>>) -> T {
    match written {
        Ok(written) => written,
        Err(
            ValueWriteError::InvalidMarkerWrite(never) | ValueWriteError::InvalidDataWrite(never),
        ) => match never {},
    }
}
