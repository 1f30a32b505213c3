//! How many elements a value may have.

use std::cell::Cell;

use super::error::DecodeProblem;

/// The most elements of a value, at all depths together and with the parts of the types that
/// it brings: a million, where states in use have some thousands. An element may be one byte on
/// the wire, and what it takes in memory is what a peer makes the receiver pay.
///
/// Measured with the program `terraform`, which reads a value of so many elements from a
/// provider, checks it and prints it: at its peak it takes 215 MB where they are nulls in a
/// list, 600 MB where they are strings in a map, and 930 MB where they are maps of one string
/// each. Without the limit 30 million nulls took 5 GB.
pub const ELEMENT_LIMIT: usize = 1_000_000;

/// What is left of [`ELEMENT_LIMIT`] while a value is decoded.
#[derive(Debug)]
pub struct Budget(Cell<usize>);

impl Budget {
    pub const fn new() -> Self {
        Self(Cell::new(ELEMENT_LIMIT))
    }

    /// Takes so many elements from it.
    pub fn spend(&self, elements: usize) -> Result<(), DecodeProblem> {
        let left = self.0.get().checked_sub(elements).ok_or(DecodeProblem::TooMany)?;
        self.0.set(left);
        Ok(())
    }
}

/// How many elements JSON has at most, known before it is read.
pub fn elements_of_json(json: &[u8]) -> usize {
    // Each comes after one of these, but for the outermost. Those in strings count too.
    let begins = |byte: &&u8| matches!(byte, b'[' | b'{' | b',' | b':');
    json.iter().filter(begins).count() + 1
}
