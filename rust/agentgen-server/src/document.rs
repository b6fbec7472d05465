//! An answer as one document, written piece by piece: its words are made as they are sent.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::chain::{WORD_BYTES, make_id, make_word};

/// Bytes made at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// A part of a document.
#[derive(Debug)]
pub enum Piece {
    /// Text.
    Text(String),
    /// The words of tokens `first..end`, each after a space; the first one only if `spaced`.
    Words {
        /// First token.
        first: u32,
        /// Token after the last.
        end: u32,
        /// Whether a space comes before the first word.
        spaced: bool,
    },
    /// The ids of tokens `first..end`, separated by commas.
    Ids {
        /// First token.
        first: u32,
        /// Token after the last.
        end: u32,
    },
}

/// A document that is being written.
#[derive(Debug)]
pub struct Document {
    /// Key of the prompt, which the words depend on.
    key: u128,
    pieces: VecDeque<Piece>,
    /// Bytes still to be written.
    left: u64,
}

impl Document {
    /// A document of these pieces.
    pub fn new(key: u128, pieces: Vec<Piece>) -> Self {
        let left = pieces.iter().map(|piece| piece.bytes(key)).sum();
        Self { key, pieces: pieces.into(), left }
    }

    /// Bytes still to be written.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Ends the document after this many bytes.
    pub fn truncate(&mut self, bytes: u64) {
        self.left = self.left.min(bytes);
    }

    /// The next bytes; `None` at the end.
    pub fn next_chunk(&mut self) -> Option<Bytes> {
        let mut out = Vec::new();
        while out.len() < CHUNK_BYTES && (out.len() as u64) < self.left {
            let Some(piece) = self.pieces.front_mut() else { break };
            if piece.write(self.key, &mut out) {
                self.pieces.pop_front();
            }
        }
        out.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= out.len() as u64;
        (!out.is_empty()).then(|| out.into())
    }
}

impl Piece {
    fn bytes(&self, key: u128) -> u64 {
        match *self {
            Self::Text(ref text) => text.len() as u64,
            Self::Words { first, end, .. } if first >= end => 0,
            Self::Words { first, end, spaced } => u64::from(end - first) * WORD_BYTES as u64 - u64::from(!spaced),
            Self::Ids { first, end } => {
                let digits = |token: u32| u64::from(make_id(key, token.into()).checked_ilog10().unwrap_or(0)) + 1;
                (first..end).map(digits).sum::<u64>() + u64::from(end.saturating_sub(first).saturating_sub(1))
            }
        }
    }

    /// Appends some of it; true if that was all.
    fn write(&mut self, key: u128, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Text(text) => {
                out.extend_from_slice(text.as_bytes());
                true
            }
            Self::Words { first, end, spaced } => {
                while *first < *end && out.len() < CHUNK_BYTES {
                    let word = make_word(key, (*first).into());
                    out.extend_from_slice(&word[usize::from(!*spaced)..]);
                    (*first, *spaced) = (*first + 1, true);
                }
                first >= end
            }
            Self::Ids { first, end } => {
                while *first < *end && out.len() < CHUNK_BYTES {
                    out.extend_from_slice(itoa::Buffer::new().format(make_id(key, (*first).into())).as_bytes());
                    *first += 1;
                    if first < end {
                        out.push(b',');
                    }
                }
                first >= end
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;

    #[test]
    fn chunks_are_the_whole_and_its_length_is_known() {
        let pieces = || {
            let text = |text: &str| Piece::Text(text.to_owned());
            let words = |first, end, spaced| Piece::Words { first, end, spaced };
            let mut pieces = vec![text("{"), words(0, 20_000, false), words(3, 3, false), text("|"), words(5, 7, true)];
            pieces.extend([
                text("["),
                Piece::Ids { first: 0, end: 30_000 },
                text("]"),
                Piece::Ids { first: 1, end: 1 },
            ]);
            pieces
        };
        let mut document = Document::new(7, pieces());
        let length = document.left();
        let mut chunks = Vec::new();
        while let Some(chunk) = document.next_chunk() {
            assert!(chunk.len() < CHUNK_BYTES + 100);
            chunks.push(chunk);
        }
        let whole = chunks.concat();
        assert_eq!((whole.len() as u64, document.left()), (length, 0));
        let text = String::from_utf8(whole).unwrap();
        let (words, rest) = text[1..].split_once('|').unwrap();
        assert_eq!(words.split(' ').count(), 20_000);
        assert!(!words.starts_with(' ') && rest.starts_with(' '));
        assert_eq!(rest.split_once('[').unwrap().1.split(',').count(), 30_000);

        let mut half = Document::new(7, pieces());
        half.truncate(length / 2);
        let first: Vec<_> = std::iter::from_fn(|| half.next_chunk()).collect();
        assert_eq!(first.concat(), text.as_bytes()[..length as usize / 2]);
    }
}
