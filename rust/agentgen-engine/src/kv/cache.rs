//! A prefix cache of limited capacity.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::prompt::Prompt;
use super::token_seq::TokenSeq;
use super::tree::{NodeId, RadixTree};

/// Which block goes first when room is needed. In every policy a block that others follow stays, so a chain's tail
/// goes before its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// The least recently used one, as in vLLM.
    Lru,
    /// The one that was put in first.
    Fifo,
    /// The one whose next use is farthest away, which only an offline run knows: greedy Belady, a bound.
    Belady,
}

/// What is known of an extent in the cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct NodeState {
    /// The smallest goes first.
    pub(super) rank: u64,
    /// How many times it is pinned.
    pub(super) pins: u32,
    /// What whoever released it last wants to be told when it goes.
    pub(super) tag: u32,
}

/// A pinned chain, to be given back to [`PrefixCache::unpin`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a pinned chain stays until it is unpinned"]
pub struct Pin(NodeId);

/// What an insertion did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Inserted {
    /// Blocks that were not there before.
    pub added_blocks: u64,
    /// Blocks that went; some of those added may be among them.
    pub evicted_blocks: u64,
}

/// A time that never comes, as a block's next use.
pub const NEVER: u64 = u64::MAX;

/// Blocks of a chain that went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evicted {
    /// The tag of the request that released them last; 0 if none did.
    pub tag: u32,
    /// Blocks before them in their chain.
    pub start: u32,
    /// Blocks up to their end.
    pub end: u32,
}

/// So many extents are listed before those are looked for that need not be.
const LISTED: usize = 64;

/// Chains of blocks and reserved room, never more than `capacity_blocks` in all.
#[derive(Debug, Clone)]
pub struct PrefixCache {
    pub(super) tree: RadixTree<NodeState>,
    policy: Policy,
    pub(super) capacity_blocks: u64,
    pub(super) used_blocks: u64,
    pub(super) pinned_blocks: u64,
    pub(super) reserved_blocks: u64,
    /// Insertions and releases so far: the age of LRU and FIFO.
    pub(super) clock: u64,
    /// Extents that nothing follows and nobody pins, the next to go first; and some that are no longer so, which are
    /// found out when it is their turn.
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

    /// Blocks held.
    #[must_use]
    pub fn used_blocks(&self) -> u64 {
        self.used_blocks
    }

    /// Those of them that are pinned.
    #[must_use]
    pub fn pinned_blocks(&self) -> u64 {
        self.pinned_blocks
    }

    /// Room that running requests have for blocks without an identity.
    #[must_use]
    pub fn reserved_blocks(&self) -> u64 {
        self.reserved_blocks
    }

    /// Blocks that a prompt finds, from its beginning. Changes nothing.
    #[must_use]
    pub fn lookup(&self, prompt: &Prompt<'_>) -> u32 {
        self.tree.find(prompt.stream, prompt.reusable_blocks).blocks
    }

    /// Puts the first `blocks` blocks of a stream in and makes them the youngest (LRU), or leaves those found at their
    /// age (FIFO). What does not fit goes: first what the policy says, at last the tail of this chain.
    pub fn insert(&mut self, stream: &TokenSeq, blocks: u32) -> Inserted {
        self.clock += 1;
        self.place(stream, &[(blocks, self.clock)])
    }

    /// As [`Self::insert`] for [`Policy::Belady`]: `next_uses` holds, in order, `(blocks up to here, time of their next
    /// use)`; [`NEVER`] if there is none.
    pub fn insert_until(&mut self, stream: &TokenSeq, next_uses: &[(u32, u64)]) -> Inserted {
        let ranks: Vec<_> = next_uses.iter().map(|(blocks, time)| (*blocks, NEVER - time)).collect();
        self.place(stream, &ranks)
    }

    /// Keeps the chain of the first `blocks` blocks, as far as they are held, until it is unpinned.
    pub fn pin(&mut self, stream: &TokenSeq, blocks: u32) -> Pin {
        let found = self.tree.find(stream, blocks);
        let end = self.tree.grow(found, stream, found.blocks, NodeState::default(), false);
        self.pin_chain(end);
        self.list(found.node);
        Pin(end)
    }

    /// Lets a pinned chain go.
    #[expect(clippy::needless_pass_by_value, reason = "a pin is given back once")]
    pub fn unpin(&mut self, pin: Pin) {
        self.unpin_chain(pin.0);
        self.list(pin.0);
    }

