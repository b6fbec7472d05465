//! How much of a prompt a cache can hold, and how much of it a request can reuse.

use super::token_seq::TokenSeq;

/// A request as a cache sees it: a prompt and the output that follows, cut into blocks.
#[derive(Debug, Clone, Copy)]
pub struct Prompt<'a> {
    /// Its tokens are the first `context_tokens` of this; the output's follow, as far as they are known.
    pub stream: &'a TokenSeq,
    /// Tokens of the prompt.
    pub context_tokens: u32,
    /// Full blocks of the prompt.
    pub full_blocks: u32,
    /// Blocks of the prompt that may be found in a cache.
    pub reusable_blocks: u32,
    /// Blocks that stay in the cache once the request is over.
    pub kept_blocks: u32,
}

impl<'a> Prompt<'a> {
    /// A prompt as serving engines treat it: only full blocks have an identity, the last token of a prompt is always
    /// computed, and the last sampled token has no KV. `kept_output` is the length of the output if its KV stays.
    #[must_use]
    pub fn new(stream: &'a TokenSeq, context_tokens: u32, kept_output: Option<u32>, block_tokens: u32) -> Self {
        let full_blocks = context_tokens / block_tokens;
        let kept = u64::from(context_tokens) + u64::from(kept_output.unwrap_or(0).saturating_sub(1));
        Self {
            stream,
            context_tokens,
            full_blocks,
            reusable_blocks: context_tokens.saturating_sub(1) / block_tokens,
            kept_blocks: (kept / u64::from(block_tokens)) as u32,
        }
    }

    /// A prompt of which ids alone are known: each id is a block, a partial one too, and all may be found. `stream`
    /// holds whole blocks.
    #[must_use]
    pub fn of_ids(stream: &'a TokenSeq, context_tokens: u32) -> Self {
        let blocks = (stream.tokens() / u64::from(stream.id_tokens())) as u32;
        let full_blocks = context_tokens / stream.id_tokens();
        Self { stream, context_tokens, full_blocks, reusable_blocks: blocks, kept_blocks: blocks }
    }

    /// All blocks of the prompt, a partial one too.
    #[must_use]
    pub fn blocks(&self, block_tokens: u32) -> u32 {
        self.context_tokens.div_ceil(block_tokens)
    }
}
