//! Text as pieces of at most [`PIECE_TOKENS`] tokens.
//!
//! Tokens are estimated as a byte-pair tokenizer's pre-tokenizer would cut the text: a word is a token. Only the proportions
//! count, since the server says how many tokens a prompt has.

use std::hash::{BuildHasher, Hasher, RandomState};

use agentgen_formats::import::journal::{PIECE_TOKENS, Piece};

/// Longest word that is one token, bytes; each further token of it takes fewer.
const WORD_BYTES: usize = 12;
const WORD_REST_BYTES: usize = 4;
/// Bytes of a token of punctuation, and of one of other scripts.
const OTHER_BYTES: usize = 3;
/// Longest white space that is part of the token after it, bytes.
const SPACE_BYTES: usize = 3;

/// Hashes text with a key that only this process knows, so that nobody can guess texts from a journal.
#[derive(Debug, Clone, Default)]
pub struct Hashes(RandomState);

impl Hashes {
    /// The hash of a piece; `role` of one that begins a section.
    pub fn piece(&self, role: &str, text: &str, tokens: u32) -> Piece {
        let mut hasher = self.0.build_hasher();
        hasher.write(role.as_bytes());
        hasher.write_u8(0);
        hasher.write(text.as_bytes());
        Piece::new(hasher.finish(), tokens)
    }

    /// The hash of an id.
    pub fn id(&self, id: &str) -> u64 {
        self.0.hash_one(id)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Space,
    Word,
    Other,
    Foreign,
}

fn class(byte: u8) -> Class {
    match byte {
        b' ' | 9..=13 => Class::Space,
        byte if byte.is_ascii_alphanumeric() => Class::Word,
        byte if byte.is_ascii() => Class::Other,
        _ => Class::Foreign,
    }
}

/// The end of the piece that begins at `from`, and its tokens. Never within a character.
pub fn next_piece(text: &str, from: usize) -> (usize, u32) {
    let bytes = text.as_bytes();
    let (mut at, mut tokens) = (from, 0);
    while at < bytes.len() && tokens < PIECE_TOKENS {
        let kind = class(bytes[at]);
        let run = bytes[at..].iter().take_while(|byte| class(**byte) == kind).count();
        let (first, rest) = match kind {
            Class::Space => {
                tokens += u32::from(run > SPACE_BYTES);
                at += run;
                continue;
            }
            Class::Word => (WORD_BYTES, WORD_REST_BYTES),
            Class::Other | Class::Foreign => (OTHER_BYTES, OTHER_BYTES),
        };
        let end = at + run;
        at += first.min(run);
        tokens += 1;
        while at < end && tokens < PIECE_TOKENS {
            at += rest.min(end - at);
            tokens += 1;
        }
        while !text.is_char_boundary(at) {
            at += 1;
        }
    }
    (at, tokens)
}

/// Whether a text that ends at `at` is whole tokens of the longer one.
pub fn is_boundary(text: &str, at: usize) -> bool {
    let bytes = text.as_bytes();
    let both = at.checked_sub(1).and_then(|before| bytes.get(before)).zip(bytes.get(at));
    text.is_char_boundary(at) && both.is_none_or(|(a, b)| class(*a) != Class::Word || class(*b) != Class::Word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<(String, u32)> {
        let (mut from, mut found) = (0, Vec::new());
        while from < text.len() {
            let (end, tokens) = next_piece(text, from);
            assert!(end > from);
            found.push((text[from..end].to_owned(), tokens));
            from = end;
        }
        found
    }

    #[test]
    fn words_are_tokens_and_pieces_add_up_to_the_text() {
        let words: Vec<String> = (0..40).map(|n| format!("word{n}")).collect();
        let text = words.join(" ");
        let found = pieces(&text);
        assert_eq!(found.iter().map(|piece| piece.1).collect::<Vec<_>>(), [16, 16, 8]);
        assert_eq!(found.iter().map(|piece| &*piece.0).collect::<String>(), text);
        assert_eq!(found[0].0, words[..16].join(" "));
    }

    #[test]
    fn long_runs_end_within_a_piece() {
        for text in ["a".repeat(1_000), "=".repeat(1_000), "é".repeat(500), "語".repeat(500), " ".repeat(1_000)] {
            let found = pieces(&text);
            assert!(found.iter().all(|piece| piece.1 <= PIECE_TOKENS), "{text}");
            assert_eq!(found.iter().map(|piece| &*piece.0).collect::<String>(), text);
        }
        assert_eq!(next_piece("", 0), (0, 0));
        assert_eq!(pieces("fn main() {\n    x\n}").iter().map(|piece| piece.1).sum::<u32>(), 7);
    }

    #[test]
    fn texts_are_cut_between_words_only() {
        let text = "one two";
        let found: Vec<bool> = (0..=text.len()).map(|at| is_boundary(text, at)).collect();
        assert_eq!(found, [true, false, false, true, true, false, false, true]);
    }

    #[test]
    fn another_recorder_has_other_hashes() {
        let (a, b) = (Hashes::default(), Hashes::default());
        assert_eq!(a.piece("user", "x", 1), a.clone().piece("user", "x", 1));
        assert_ne!(a.piece("user", "x", 1), a.piece("tool", "x", 1));
        assert_ne!(a.piece("user", "x", 1), b.piece("user", "x", 1));
    }
}
