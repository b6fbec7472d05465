//! A prefix cache of limited capacity.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::policy::{NEVER, Policy, Use};
use super::prompt::Prompt;
use super::tiers::Destination;
use super::token_seq::TokenSeq;
use super::tree::{NodeId, RadixTree};

/// What the cache keeps of a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct NodeState {
    /// The smallest is evicted first; 0 before the first use.
    pub(super) rank: u64,
    /// How many running requests pin it.
    pub(super) pins: u32,
    /// Tag of the request that released it last.
    pub(super) tag: u32,
}

/// A pinned chain, to be returned to [`PrefixCache::unpin`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a pinned chain stays in the cache until it is unpinned"]
pub struct Pin(NodeId);

/// The effect of an insertion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Inserted {
    /// Blocks that were not in the cache before.
    pub added_blocks: u64,
    /// Evicted blocks; some of those added may be among them.
    pub evicted_blocks: u64,
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
    /// Where they go.
    pub to: Destination,
}

/// The eviction heap is never compacted below this many entries.
const COMPACT_FROM: usize = 64;

/// Chains of blocks and reserved room, never more than `capacity_blocks` in all.
#[derive(Debug, Clone)]
pub struct PrefixCache {
    pub(super) tree: RadixTree<NodeState>,
    pub(super) policy: Policy,
    pub(super) capacity_blocks: u64,
    pub(super) used_blocks: u64,
    pub(super) pinned_blocks: u64,
    pub(super) reserved_blocks: u64,
    /// Insertions and releases so far.
    pub(super) clock: u64,
    /// Unpinned leaves by rank, the next to be evicted first. Entries of nodes that are pinned, followed or ranked anew
    /// in the meantime stay until they are popped.
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

    /// Blocks reserved for what running requests write: room without content.
    #[must_use]
    pub fn reserved_blocks(&self) -> u64 {
        self.reserved_blocks
    }

    /// Blocks from the beginning of a prompt that are in the cache and may be reused. Changes nothing.
    #[must_use]
    pub fn lookup(&self, prompt: &Prompt<'_>) -> u32 {
        self.tree.find(prompt.stream, prompt.reusable_blocks).blocks
    }

    /// Inserts the first `blocks` blocks of a stream, a use of all of them; evicts what does not fit, at last the tail of
    /// this chain.
    pub fn insert(&mut self, stream: &TokenSeq, blocks: u32) -> Inserted {
        self.clock += 1;
        self.place(stream, &[(blocks, NEVER)])
    }

    /// As [`Self::insert`] for [`Policy::Belady`]: `next_uses` holds, in order, `(blocks up to here, time of their next
    /// use)`; [`NEVER`] if there is none.
    pub fn insert_until(&mut self, stream: &TokenSeq, next_uses: &[(u32, u64)]) -> Inserted {
        self.clock += 1;
        self.place(stream, next_uses)
    }

    /// Pins the first `blocks` blocks of a stream, as far as they are in the cache, until they are unpinned.
    pub fn pin(&mut self, stream: &TokenSeq, blocks: u32) -> Pin {
        let found = self.tree.find(stream, blocks);
        let end = self.tree.grow(found, stream, found.blocks, NodeState::default(), false);
        self.pin_chain(end);
        self.list(found.node);
        Pin(end)
    }

    /// Unpins a chain.
    #[expect(clippy::needless_pass_by_value, reason = "a pin is returned once")]
    pub fn unpin(&mut self, pin: Pin) {
        self.unpin_chain(pin.0);
        self.list(pin.0);
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

    /// Inserts a chain whose parts, `(blocks up to here, next use)`, are used at different times.
    fn place(&mut self, stream: &TokenSeq, next_uses: &[(u32, u64)]) -> Inserted {
        let Some(&(blocks, _)) = next_uses.last() else { return Inserted::default() };
        let found = self.tree.find(stream, blocks);
        let added_blocks = u64::from(blocks - found.blocks);
        let extend = self.extends(found.node);
        let end = self.tree.grow(found, stream, blocks, NodeState::default(), extend);
        for (boundary, _) in next_uses {
            let part = self.tree.find(stream, *boundary);
            self.tree.grow(part, stream, *boundary, NodeState::default(), false);
        }
        let (policy, clock) = (self.policy, self.clock);
        self.tree.touch(end, |(start, _), state| {
            let part = next_uses.partition_point(|(boundary, _)| *boundary <= start);
            state.rank = policy.rank(state.rank, Use { clock, next: next_uses[part].1 });
        });
        self.list(found.node);
        self.list(end);
        self.used_blocks += added_blocks;
        let before = self.used_blocks;
        self.make_room(&mut |_| ());
        Inserted { added_blocks, evicted_blocks: before - self.used_blocks }
    }

    /// Whether new blocks may join the node that they follow: they then share its rank and its pins.
    pub(super) fn extends(&self, node: NodeId) -> bool {
        self.policy.ranks_whole_chains() && self.tree.data(node).pins == 0
    }

    /// Evicts unpinned blocks until all that is held and reserved fits.
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
