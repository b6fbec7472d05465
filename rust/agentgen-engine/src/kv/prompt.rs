//! Which blocks of a prompt a cache can hold, and which a request can reuse.

use super::token_seq::TokenSeq;

/// A request as a cache sees it: a prompt and the output after it, cut into blocks.
#[derive(Debug, Clone, Copy)]
pub struct Prompt<'a> {
    /// The first `context_tokens` tokens are the prompt; those of the output follow, as far as they are known.
    pub stream: &'a TokenSeq,
    /// Tokens of the prompt.
    pub context_tokens: u32,
    /// Full blocks of the prompt.
    pub full_blocks: u32,
    /// Blocks of the prompt that may be reused from a cache.
    pub reusable_blocks: u32,
    /// Blocks that stay in the cache after the request.
    pub kept_blocks: u32,
}

impl<'a> Prompt<'a> {
    /// A prompt as serving engines treat it: only full blocks have an identity, the last token of a prompt is always
    /// computed, and the last sampled token has no KV. `kept_output` is the length of the output in tokens if its KV
    /// stays in the cache.
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

    /// A prompt known by its hash ids alone: each id is a block, a partial one too, and all may be reused. `stream` holds
    /// whole blocks.
    #[must_use]
    pub fn of_ids(stream: &'a TokenSeq, context_tokens: u32) -> Self {
        let blocks = (stream.tokens() / u64::from(stream.id_tokens())) as u32;
        let full_blocks = context_tokens / stream.id_tokens();
        Self { stream, context_tokens, full_blocks, reusable_blocks: blocks, kept_blocks: blocks }
    }

    /// Blocks of the prompt, a partial one included.
    #[must_use]
    pub fn blocks(&self, block_tokens: u32) -> u32 {
        self.context_tokens.div_ceil(block_tokens)
    }

    /// Tokens of the prompt in its first `hit_blocks` blocks.
    #[must_use]
    pub fn tokens_of(&self, hit_blocks: u32, block_tokens: u32) -> u32 {
        let tokens = u64::from(hit_blocks) * u64::from(block_tokens);
        tokens.min(u64::from(self.context_tokens)) as u32
    }
}
