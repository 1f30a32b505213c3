//! Cuts what a plugin writes into lines: bytes in, lines out, nothing lost.

use std::borrow::Cow;

/// The longest piece of a line that is handed on at once, in bytes. A longer
/// line becomes several pieces, so that a plugin that writes without ever
/// ending a line takes up no more memory than this.
pub(crate) const LONGEST_PIECE: usize = 64 * 1024;

/// A line, or a piece of one that is longer than [`LONGEST_PIECE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    /// What was written, without the end of the line.
    pub(crate) bytes: &'a [u8],
    pub(crate) end: PieceEnd,
}

/// What comes after a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PieceEnd {
    /// `\n`
    Newline,
    /// `\r\n`
    CarriageReturnNewline,
    /// The next piece of the same line.
    Continues,
    /// Nothing: the output ended in the middle of a line.
    Nothing,
}

/// Cuts a stream of bytes into [`Piece`]s. How the bytes are divided over calls
/// of [`push`](Self::push) makes no difference to the pieces.
#[derive(Debug, Default)]
pub(crate) struct LineSplitter {
    /// The piece that has begun: at most [`LONGEST_PIECE`] bytes, no newline.
    begun: Vec<u8>,
}

impl LineSplitter {
    /// Takes what was written next and hands on the pieces that it completes.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(Piece<'_>)) {
        while !bytes.is_empty() {
            let room = LONGEST_PIECE - self.begun.len();
            // One byte further, because a newline after a full piece ends it.
            let window = &bytes[..bytes.len().min(room + 1)];
            if let Some(newline) = window.iter().position(|byte| *byte == b'\n') {
                self.begun.extend_from_slice(&bytes[..newline]);
                each(line(&self.begun));
                self.begun.clear();
                bytes = &bytes[newline + 1..];
                continue;
            }
            let taken = window.len().min(room);
            self.begun.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if !bytes.is_empty() {
                let cut = before_half_a_character(&self.begun);
                each(Piece { bytes: &self.begun[..cut], end: PieceEnd::Continues });
                self.begun.drain(..cut);
            }
        }
    }

    /// Hands on what was written after the last newline, if anything.
    pub(crate) fn finish(&mut self, each: impl FnOnce(Piece<'_>)) {
        if !self.begun.is_empty() {
            each(Piece { bytes: &self.begun, end: PieceEnd::Nothing });
            self.begun.clear();
        }
    }
}

fn line(bytes: &[u8]) -> Piece<'_> {
    match bytes.strip_suffix(b"\r") {
        Some(bytes) => Piece { bytes, end: PieceEnd::CarriageReturnNewline },
        None => Piece { bytes, end: PieceEnd::Newline },
    }
}

/// Where to cut a full piece so that no UTF-8 character is torn apart.
fn before_half_a_character(piece: &[u8]) -> usize {
    const LONGEST_HALF: usize = 3;
    let tail_start = piece.len() - LONGEST_HALF.min(piece.len());
    let lead = piece[tail_start..].iter().rposition(|byte| *byte >= 0xC0);
    let Some(lead) = lead.map(|lead| tail_start + lead) else {
        return piece.len();
    };
    match std::str::from_utf8(&piece[lead..]) {
        Err(error) if error.valid_up_to() == 0 && error.error_len().is_none() => lead,
        Ok(_) | Err(_) => piece.len(),
    }
}

