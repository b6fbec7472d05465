//! The text of a token: a pure function of a salt and of what the trace calls it.

use agentgen_engine::kv::{Content, TokenSpan};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::ScriptError;

/// Common words, most of which are one token to most tokenizers, with a space before them or without.
const COMMON: &str = include_str!("words.txt");

/// Token ids that every vocabulary of today has, and that mean no control token.
const FIRST_ID: u64 = 1_000;
const IDS: u64 = 29_000;

/// Who is who among the tokens that only one conversation has: `(number, seed)` of it and of those it continues.
pub(super) type Owners = [(u64, u64)];

/// Which words stand for which tokens.
#[derive(Debug)]
pub struct Words {
    words: Vec<String>,
    salt: u64,
}

impl Words {
    /// Uses `words`, or common English ones; with another salt each token is another word.
    pub fn new(words: Option<Vec<String>>, salt: &str) -> Result<Self, ScriptError> {
        let words = words.unwrap_or_else(|| COMMON.split_whitespace().map(str::to_owned).collect());
        // What needs no escape in JSON and holds no space.
        let is_plain = |word: &String| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric());
        if words.len() < 64 || !words.iter().all(is_plain) {
            let found = words.len();
            let problem = format!("words: found {found}, expected at least 64 words of ASCII letters and digits");
            return Err(ScriptError::Options(problem));
        }
        Ok(Self { words, salt: xxh3_64_with_seed(salt.as_bytes(), 0) })
    }

    /// What tells a conversation's own tokens from those of all others: made of its name, which it has in every shard.
    pub(super) fn owner(&self, key: &str) -> u64 {
        xxh3_64_with_seed(key.as_bytes(), self.salt)
    }

    /// Appends a piece's words, one space between two of them.
    pub(super) fn push_text(&self, piece: TokenSpan, id_tokens: u32, owners: &Owners, text: &mut Vec<u8>) {
        let count = self.words.len() as u64;
        self.each(piece, id_tokens, owners, |value| {
            // The upper bits of a 64 x 64-bit product: a uniform index without a division.
            let index = ((u128::from(value) * u128::from(count)) >> 64) as usize;
            text.extend_from_slice(self.words[index].as_bytes());
            text.push(b' ');
        });
    }

    /// Appends a piece's token ids, a comma after each.
    pub(super) fn push_ids(&self, piece: TokenSpan, id_tokens: u32, owners: &Owners, text: &mut Vec<u8>) {
        let mut number = itoa::Buffer::new();
        self.each(piece, id_tokens, owners, |value| {
            let id = FIRST_ID + ((u128::from(value) * u128::from(IDS)) >> 64) as u64;
            text.extend_from_slice(number.format(id).as_bytes());
            text.push(b',');
        });
    }

    /// Calls `f` with 64 random bits for each token of a piece.
    fn each(&self, piece: TokenSpan, id_tokens: u32, owners: &Owners, mut f: impl FnMut(u64)) {
        match piece.content() {
            Content::Own { conversation, position } => {
                let owner = owners.iter().find(|(number, _)| *number == conversation).map_or(0, |(_, seed)| *seed);
                let seed = mix(owner ^ 1);
                (position..position + piece.tokens()).for_each(|at| f(value(seed, at)));
            }
            Content::Ids { first, offset } => {
                let (mut id, mut from, mut left) = (first, offset, piece.tokens());
                while left > 0 {
                    let seed = mix(mix(self.salt) ^ id);
                    let held = left.min(id_tokens - from);
                    (from..from + held).for_each(|at| f(value(seed, at)));
                    (id, from, left) = (id + 1, 0, left - held);
                }
            }
        }
    }
}

/// The bits of token `position` of a source.
#[inline]
fn value(seed: u64, position: u32) -> u64 {
    mix(seed.wrapping_add(u64::from(position).wrapping_mul(0x9E37_79B9_7F4A_7C15)))
}

/// The finalizer of `SplitMix64`: a bijection that leaves no pattern.
#[inline]
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}
