//! Records every chain that was ever in a cache, to tell re-fetched blocks from new ones.

use agentgen_engine::kv::{PrefixMatch, Prompt, RadixTree};

use super::Settings;

/// Every chain that was ever in the cache of one replica.
#[derive(Debug)]
pub(super) struct Seen(RadixTree<()>);

/// Consecutive blocks of a chain that came into a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Added {
    /// The first block.
    pub start: u32,
    /// The first block that was never in the cache before.
    pub new: u32,
    /// End of the blocks.
    pub end: u32,
}

impl Seen {
    pub(super) fn new(settings: &Settings) -> Self {
        Self(RadixTree::new(settings.id_tokens, settings.block_tokens))
    }

    /// Adds blocks `start..end` of a prompt's chain. `hint` is the end of an earlier chain that this one continues, and is
    /// set to the end of this one.
    pub(super) fn add(&mut self, prompt: &Prompt<'_>, hint: &mut PrefixMatch, start: u32, end: u32) -> Added {
        if start == end {
            return Added { start, new: end, end };
        }
        let found = self.0.find_from(*hint, prompt.stream, end);
        let node = self.0.grow(found, prompt.stream, end, (), true);
        *hint = PrefixMatch { node, blocks: end };
        Added { start, new: found.blocks, end }
    }
}
