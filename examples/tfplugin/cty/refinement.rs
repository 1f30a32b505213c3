//! What is known of an unknown value.

use super::number::Number;

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

    /// All of this is known.
    #[must_use]
    pub fn new(_range: &Range) -> Self {
        unimplemented!()
    }

    /// What is known, as far as this program understands it.
    #[must_use]
    pub fn range(&self) -> Range {
        unimplemented!()
    }
}
