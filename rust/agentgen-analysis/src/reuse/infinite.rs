//! An infinite cache, which evicts nothing.

use agentgen_engine::kv::{PrefixMatch, Prompt, RadixTree};

use super::rates::{Counters, Hit};

/// The tree of all block chains, and the hits so far.
#[derive(Debug, Clone)]
pub(super) struct Infinite<T> {
    pub tree: RadixTree<T>,
    pub counters: Counters,
}

impl<T: Copy + Default> Infinite<T> {
    pub(super) fn new(id_tokens: u32, block_tokens: u32) -> Self {
        Self { tree: RadixTree::new(id_tokens, block_tokens), counters: Counters::new() }
    }

    /// Looks up a prompt; `known` is the chain left by the previous turn of its session.
    pub(super) fn look_up(&mut self, prompt: &Prompt<'_>, known: PrefixMatch) -> (PrefixMatch, Hit) {
        let (found, hit) = look_up(&self.tree, prompt, known);
        self.counters.request(prompt, hit, self.tree.block_tokens());
        (found, hit)
    }

    /// Looks up a prompt and inserts its chain.
    pub(super) fn request(&mut self, prompt: &Prompt<'_>, known: PrefixMatch) -> (PrefixMatch, Hit) {
        let (left, hit) = request(&mut self.tree, prompt, known);
        self.counters.request(prompt, hit, self.tree.block_tokens());
        (left, hit)
    }
}

/// Looks up a prompt in a tree; `known` is the chain left by the previous turn of its session.
fn look_up<T: Copy + Default>(tree: &RadixTree<T>, prompt: &Prompt<'_>, known: PrefixMatch) -> (PrefixMatch, Hit) {
    let found = tree.find_from(known, prompt.stream, prompt.kept_blocks);
    (found, Hit::new(prompt, found.blocks, tree.block_tokens()))
}

/// Looks up a prompt in a tree and inserts its chain.
pub(super) fn request<T: Copy + Default>(
    tree: &mut RadixTree<T>,
    prompt: &Prompt<'_>,
    known: PrefixMatch,
) -> (PrefixMatch, Hit) {
    let (found, hit) = look_up(tree, prompt, known);
    let node = tree.grow(found, prompt.stream, prompt.kept_blocks, T::default(), true);
    (PrefixMatch { node, blocks: prompt.kept_blocks }, hit)
}
