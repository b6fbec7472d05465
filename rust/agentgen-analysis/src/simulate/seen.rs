//! Every chain that was ever in a cache: what tells a re-fetched block from a new one.

use agentgen_engine::kv::{PrefixMatch, Prompt, RadixTree};

use super::Settings;

/// Every chain that was ever in the cache of one replica.
#[derive(Debug)]
pub(super) struct Seen(RadixTree<()>);

/// Consecutive blocks of a chain that came into a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Added {
    /// The first of them.
    pub start: u32,
    /// The first that was never in the cache before.
    pub new: u32,
    /// Their end.
    pub end: u32,
}

impl Seen {
    pub(super) fn new(settings: &Settings) -> Self {
        Self(RadixTree::new(settings.id_tokens, settings.block_tokens))
    }

    /// Adds blocks `start..end` of a prompt's chain. `hint` is where an earlier chain ended that this one continues; it
    /// then is where this one ends.
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
