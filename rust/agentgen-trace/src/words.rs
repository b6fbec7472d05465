//! The text of tokens: a pure function of a salt and of each token's identity in the trace.

use agentgen_engine::kv::{Content, TokenSpan};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::diagnostic::Diagnostic;
use crate::session::session_of_owner;

/// Common words that are one token in most tokenizers, with or without a space before them.
const COMMON: &str = include_str!("words.txt");

/// Token ids that all common vocabularies have and that are no control tokens.
const FIRST_ID: u64 = 1_000;
const IDS: u64 = 29_000;

/// `(number, seed)` of a session and of the sessions whose tokens its prompts may hold.
pub type Owners = [(u64, u64)];

/// Maps tokens to words.
#[derive(Debug)]
pub struct Words {
    words: Vec<String>,
    salt: u64,
}

impl Words {
    /// Uses `words`, or common English ones; another salt maps each token to another word.
    ///
    /// # Errors
    /// If there are fewer than 64 words, or one is not of ASCII letters and digits.
    pub fn new(words: Option<Vec<String>>, salt: &str) -> Result<Self, Diagnostic> {
        let words = words.unwrap_or_else(|| COMMON.split_whitespace().map(str::to_owned).collect());
        // Such words need no escapes in JSON and hold no separator.
        let is_plain = |word: &String| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric());
        if words.len() < 64 || !words.iter().all(is_plain) {
            let expected = "at least 64 words of ASCII letters and digits";
            return Err(Diagnostic::unnamed(words.len().to_string(), expected).with_field("words"));
        }
        Ok(Self { words, salt: xxh3_64_with_seed(salt.as_bytes(), 0) })
    }

    /// Seed of a session's own tokens, made from its name, which is the same in every shard.
    #[must_use]
    pub fn owner(&self, key: &str) -> u64 {
        xxh3_64_with_seed(key.as_bytes(), self.salt)
    }

    /// Appends the words of a span of tokens, a space after each.
    pub fn push_text(&self, span: TokenSpan, id_tokens: u32, owners: &Owners, text: &mut Vec<u8>) {
        let count = self.words.len() as u64;
        self.each(span, id_tokens, owners, |value| {
            // The upper bits of a 64 x 64-bit product: a uniform index without a division.
            let index = ((u128::from(value) * u128::from(count)) >> 64) as usize;
            text.extend_from_slice(self.words[index].as_bytes());
            text.push(b' ');
        });
    }

    /// Appends the token ids of a span, a comma after each.
    pub fn push_ids(&self, span: TokenSpan, id_tokens: u32, owners: &Owners, text: &mut Vec<u8>) {
        let mut number = itoa::Buffer::new();
        self.each(span, id_tokens, owners, |value| {
            let id = FIRST_ID + ((u128::from(value) * u128::from(IDS)) >> 64) as u64;
            text.extend_from_slice(number.format(id).as_bytes());
            text.push(b',');
        });
    }

    /// Calls `f` with 64 random bits for each token of a span.
    fn each(&self, span: TokenSpan, id_tokens: u32, owners: &Owners, mut f: impl FnMut(u64)) {
        match span.content() {
            Content::Own { session, position } => {
                let (number, stream) = session_of_owner(session);
                let owner = owners.iter().find(|(known, _)| *known == number).map_or(0, |(_, seed)| *seed);
                let seed = mix(owner ^ 1 ^ (stream << 32));
                (position..position + span.tokens()).for_each(|at| f(value(seed, at)));
            }
            Content::Ids { first, offset } => {
                let (mut id, mut from, mut left) = (first, offset, span.tokens());
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

/// The bits of the token at `position` of a hash id or session.
#[inline]
fn value(seed: u64, position: u32) -> u64 {
    mix(seed.wrapping_add(u64::from(position).wrapping_mul(0x9E37_79B9_7F4A_7C15)))
}

/// The finalizer of `SplitMix64`, a bijection.
#[inline]
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}
