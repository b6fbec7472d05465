//! Upper bound of the blocks that any eviction policy finds: those of Belady's policy, which knows all later requests.

use std::collections::BinaryHeap;

use agentgen_engine::kv::{NodeId, PrefixMatch, Prompt, RadixTree};
use schemars::JsonSchema;
use serde::Serialize;

use super::Settings;
use crate::reuse::ratio;

/// Stands for no later request.
const NEVER: u32 = u32::MAX;

/// Upper bound of the blocks that a cache of this size finds under any policy: each replica serves its requests one at a
/// time, in the order of their admission, and running requests take no time and no room.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct BeladyBound {
    /// Blocks of the prompts that are found.
    pub hit_blocks: u64,
    /// Blocks found / all blocks of the prompts.
    pub block_references: f64,
}

/// State of a tree node: blocks that are always requested together.
#[derive(Debug, Clone, Copy, Default)]
struct NodeState {
    /// Number of the next request that finds it.
    next: u32,
    /// Number of its blocks in the cache.
    kept: u32,
}

/// The chain of one request.
#[derive(Debug, Clone, Copy)]
struct Use {
    chain: PrefixMatch,
    reusable_blocks: u32,
}

/// The requests of one replica in the order of their admission. Memory grows with the requests.
#[derive(Debug, Clone)]
pub(super) struct Uses {
    capacity_blocks: u64,
    tree: RadixTree<NodeState>,
    requests: Vec<Use>,
}

impl Uses {
    pub(super) fn new(settings: &Settings) -> Self {
        let tree = RadixTree::new(settings.id_tokens, settings.block_tokens);
        Self { capacity_blocks: settings.capacity_blocks, tree, requests: Vec::new() }
    }

    pub(super) fn add(&mut self, prompt: &Prompt<'_>) {
        let Prompt { stream, full_blocks, reusable_blocks, kept_blocks, .. } = *prompt;
        let kept_blocks = kept_blocks.max(full_blocks);
        // Nodes end where a request stops finding blocks, and where it stops leaving them.
        for blocks in [reusable_blocks.min(kept_blocks), kept_blocks] {
            let found = self.tree.find(stream, blocks);
            self.tree.grow(found, stream, blocks, NodeState::default(), false);
        }
        let chain = self.tree.find(stream, kept_blocks);
        self.requests.push(Use { chain, reusable_blocks });
    }

    /// Blocks found if the blocks whose next use is farthest away are evicted first.
    fn hits(&self) -> u64 {
        let mut tree = self.tree.clone();
        let next_uses = self.next_uses(&mut tree);
        let mut hits = 0;
        let mut used = 0;
        // The greatest is evicted first: farthest next use, then deepest in its chain.
        let mut farthest: BinaryHeap<(u32, u32, NodeId)> = BinaryHeap::new();
        for (used_now, next_uses) in self.requests.iter().zip(&next_uses) {
            let mut at = tree.end_of(used_now.chain);
            while at != NodeId::ROOT {
                let (start, end) = tree.span(at);
                let part = next_uses.partition_point(|(until, _)| *until <= start);
                let state = tree.data_mut(at);
                if end <= used_now.reusable_blocks {
                    hits += u64::from(state.kept);
                }
                used += u64::from(end - start - state.kept);
                *state = NodeState { next: next_uses[part].1, kept: end - start };
                farthest.push((state.next, start, at));
                at = tree.parent(at);
            }
            while used > self.capacity_blocks
                && let Some((next, start, id)) = farthest.pop()
            {
                let state = tree.data_mut(id);
                // A node that has been used again since then has a later entry.
                if state.next != next || state.kept == 0 {
                    continue;
                }
                let blocks = u64::from(state.kept).min(used - self.capacity_blocks);
                state.kept -= blocks as u32;
                used -= blocks;
                if state.kept > 0 {
                    farthest.push((next, start, id));
                }
            }
        }
        hits
    }

    /// For each request: `(blocks up to here, the request that finds them next)`.
    fn next_uses(&self, tree: &mut RadixTree<NodeState>) -> Vec<Vec<(u32, u32)>> {
        tree.for_each(|_, state| state.next = NEVER);
        let mut all = Vec::with_capacity(self.requests.len());
        for (index, used) in self.requests.iter().enumerate().rev() {
            let mut parts: Vec<(u32, u32)> = Vec::new();
            tree.touch(tree.end_of(used.chain), |(_, end), state| {
                if parts.last().is_none_or(|part| part.1 != state.next) {
                    parts.push((end, state.next));
                }
                // Blocks that a request computes again in any case are not found.
                state.next = if end <= used.reusable_blocks { index as u32 } else { NEVER };
            });
            parts.reverse();
            all.push(parts);
        }
        all.reverse();
        all
    }
}

impl BeladyBound {
    /// `blocks` counts all blocks of the prompts.
    pub(super) fn of(replicas: &[&Uses], blocks: u64) -> Self {
        let hit_blocks = replicas.iter().map(|uses| uses.hits()).sum();
        Self { hit_blocks, block_references: ratio(hit_blocks, blocks) }
    }
}
