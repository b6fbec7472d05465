//! The infinite cache: everything that was ever there is found.

use agentgen_core::kv::{Found, NodeId, Prompt, Tree};

use super::rates::{Counters, Hit};

/// All chains so far, and how much of the prompts they held.
#[derive(Debug, Clone)]
pub(super) struct Infinite<T> {
    pub tree: Tree<T>,
    pub counters: Counters,
}

impl<T: Copy + Default> Infinite<T> {
    pub(super) fn new(id_tokens: u32, block_tokens: u32) -> Self {
        Self { tree: Tree::new(id_tokens, block_tokens), counters: Counters::new() }
    }

    /// What a prompt finds; `known` is what its conversation left there.
    pub(super) fn look_up(&mut self, prompt: &Prompt<'_>, known: Found) -> (Found, Hit) {
        let found = self.tree.find_from(known, prompt.stream, prompt.kept_blocks);
        let hit = Hit::new(prompt, found.blocks, self.tree.block_tokens());
        self.counters.request(prompt, hit, self.tree.block_tokens());
        (found, hit)
    }

    /// Drops a chain that no later prompt has, but for its first `shared` blocks and what other chains have too.
    pub(super) fn forget(&mut self, left: Found, shared: u32) {
        let mut at = left.node;
        while at != NodeId::ROOT && self.tree.is_leaf(at) {
            let (start, end) = self.tree.span(at);
            let parent = self.tree.parent(at);
            self.tree.shorten(at, end - start.max(shared).min(end));
            if start < shared {
                return;
            }
            at = parent;
        }
    }

    /// Looks a prompt up and leaves its chain there.
    pub(super) fn request(&mut self, prompt: &Prompt<'_>, known: Found) -> (Found, Hit) {
        let (found, hit) = self.look_up(prompt, known);
        let node = self.tree.grow(found, prompt.stream, prompt.kept_blocks, T::default(), true);
        (Found { node, blocks: prompt.kept_blocks }, hit)
    }
}
