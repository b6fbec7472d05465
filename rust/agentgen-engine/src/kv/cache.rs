//! A prefix cache of limited capacity.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::policy::Policy;
use super::tiers::Destination;
use super::tree::{NodeId, RadixTree};

/// What the cache keeps of a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct NodeState {
    /// Blocks with the smallest rank are evicted first; 0 before the first release.
    pub(super) rank: u64,
    /// Number of running requests that pin it.
    pub(super) pins: u32,
    /// Tag of the request that released it last.
    pub(super) tag: u32,
}

/// Consecutive blocks of a chain that left the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evicted {
    /// Tag of the request that released them last; 0 if none did.
    pub tag: u32,
    /// Blocks before them in their chain.
    pub start: u32,
    /// Blocks up to their end.
    pub end: u32,
    /// Their destination.
    pub to: Destination,
}

/// The eviction heap is never compacted below this many entries.
const COMPACT_FROM: usize = 64;

/// Chains of blocks and reserved room, at most `capacity_blocks` in all.
#[derive(Debug, Clone)]
pub struct PrefixCache {
    pub(super) tree: RadixTree<NodeState>,
    pub(super) policy: Policy,
    pub(super) capacity_blocks: u64,
    pub(super) used_blocks: u64,
    pub(super) pinned_blocks: u64,
    pub(super) reserved_blocks: u64,
    /// Releases so far.
    pub(super) clock: u64,
    /// Unpinned leaves by rank, the next to be evicted first. Stale entries (of nodes that have since been pinned, extended
    /// or ranked again) are skipped when popped.
    evictable: BinaryHeap<Reverse<(u64, NodeId)>>,
}

impl PrefixCache {
    /// An empty cache. `id_tokens` is the trace's block size, `block_tokens` the cache's.
    #[must_use]
    pub fn new(policy: Policy, capacity_blocks: u64, id_tokens: u32, block_tokens: u32) -> Self {
        let tree = RadixTree::new(id_tokens, block_tokens);
        Self {
            tree,
            policy,
            capacity_blocks,
            used_blocks: 0,
            pinned_blocks: 0,
            reserved_blocks: 0,
            clock: 0,
            evictable: BinaryHeap::new(),
        }
    }

    /// Blocks in the cache.
    #[must_use]
    pub fn used_blocks(&self) -> u64 {
        self.used_blocks
    }

    /// Blocks in the cache that running requests pin.
    #[must_use]
    pub fn pinned_blocks(&self) -> u64 {
        self.pinned_blocks
    }

    /// Blocks reserved for the output of running requests.
    #[must_use]
    pub fn reserved_blocks(&self) -> u64 {
        self.reserved_blocks
    }

    pub(super) fn pin_chain(&mut self, end: NodeId) {
        let pinned = &mut self.pinned_blocks;
        self.tree.touch(end, |(start, end), state| {
            *pinned += if state.pins == 0 { u64::from(end - start) } else { 0 };
            state.pins += 1;
        });
    }

    pub(super) fn unpin_chain(&mut self, end: NodeId) {
        let pinned = &mut self.pinned_blocks;
        self.tree.touch(end, |(start, end), state| {
            state.pins -= 1;
            *pinned -= if state.pins == 0 { u64::from(end - start) } else { 0 };
        });
    }

    /// Whether new blocks may join the node that they follow: they then share its rank and its pins.
    pub(super) fn extends(&self, node: NodeId) -> bool {
        self.policy.ranks_whole_chains() && self.tree.data(node).pins == 0
    }

    /// Evicts unpinned blocks until the used and reserved blocks fit.
    pub(super) fn make_room(&mut self, evicted: &mut impl FnMut(Evicted)) {
        while self.used_blocks + self.reserved_blocks > self.capacity_blocks
            && let Some(Reverse((rank, id))) = self.evictable.pop()
        {
            let most = self.used_blocks + self.reserved_blocks - self.capacity_blocks;
            self.drop_blocks(rank, id, most, evicted);
        }
    }

    /// Drops all unpinned blocks whose rank is at most `last`.
    pub(super) fn drop_until(&mut self, last: u64, evicted: &mut impl FnMut(Evicted)) {
        while let Some(Reverse((rank, id))) = self.evictable.peek().copied().filter(|Reverse((rank, _))| *rank <= last)
        {
            self.evictable.pop();
            self.drop_blocks(rank, id, u64::MAX, evicted);
        }
    }

    /// Drops at most `most` blocks from the end of a node, if it is evictable and has this rank.
    pub(super) fn drop_blocks(&mut self, rank: u64, id: NodeId, most: u64, evicted: &mut impl FnMut(Evicted)) {
        if self.tree.data(id).rank != rank || !self.is_evictable(id) {
            return;
        }
        let (start, end) = self.tree.span(id);
        let parent = self.tree.parent(id);
        let blocks = u64::from(end - start).min(most);
        let tag = self.tree.data(id).tag;
        evicted(Evicted { tag, start: end - blocks as u32, end, to: Destination::Discarded });
        self.tree.shorten(id, blocks as u32);
        self.used_blocks -= blocks;
        if blocks < u64::from(end - start) {
            self.evictable.push(Reverse((rank, id)));
        } else {
            self.list(parent);
        }
    }

    /// Lists a node as evictable if it is an unpinned leaf. It need not be unlisted.
    pub(super) fn list(&mut self, id: NodeId) {
        if !self.is_evictable(id) {
            return;
        }
        self.evictable.push(Reverse((self.tree.data(id).rank, id)));
        if self.evictable.len() > 4 * self.tree.node_count() + COMPACT_FROM {
            let mut listed = std::mem::take(&mut self.evictable).into_vec();
            listed.retain(|Reverse((rank, id))| self.tree.data(*id).rank == *rank && self.is_evictable(*id));
            listed.sort_unstable();
            listed.dedup();
            self.evictable = listed.into();
        }
    }

    fn is_evictable(&self, id: NodeId) -> bool {
        let (start, end) = self.tree.span(id);
        start < end && self.tree.is_leaf(id) && self.tree.data(id).pins == 0
    }
}
