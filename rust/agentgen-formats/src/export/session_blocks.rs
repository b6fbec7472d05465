//! The block ids of a session's prompts, as ranges.

use std::ops::Range;
use std::sync::Arc;

/// The ids of a session's prompts.
#[derive(Debug, Default)]
pub(crate) struct SessionBlocks(Vec<TurnBlocks>);

/// The ids of a prompt, or of what a turn adds to it.
#[derive(Debug, Clone, Default)]
pub(crate) struct TurnBlocks {
    /// Ranges of ids, with the block that each begins with.
    pub chain: Arc<[(u32, i64)]>,
    /// Blocks of the chain that the prompt has.
    pub full: u32,
    /// Further ids, which no other prompt has.
    pub fresh: Range<i64>,
}

impl SessionBlocks {
    pub(crate) fn new(turns: Vec<TurnBlocks>) -> Self {
        Self(turns)
    }

    /// Replaces `ids` by those of a turn, that of a partial last block included.
    pub(crate) fn ids(&self, turn: usize, ids: &mut Vec<i64>) {
        let blocks = &self.0[turn];
        ids.clear();
        for (at, (block, first)) in blocks.chain.iter().enumerate() {
            let end = blocks.chain.get(at + 1).map_or(blocks.full, |(next, _)| *next).min(blocks.full);
            if end > *block {
                ids.extend(*first..*first + i64::from(end - block));
            }
        }
        ids.extend(blocks.fresh.clone());
    }
}