/// The bytes as text that is safe to show: what is not UTF-8 appears as `\xff`,
/// a control character other than a tab as `\u{1b}`, so that a plugin can
/// neither break nor forge the host's log.
pub(crate) fn printable(bytes: &[u8]) -> Cow<'_, str> {
    let harmless = |character: char| character == '\t' || !character.is_control();
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().all(harmless) => return Cow::Borrowed(text),
        Ok(_) | Err(_) => {}
    }
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if harmless(character) {
                shown.push(character);
            } else {
                shown.extend(character.escape_default());
            }
        }
        for byte in chunk.invalid() {
            shown.extend(byte.escape_ascii().map(char::from));
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    type Owned = (Vec<u8>, PieceEnd);

    fn split<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Owned> {
        let mut splitter = LineSplitter::default();
        let mut pieces = Vec::new();
        let mut keep = |piece: Piece<'_>| pieces.push((piece.bytes.to_vec(), piece.end));
        for chunk in chunks {
            splitter.push(chunk, &mut keep);
        }
        splitter.finish(keep);
        pieces
    }

    fn joined(pieces: &[Owned]) -> Vec<u8> {
        let mut all = Vec::new();
        for (bytes, end) in pieces {
            all.extend_from_slice(bytes);
            all.extend_from_slice(match end {
                PieceEnd::Newline => b"\n",
                PieceEnd::CarriageReturnNewline => b"\r\n",
                PieceEnd::Continues | PieceEnd::Nothing => b"",
            });
        }
        all
    }

    #[test]
    fn lines_lose_their_ends_and_nothing_else() {
        let pieces = split([b"one\ntwo\r\n\n \rthree".as_slice()]);
        let expected = [
            (b"one".to_vec(), PieceEnd::Newline),
            (b"two".to_vec(), PieceEnd::CarriageReturnNewline),
            (b"".to_vec(), PieceEnd::Newline),
            (b" \rthree".to_vec(), PieceEnd::Nothing),
        ];
        assert_eq!(pieces, expected);
    }

    #[test]
    fn a_line_of_exactly_the_longest_piece_is_one_piece() {
        let line = [vec![b'x'; LONGEST_PIECE], b"\n".to_vec()].concat();
        assert_eq!(split([line.as_slice()]), [(vec![b'x'; LONGEST_PIECE], PieceEnd::Newline)]);
    }

    #[test]
    fn a_longer_line_continues() {
        let line = [vec![b'x'; LONGEST_PIECE + 1], b"\n".to_vec()].concat();
        let expected =
            [(vec![b'x'; LONGEST_PIECE], PieceEnd::Continues), (b"x".to_vec(), PieceEnd::Newline)];
        assert_eq!(split([line.as_slice()]), expected);
    }

    #[test]
    fn a_character_is_not_torn_apart_where_a_line_continues() {
        for before in 0..4 {
            let line = "x".repeat(before) + &"\u{1F980}".repeat(LONGEST_PIECE / 2);
            for (bytes, _) in split([line.as_bytes()]) {
                assert!(std::str::from_utf8(&bytes).is_ok());
            }
        }
    }

    #[test]
    fn bytes_that_look_like_half_a_character_do_not_hold_a_piece_up() {
        let endless = vec![0xF0; 3 * LONGEST_PIECE];
        let pieces = split([endless.as_slice()]);
        assert_eq!(joined(&pieces), endless);
        assert!(pieces.len() <= 4);
    }

    #[test]
    fn what_cannot_be_shown_is_escaped() {
        assert_eq!(printable("tab\tand é".as_bytes()), "tab\tand é");
        assert_eq!(printable(b"\xff\xfe!"), r"\xff\xfe!");
        assert_eq!(printable(b"\x1b[31mred\rover"), r"\u{1b}[31mred\rover");
        assert_eq!(printable("line\u{2028}\u{85}".as_bytes()), "line\u{2028}\\u{85}");
    }

    /// Output with many newlines, or with long lines, cut anywhere.
    fn output() -> impl Strategy<Value = Vec<u8>> {
        let letters = prop_oneof![
            4 => Just(b"\n".to_vec()),
            4 => Just(b"\r".to_vec()),
            4 => Just(b"\r\n".to_vec()),
            4 => vec(any::<u8>(), 0..10),
            4 => Just("\u{1F980}é".as_bytes().to_vec()),
            1 => (LONGEST_PIECE - 6..LONGEST_PIECE + 6).prop_map(|length| vec![b'x'; length]),
        ];
        vec(letters, 0..20).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn pieces_together_are_what_was_written(output in output()) {
            let pieces = split([output.as_slice()]);
            prop_assert_eq!(joined(&pieces), output);
            for (bytes, _) in &pieces {
                prop_assert!(bytes.len() <= LONGEST_PIECE);
                prop_assert!(!bytes.contains(&b'\n'));
            }
        }

        #[test]
        fn how_output_is_chunked_makes_no_difference(
            output in output(),
            sizes in vec(1..20_000_usize, 1..8),
        ) {
            let mut rest = output.as_slice();
            let mut chunks = Vec::new();
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (chunk, after) = rest.split_at((*size).min(rest.len()));
                chunks.push(chunk);
                rest = after;
            }
            prop_assert_eq!(split(chunks), split([output.as_slice()]));
        }
    }
}
