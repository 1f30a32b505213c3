//! What is known of an unknown value.
//!
//! It travels as an extension of msgpack: of any kind with at most one byte if nothing is
//! known, else of kind 12 with a map from numbers to what they mean. Receivers keep what they
//! do not understand.

use super::error::DecodeProblem;
use super::error::EncodeProblem;
use super::number::Number;
use super::reader::Extension;
use super::reader::Reader;
use super::types::Type;
use super::writer::Writer;

/// The most bytes that a refinement may have: go-cty's limit.
pub const PAYLOAD_LIMIT: usize = 1024;

/// The most bytes of a prefix that are sent, which keeps refinements below their limit.
const PREFIX_LIMIT: usize = 256;

/// The most digits of a bound that is sent, for the same reason. The largest float has 309.
const BOUND_LIMIT: usize = 320;

/// The kind of an extension that is unknown, and all there is to say.
const UNKNOWN: u8 = 0;

/// The kind of an extension that is unknown, with a refinement.
const REFINED: u8 = 12;

const NULLNESS: i64 = 1;
const PREFIX: i64 = 2;
const LOWER: i64 = 3;
const UPPER: i64 = 4;
const MIN_LENGTH: i64 = 5;
const MAX_LENGTH: i64 = 6;

/// What is known of an unknown value all the same, as it was sent: it survives byte for byte,
/// with all that this program does not know of it. [`range`](Self::range) is what it knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refinement(Box<[u8]>);

/// What a [`Refinement`] says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// It will turn out to be null, or not to be; `None`: that is open.
    pub is_null: Option<bool>,
    /// What a string will begin with.
    pub prefix: Option<String>,
    pub lower: Option<Bound>,
    pub upper: Option<Bound>,
    /// The least number of elements of a list, set or map.
    pub min_length: Option<i64>,
    /// The greatest number of elements of a list, set or map.
    pub max_length: Option<i64>,
}

/// A bound of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    pub number: Number,
    pub inclusive: bool,
}

impl Refinement {
    /// Nothing is known.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// It will not be null.
    #[must_use]
    pub fn not_null() -> Self {
        Self::new(&Range { is_null: Some(false), ..Range::default() })
    }

    /// All of this is known. A refinement is a hint, and has at most 1 KiB: of a prefix the
    /// first 256 bytes are kept, and a bound with more than 320 digits is left out.
    #[must_use]
    pub fn new(range: &Range) -> Self {
        // Nothing in it is so long that it could not be written.
        payload(range).map(|payload| Self(payload.into())).unwrap_or_default()
    }

    /// What is known, as far as this program understands it.
    #[must_use]
    pub fn range(&self) -> Range {
        // What was received has been read before.
        read(&self.0, None).unwrap_or_default()
    }

    /// What an extension says of an unknown value of the type.
    pub(super) fn received(extension: Extension<'_>, ty: &Type) -> Result<Self, DecodeProblem> {
        let Extension { kind, payload } = extension;
        if kind.cast_unsigned() != REFINED || payload.len() <= 1 {
            return Ok(Self::none());
        }
        if payload.len() > PAYLOAD_LIMIT {
            return Err(DecodeProblem::LongRefinement { bytes: payload.len() });
        }
        let of = ty.kind();
        match read(payload, Some(ty)) {
            Ok(_) => Ok(Self(payload.into())),
            Err(problem) => Err(DecodeProblem::Refinement { of, problem: Box::new(problem) }),
        }
    }

    pub(super) fn send(&self, writer: &mut Writer) -> Result<(), EncodeProblem> {
        match self.0.is_empty() {
            true => writer.extension(UNKNOWN, &[0]),
            false => writer.extension(REFINED, &self.0),
        }
    }
}

/// A refinement's map; nothing if there is nothing to say.
fn payload(range: &Range) -> Result<Vec<u8>, EncodeProblem> {
    let mut entries = Writer::default();
    let count = write(range, &mut entries)?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let mut map = Writer::default();
    map.map(count)?;
    Ok([map.into_bytes(), entries.into_bytes()].concat())
}

/// Writes the entries of a refinement's map, in go-cty's order, and counts them.
fn write(range: &Range, to: &mut Writer) -> Result<usize, EncodeProblem> {
    let mut count = 0;
    let mut key = |to: &mut Writer, key| {
        count += 1;
        to.integer(key);
    };
    if let Some(is_null) = range.is_null {
        key(to, NULLNESS);
        to.bool(is_null);
    }
    if let Some(prefix) = &range.prefix {
        key(to, PREFIX);
        to.text(&prefix[..prefix.floor_char_boundary(PREFIX_LIMIT)])?;
    }
    for (which, bound) in [(LOWER, &range.lower), (UPPER, &range.upper)] {
        let short = |bound: &&Bound| bound.number.to_string().len() <= BOUND_LIMIT;
        if let Some(Bound { number, inclusive }) = bound.as_ref().filter(short) {
            key(to, which);
            to.array(2)?;
            to.number(number);
            to.bool(*inclusive);
        }
    }
    for (which, length) in [(MIN_LENGTH, range.min_length), (MAX_LENGTH, range.max_length)] {
        if let Some(length) = length {
            key(to, which);
            to.integer(length);
        }
    }
    Ok(count)
}

/// Reads what is known of a refinement's map. With a type, what cannot be known of its
/// values is an error. Keys that are not known are passed over, as is what follows the map:
/// both are left to future versions.
fn read(payload: &[u8], ty: Option<&Type>) -> Result<Range, DecodeProblem> {
    let mut range = Range::default();
    if payload.is_empty() {
        return Ok(range);
    }
    let mut reader = Reader::new(payload);
    for _ in 0..reader.map("a map of what is known")? {
        let key = reader.integer()?;
        let applies = match (key, ty) {
            (PREFIX, Some(ty)) => matches!(ty, Type::String | Type::Dynamic),
            (LOWER | UPPER, Some(ty)) => matches!(ty, Type::Number | Type::Dynamic),
            (MIN_LENGTH | MAX_LENGTH, Some(ty)) => {
                matches!(ty, Type::List(_) | Type::Set(_) | Type::Map(_) | Type::Dynamic)
            }
            _ => true,
        };
        if !applies {
            return Err(DecodeProblem::Inapplicable(key));
        }
        match key {
            NULLNESS => range.is_null = Some(reader.bool()?),
            PREFIX => range.prefix = Some(reader.text("a string")?.to_owned()),
            LOWER => range.lower = Some(bound(&mut reader)?),
            UPPER => range.upper = Some(bound(&mut reader)?),
            MIN_LENGTH => range.min_length = Some(reader.integer()?),
            MAX_LENGTH => range.max_length = Some(reader.integer()?),
            _ => reader.skip()?,
        }
    }
    Ok(range)
}

fn bound(reader: &mut Reader<'_>) -> Result<Bound, DecodeProblem> {
    match reader.array("a bound")? {
        2 => Ok(Bound { number: reader.number()?, inclusive: reader.bool()? }),
        found => Err(DecodeProblem::Length { expected: 2, found }),
    }
}
