//! What the best policy would have found: Belady's, which knows the future.

use std::collections::BinaryHeap;

use agentgen_engine::kv::{NodeId, PrefixMatch, Prompt, RadixTree};
use schemars::JsonSchema;
use serde::Serialize;

use super::Settings;
use crate::reuse::ratio;

/// A request that never comes.
const NEVER: u32 = u32::MAX;

/// The most blocks that a cache of this size can find, whatever it keeps: requests one after the other in the order in
/// which they were admitted, each worker's by itself, all taking no time and no room but for what they leave.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Bound {
    /// Blocks found.
    pub hit_blocks: u64,
    /// Blocks found / all blocks of the prompts.
    pub block_references: f64,
}

/// An extent: blocks that are always asked for together.
#[derive(Debug, Clone, Copy, Default)]
struct Extent {
    /// The request that finds it next.
    next: u32,
    /// How many of its blocks are kept.
    kept: u32,
}

/// A request's chain.
#[derive(Debug, Clone, Copy)]
struct Use {
    chain: PrefixMatch,
    reusable_blocks: u32,
}

/// What was asked of one cache, in order. Memory grows with the requests.
#[derive(Debug, Clone)]
pub(super) struct Uses {
    capacity_blocks: u64,
    tree: RadixTree<Extent>,
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
        // Extents end where a request stops finding, and where it stops leaving.
        for blocks in [reusable_blocks.min(kept_blocks), kept_blocks] {
            let found = self.tree.find(stream, blocks);
            self.tree.grow(found, stream, blocks, Extent::default(), false);
        }
        let chain = self.tree.find(stream, kept_blocks);
        self.requests.push(Use { chain, reusable_blocks });
    }

    /// How many blocks are found if those whose next use is farthest away go.
    fn hits(&self) -> u64 {
        let mut tree = self.tree.clone();
        let next_uses = self.next_uses(&mut tree);
        let mut hits = 0;
        let mut used = 0;
        // The greatest goes first: the farthest, then what is deepest in its chain.
        let mut farthest: BinaryHeap<(u32, u32, NodeId)> = BinaryHeap::new();
        for (used_now, next_uses) in self.requests.iter().zip(&next_uses) {
            let mut at = tree.end_of(used_now.chain);
            while at != NodeId::ROOT {
                let (start, end) = tree.span(at);
                let part = next_uses.partition_point(|(until, _)| *until <= start);
                let extent = tree.data_mut(at);
                if end <= used_now.reusable_blocks {
                    hits += u64::from(extent.kept);
                }
                used += u64::from(end - start - extent.kept);
                *extent = Extent { next: next_uses[part].1, kept: end - start };
                farthest.push((extent.next, start, at));
                at = tree.parent(at);
            }
            while used > self.capacity_blocks
                && let Some((next, start, id)) = farthest.pop()
            {
                let extent = tree.data_mut(id);
                // Extents that were used again in the meantime are listed again.
                if extent.next != next || extent.kept == 0 {
                    continue;
                }
                let blocks = u64::from(extent.kept).min(used - self.capacity_blocks);
                extent.kept -= blocks as u32;
                used -= blocks;
                if extent.kept > 0 {
                    farthest.push((next, start, id));
                }
            }
        }
        hits
    }

    /// For each request: `(blocks up to here, who finds them next)`.
    fn next_uses(&self, tree: &mut RadixTree<Extent>) -> Vec<Vec<(u32, u32)>> {
        tree.for_each(|_, extent| extent.next = NEVER);
        let mut all = Vec::with_capacity(self.requests.len());
        for (index, used) in self.requests.iter().enumerate().rev() {
            let mut parts: Vec<(u32, u32)> = Vec::new();
            tree.touch(tree.end_of(used.chain), |(_, end), extent| {
                if parts.last().is_none_or(|part| part.1 != extent.next) {
                    parts.push((end, extent.next));
                }
                // What it computes again it does not find.
                extent.next = if end <= used.reusable_blocks { index as u32 } else { NEVER };
            });
            parts.reverse();
            all.push(parts);
        }
        all.reverse();
        all
    }
}

impl Bound {
    /// `blocks`: of all prompts.
    pub(super) fn of(workers: &[&Uses], blocks: u64) -> Self {
        let hit_blocks = workers.iter().map(|uses| uses.hits()).sum();
        Self { hit_blocks, block_references: ratio(hit_blocks, blocks) }
    }
}