    pub(super) fn pin_chain(&mut self, end: NodeId) {
        let pinned = &mut self.pinned_blocks;
        self.tree.touch(end, |(start, end), held| {
            *pinned += if held.pins == 0 { u64::from(end - start) } else { 0 };
            held.pins += 1;
        });
    }

    pub(super) fn unpin_chain(&mut self, end: NodeId) {
        let pinned = &mut self.pinned_blocks;
        self.tree.touch(end, |(start, end), held| {
            held.pins -= 1;
            *pinned -= if held.pins == 0 { u64::from(end - start) } else { 0 };
        });
    }

    /// Puts a chain in whose parts, `(blocks up to here, rank)`, have different ranks.
    fn place(&mut self, stream: &TokenSeq, ranks: &[(u32, u64)]) -> Inserted {
        let Some(&(blocks, last)) = ranks.last() else { return Inserted::default() };
        let found = self.tree.find(stream, blocks);
        let added_blocks = u64::from(blocks - found.blocks);
        // Blocks that join an extent share its rank and its pins.
        let extend = self.policy == Policy::Lru && self.tree.data(found.node).pins == 0;
        let end = self.tree.grow(found, stream, blocks, NodeState { rank: last, ..NodeState::default() }, extend);
        if self.policy != Policy::Fifo {
            for (boundary, _) in ranks {
                let part = self.tree.find(stream, *boundary);
                self.tree.grow(part, stream, *boundary, NodeState::default(), false);
            }
            let mut at = end;
            while at != NodeId::ROOT {
                let (start, _) = self.tree.span(at);
                let part = ranks.partition_point(|(boundary, _)| *boundary <= start);
                self.tree.data_mut(at).rank = ranks[part].1;
                at = self.tree.parent(at);
            }
        }
        self.list(found.node);
        self.list(end);
        self.used_blocks += added_blocks;
        Inserted { added_blocks, evicted_blocks: self.evict() }
    }

    /// Makes room; returns how many blocks went.
    fn evict(&mut self) -> u64 {
        let before = self.used_blocks;
        self.make_room(&mut |_| ());
        before - self.used_blocks
    }

    /// Lets blocks go until all that is held and reserved fits, as far as nobody pins them.
    pub(super) fn make_room(&mut self, gone: &mut impl FnMut(Evicted)) {
        while self.used_blocks + self.reserved_blocks > self.capacity_blocks
            && let Some(Reverse((rank, id))) = self.evictable.pop()
        {
            let most = self.used_blocks + self.reserved_blocks - self.capacity_blocks;
            self.drop_blocks(rank, id, most, gone);
        }
    }

    /// Lets all blocks go that nobody pins and that were released last at this rank or before.
    pub(super) fn drop_until(&mut self, last: u64, gone: &mut impl FnMut(Evicted)) {
        while let Some(Reverse((rank, id))) = self.evictable.peek().copied().filter(|Reverse((rank, _))| *rank <= last)
        {
            self.evictable.pop();
            self.drop_blocks(rank, id, u64::MAX, gone);
        }
    }

    /// Takes at most so many blocks from the end of an extent, if it is evictable and has this rank.
    pub(super) fn drop_blocks(&mut self, rank: u64, id: NodeId, most: u64, gone: &mut impl FnMut(Evicted)) {
        if self.tree.data(id).rank != rank || !self.is_evictable(id) {
            return;
        }
        let (start, end) = self.tree.span(id);
        let parent = self.tree.parent(id);
        let blocks = u64::from(end - start).min(most);
        gone(Evicted { tag: self.tree.data(id).tag, start: end - blocks as u32, end });
        self.tree.shorten(id, blocks as u32);
        self.used_blocks -= blocks;
        if blocks < u64::from(end - start) {
            self.evictable.push(Reverse((rank, id)));
        } else {
            self.list(parent);
        }
    }

    /// Lists an extent as evictable if nothing follows it and nobody pins it. It need not be taken from the list.
    pub(super) fn list(&mut self, id: NodeId) {
        if !self.is_evictable(id) {
            return;
        }
        self.evictable.push(Reverse((self.tree.data(id).rank, id)));
        if self.evictable.len() > 4 * self.tree.extents() + LISTED {
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
