//! Cuts records down to a size that both ends can afford.

use std::borrow::Cow;

use bytes::Bytes;

use crate::services::log::Field;
use crate::services::log::Record;
use crate::services::log::SpanRecord;
use crate::services::log::Value;

/// The largest record, in bytes: 32 KiB. What is over it is cut off, at the
/// plugin and, because a plugin need not be honest, again at the host. A
/// message may take half of it, so that a long one leaves room for fields.
///
/// A record counts as its texts and bytes, 64 for itself, and 32 for each field
/// and span; no record is longer than that on the wire.
pub const RECORD_BYTES: usize = 32 * 1024;

/// What a record, and each field or span in it, counts beside its texts.
const RECORD_OVERHEAD: usize = 64;
const PART_OVERHEAD: usize = 32;

/// What a text that was cut ends in.
pub(super) const MARK: &str = "…";

impl Record {
    /// Cuts the record down to [`RECORD_BYTES`], adds what was cut to
    /// [`cut`](Self::cut), and gives what the record counts now.
    pub(super) fn clip(&mut self) -> usize {
        let mut room = Room { left: RECORD_BYTES - RECORD_OVERHEAD, cut: 0 };
        room.text(&mut self.target);
        for text in [&mut self.file, &mut self.module].into_iter().flatten() {
            room.text(text);
        }
        room.string(&mut self.message, RECORD_BYTES / 2);
        room.fields(&mut self.fields);
        room.spans(&mut self.spans);
        self.cut = self.cut.saturating_add(room.cut as u64);
        RECORD_BYTES - room.left
    }
}

/// The room that is left in a record, and what has found none.
struct Room {
    left: usize,
    cut: usize,
}

impl Room {
    /// How many of `length` bytes to keep, and whether there is room for the
    /// mark behind them.
    fn take(&mut self, length: usize, limit: usize) -> Option<usize> {
        let room = self.left.min(limit);
        if length <= room {
            self.left -= length;
            return None;
        }
        Some(room)
    }

    fn string(&mut self, text: &mut String, limit: usize) {
        let Some(room) = self.take(text.len(), limit) else {
            return;
        };
        let kept = text.floor_char_boundary(room.saturating_sub(MARK.len()));
        self.cut += text.len() - kept;
        text.truncate(kept);
        if room >= MARK.len() {
            text.push_str(MARK);
        }
        // Gives back what the long text took.
        text.shrink_to_fit();
        self.left -= text.len();
    }

    fn text(&mut self, text: &mut Cow<'static, str>) {
        // A text that fits stays borrowed.
        if text.len() <= self.left {
            self.left -= text.len();
        } else {
            self.string(text.to_mut(), usize::MAX);
        }
    }

    fn bytes(&mut self, bytes: &mut Bytes) {
        if let Some(room) = self.take(bytes.len(), usize::MAX) {
            self.cut += bytes.len() - room;
            // A copy, because a slice would hold on to all of it.
            *bytes = Bytes::copy_from_slice(&bytes[..room]);
            self.left -= room;
        }
    }

    /// Room for a part of which the name must fit, or it is left out.
    fn part(&mut self, name: &str) -> bool {
        let size = name.len().saturating_add(PART_OVERHEAD);
        let fits = size <= self.left;
        if fits {
            self.left -= size;
        }
        fits
    }

    fn fields(&mut self, fields: &mut Vec<Field>) {
        fields.retain_mut(|field| {
            let fits = self.part(&field.name);
            match &mut field.value {
                value if !fits => self.cut += field.name.len() + size(value),
                Value::Text(text) | Value::Debug(text) => self.string(text, usize::MAX),
                Value::Bytes(bytes) => self.bytes(bytes),
                Value::Bool(_) | Value::I64(_) | Value::U64(_) | Value::F64(_) => {}
            }
            fits
        });
        fields.shrink_to_fit();
    }

    fn spans(&mut self, spans: &mut Vec<SpanRecord>) {
        spans.retain_mut(|span| {
            let fits = self.part(&span.name);
            if fits {
                self.fields(&mut span.fields);
            } else {
                let fields = span.fields.iter();
                let fields = fields.map(|field| field.name.len() + size(&field.value));
                self.cut += span.name.len() + fields.sum::<usize>();
            }
            fits
        });
        spans.shrink_to_fit();
    }
}

/// What leaving out a value counts as cut: at least 1, so that it is noticed.
fn size(value: &Value) -> usize {
    match value {
        Value::Text(text) | Value::Debug(text) => text.len().max(1),
        Value::Bytes(bytes) => bytes.len().max(1),
        Value::Bool(_) => 1,
        Value::I64(_) | Value::U64(_) | Value::F64(_) => 8,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;
    use tracing::Level;

    use super::*;
    use crate::services::wire::log as wire;

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<String>().prop_map(Value::Text),
            (0..RECORD_BYTES * 2).prop_map(|length| Value::Debug("é".repeat(length))),
            (0..RECORD_BYTES * 2).prop_map(|length| Value::Bytes(vec![1; length].into())),
            any::<i64>().prop_map(Value::I64),
            any::<u64>().prop_map(Value::U64),
            any::<bool>().prop_map(Value::Bool),
            any::<f64>().prop_map(Value::F64),
        ]
    }

    fn fields(most: usize) -> impl Strategy<Value = Vec<Field>> {
        let field = (".{0,9}", value());
        let field = field.prop_map(|(name, value)| Field { name: name.into(), value });
        proptest::collection::vec(field, 0..most)
    }

    fn spans() -> impl Strategy<Value = Vec<SpanRecord>> {
        let span = (".{0,9}", fields(4));
        let span = span.prop_map(|(name, fields)| SpanRecord { name: name.into(), fields });
        proptest::collection::vec(span, 0..4)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_record_that_was_clipped_is_within_the_limit_and_says_so(
            message in 0..RECORD_BYTES,
            target in ".{0,20}",
            fields in fields(9),
            spans in spans(),
        ) {
            let mut record = Record::new(Level::INFO, "é".repeat(message)).with_target(target);
            record.fields = fields;
            record.spans = spans;
            let before = record.clone();
            let weight = record.clip();
            prop_assert!(weight <= RECORD_BYTES);
            let encoded = wire::Record::from(record.clone()).encoded_len();
            prop_assert!(encoded <= weight, "{encoded} on the wire, {weight} counted");
            let mut compared = record.clone();
            compared.cut = 0;
            prop_assert_eq!(compared == before, record.cut == 0);
            // What is within the limit stays as it is.
            let mut again = record.clone();
            prop_assert_eq!(again.clip(), weight);
            prop_assert_eq!(again, record);
        }
    }

    #[test]
    fn a_long_message_is_cut_between_characters_and_leaves_room_for_fields() {
        let mut record = Record::new(Level::INFO, "é".repeat(RECORD_BYTES)).with_field("a", "b");
        record.clip();
        assert!(record.message.len() <= RECORD_BYTES / 2);
        assert!(record.message.ends_with("é…"));
        let kept = record.message.len() - MARK.len();
        assert_eq!(record.cut, (2 * RECORD_BYTES - kept) as u64);
        assert_eq!(record.fields, [Field { name: "a".into(), value: "b".into() }]);
    }

    #[test]
    fn fields_that_find_no_room_are_left_out_and_counted() {
        let mut record = Record::new(Level::INFO, "");
        for i in 0..10_000_u64 {
            record = record.with_field("name", i);
        }
        record.clip();
        let left_out = 10_000 - record.fields.len();
        assert!(left_out > 0);
        assert_eq!(record.cut, left_out as u64 * 12);
    }
}
