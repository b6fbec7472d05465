//! A prefix cache of limited capacity.

use std::collections::BTreeSet;

use super::prompt::Prompt;
use super::stream::Stream;
use super::tree::{NodeId, Tree};

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
struct Held {
    /// The smallest goes first.
    rank: u64,
    /// How many times it is pinned.
    pins: u32,
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

/// Chains of blocks, never more than `capacity_blocks` of them.
#[derive(Debug, Clone)]
pub struct PrefixCache {
    tree: Tree<Held>,
    policy: Policy,
    capacity_blocks: u64,
    used_blocks: u64,
    /// Insertions so far: the age of LRU and FIFO.
    clock: u64,
    /// Extents that nothing follows and nobody pins, the next to go first.
    evictable: BTreeSet<(u64, NodeId)>,
}

impl PrefixCache {
    /// An empty cache. `id_tokens` is the trace's block size, `block_tokens` the cache's.
    #[must_use]
    pub fn new(policy: Policy, capacity_blocks: u64, id_tokens: u32, block_tokens: u32) -> Self {
        let tree = Tree::new(id_tokens, block_tokens);
        Self { tree, policy, capacity_blocks, used_blocks: 0, clock: 0, evictable: BTreeSet::new() }
    }

    /// Blocks held.
    #[must_use]
    pub fn used_blocks(&self) -> u64 {
        self.used_blocks
    }

    /// Blocks that a prompt finds, from its beginning. Changes nothing.
    #[must_use]
    pub fn lookup(&self, prompt: &Prompt<'_>) -> u32 {
        self.tree.find(prompt.stream, prompt.reusable_blocks).blocks
    }

    /// Puts the first `blocks` blocks of a stream in and makes them the youngest (LRU), or leaves those found at their
    /// age (FIFO). What does not fit goes: first what the policy says, at last the tail of this chain.
    pub fn insert(&mut self, stream: &Stream, blocks: u32) -> Inserted {
        self.clock += 1;
        self.place(stream, &[(blocks, self.clock)])
    }

    /// As [`Self::insert`] for [`Policy::Belady`]: `next_uses` holds, in order, `(blocks up to here, time of their next
    /// use)`; [`NEVER`] if there is none.
    pub fn insert_until(&mut self, stream: &Stream, next_uses: &[(u32, u64)]) -> Inserted {
        let ranks: Vec<_> = next_uses.iter().map(|(blocks, time)| (*blocks, NEVER - time)).collect();
        self.place(stream, &ranks)
    }

    /// Keeps the chain of the first `blocks` blocks, as far as they are held, until it is unpinned.
    pub fn pin(&mut self, stream: &Stream, blocks: u32) -> Pin {
        let found = self.tree.find(stream, blocks);
        self.unlist(found.node);
        let end = self.tree.grow(found, stream, found.blocks, Held::default(), false);
        self.tree.touch(end, |_, held| held.pins += 1);
        self.list(found.node);
        Pin(end)
    }

    /// Lets a pinned chain go.
    #[expect(clippy::needless_pass_by_value, reason = "a pin is given back once")]
    pub fn unpin(&mut self, pin: Pin) {
        self.tree.touch(pin.0, |_, held| held.pins -= 1);
        self.list(pin.0);
    }

    /// Puts a chain in whose parts, `(blocks up to here, rank)`, have different ranks.
    fn place(&mut self, stream: &Stream, ranks: &[(u32, u64)]) -> Inserted {
        let Some(&(blocks, last)) = ranks.last() else { return Inserted::default() };
        let found = self.tree.find(stream, blocks);
        self.unlist(found.node);
        let added_blocks = u64::from(blocks - found.blocks);
        // Blocks that join an extent share its rank and its pins.
        let extend = self.policy == Policy::Lru && self.tree.data(found.node).pins == 0;
        let end = self.tree.grow(found, stream, blocks, Held { rank: last, pins: 0 }, extend);
        if self.policy != Policy::Fifo {
            for (boundary, _) in ranks {
                let part = self.tree.find(stream, *boundary);
                self.tree.grow(part, stream, *boundary, Held::default(), false);
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
        while self.used_blocks > self.capacity_blocks
            && let Some((rank, id)) = self.evictable.pop_first()
        {
            let (start, end) = self.tree.span(id);
            let parent = self.tree.parent(id);
            let blocks = u64::from(end - start).min(self.used_blocks - self.capacity_blocks);
            self.tree.shorten(id, blocks as u32);
            self.used_blocks -= blocks;
            if blocks < u64::from(end - start) {
                self.evictable.insert((rank, id));
            } else {
                self.list(parent);
            }
        }
        before - self.used_blocks
    }

    /// Makes an extent evictable if nothing follows it and nobody pins it.
    fn list(&mut self, id: NodeId) {
        let held = *self.tree.data(id);
        if id != NodeId::ROOT && self.tree.is_leaf(id) && held.pins == 0 {
            self.evictable.insert((held.rank, id));
        }
    }

    fn unlist(&mut self, id: NodeId) {
        self.evictable.remove(&(self.tree.data(id).rank, id));
    }
}
