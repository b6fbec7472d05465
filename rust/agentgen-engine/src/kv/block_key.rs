//! One chained key for each full block of a stream.

use xxhash_rust::xxh3::Xxh3;

use super::token_seq::{TokenSeq, take};

/// Identifies a block and everything before it: equal keys mean equal prefixes (128 bits: among 10^12 different blocks
/// the probability of a collision is 10^-15).
pub type BlockKey = u128;

/// The keys of the full blocks of `block_tokens` in the first `tokens` tokens of `stream`:
/// `key[j] = H(key[j - 1], content of block j)`, whatever the block size of the trace.
pub fn block_keys(stream: &TokenSeq, tokens: u64, block_tokens: u32) -> impl Iterator<Item = BlockKey> {
    let block = u64::from(block_tokens);
    let mut key: BlockKey = 0;
    (0..tokens.min(stream.tokens()) / block).map(move |index| {
        let mut hash = Xxh3::new();
        hash.update(&key.to_le_bytes());
        for part in take(stream.spans_from(index * block), block).flat_map(super::token_seq::TokenSpan::parts) {
            hash.update(&part.to_le_bytes());
        }
        key = hash.digest128();
        key
    })
}
