//! The infinite cache: everything that was ever there is found.

use agentgen_engine::kv::{PrefixMatch, Prompt, RadixTree};

use super::rates::{Counters, Hit};

/// All chains so far, and how much of the prompts they held.
#[derive(Debug, Clone)]
pub(super) struct Infinite<T> {
    pub tree: RadixTree<T>,
    pub counters: Counters,
}

impl<T: Copy + Default> Infinite<T> {
    pub(super) fn new(id_tokens: u32, block_tokens: u32) -> Self {
        Self { tree: RadixTree::new(id_tokens, block_tokens), counters: Counters::new() }
    }

    /// What a prompt finds; `known` is what its conversation left there.
    pub(super) fn look_up(&mut self, prompt: &Prompt<'_>, known: PrefixMatch) -> (PrefixMatch, Hit) {
        let (found, hit) = look_up(&self.tree, prompt, known);
        self.counters.request(prompt, hit, self.tree.block_tokens());
        (found, hit)
    }

    /// Looks a prompt up and leaves its chain there.
    pub(super) fn request(&mut self, prompt: &Prompt<'_>, known: PrefixMatch) -> (PrefixMatch, Hit) {
        let (left, hit) = request(&mut self.tree, prompt, known);
        self.counters.request(prompt, hit, self.tree.block_tokens());
        (left, hit)
    }
}

/// What a prompt finds in a tree; `known` is what its conversation left there.
fn look_up<T: Copy + Default>(tree: &RadixTree<T>, prompt: &Prompt<'_>, known: PrefixMatch) -> (PrefixMatch, Hit) {
    let found = tree.find_from(known, prompt.stream, prompt.kept_blocks);
    (found, Hit::new(prompt, found.blocks, tree.block_tokens()))
}

/// Looks a prompt up in a tree and leaves its chain there.
pub(super) fn request<T: Copy + Default>(
    tree: &mut RadixTree<T>,
    prompt: &Prompt<'_>,
    known: PrefixMatch,
) -> (PrefixMatch, Hit) {
    let (found, hit) = look_up(tree, prompt, known);
    let node = tree.grow(found, prompt.stream, prompt.kept_blocks, T::default(), true);
    (PrefixMatch { node, blocks: prompt.kept_blocks }, hit)
}
