//! A cache that serves: running requests pin their prompts and reserve room for what they will write.

use super::cache::{Evicted, NodeState, PrefixCache};
use super::prompt::Prompt;
use super::token_seq::TokenSeq;
use super::tree::{NodeId, PrefixMatch};

/// A request that runs, to be given back to [`PrefixCache::release`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a request holds its blocks until it is released"]
pub struct Admission {
    end: NodeId,
    held_blocks: u32,
    reserved_blocks: u64,
}

/// What a request found when it was admitted.
#[derive(Debug, PartialEq, Eq)]
pub struct Admitted {
    /// To be released when the request is over.
    pub admission: Admission,
    /// Blocks of its prompt that it need not compute.
    pub hit_blocks: u32,
    /// Blocks of its chain that were there, those included that it computes again all the same.
    pub found_blocks: u32,
    /// Blocks of its chain that are there now, pinned.
    pub held_blocks: u32,
}

/// Where a chain ended that a request left; it may be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatchHint {
    found: PrefixMatch,
    generation: u64,
}

impl MatchHint {
    /// No chain.
    pub const NOTHING: Self = Self { found: PrefixMatch::NOTHING, generation: 0 };
}

/// What a request left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Released {
    /// Blocks of its chain that were there.
    pub found_blocks: u32,
    /// Blocks of its chain that are there now.
    pub kept_blocks: u32,
    /// Where that is, for a later request whose stream begins the same.
    pub known: MatchHint,
    /// For [`PrefixCache::expire`]: grows from release to release.
    pub rank: u64,
}

impl PrefixCache {
    /// Admits a request that needs room for `needed_blocks` in all, at least those of its prompt: pins what its prompt
    /// finds and its full blocks, reserves the rest, and evicts what is in the way. `None`, and nothing is changed, if
    /// what others pin and reserve leaves too little room. `known`: what an earlier request left whose stream begins the
    /// same. Only of [`super::Policy::Lru`].
    pub fn admit(
        &mut self,
        prompt: &Prompt<'_>,
        needed_blocks: u64,
        known: MatchHint,
        gone: &mut impl FnMut(Evicted),
    ) -> Option<Admitted> {
        let most = prompt.full_blocks.max(prompt.reusable_blocks);
        let found = self.tree.find_from(self.still(known), prompt.stream, most);
        let hit_blocks = found.blocks.min(prompt.reusable_blocks);
        let held_blocks = prompt.full_blocks.max(hit_blocks);
        let reserved_blocks = needed_blocks - u64::from(held_blocks);
        let newly_pinned = u64::from(held_blocks - self.pinned_part(found));
        if self.pinned_blocks + newly_pinned + self.reserved_blocks + reserved_blocks > self.capacity_blocks {
            return None;
        }
        let extend = self.tree.data(found.node).pins == 0;
        let end = self.tree.grow(found, prompt.stream, held_blocks, NodeState::default(), extend);
        self.pin_chain(end);
        // What follows the chain, if that ends inside of what was found.
        self.list(found.node);
        self.used_blocks += u64::from(held_blocks - found.blocks);
        self.reserved_blocks += reserved_blocks;
        self.make_room(gone);
        let admission = Admission { end, held_blocks, reserved_blocks };
        Some(Admitted { admission, hit_blocks, found_blocks: found.blocks, held_blocks })
    }

    /// A request is over: what it wrote becomes blocks in the reserved room, and the first `kept_blocks` blocks of its
    /// chain the most recently used. `tag` is told when they go.
    #[expect(clippy::needless_pass_by_value, reason = "a request is released once")]
    pub fn release(&mut self, admission: Admission, prompt: &Prompt<'_>, tag: u32) -> Released {
        let Admission { end, held_blocks, reserved_blocks } = admission;
        let kept_blocks = prompt.kept_blocks.max(held_blocks);
        self.clock += 1;
        self.reserved_blocks -= reserved_blocks;
        let found = self.tree.find_from(PrefixMatch { node: end, blocks: held_blocks }, prompt.stream, kept_blocks);
        self.unpin_chain(end);
        // Blocks that join an extent share its pins.
        let extend = self.tree.data(found.node).pins == 0;
        let last = self.tree.grow(found, prompt.stream, kept_blocks, NodeState::default(), extend);
        let rank = self.clock;
        self.tree.touch(last, |_, held| (held.rank, held.tag) = (rank, tag));
        self.list(found.node);
        self.list(last);
        self.used_blocks += u64::from(kept_blocks - found.blocks);
        debug_assert!(self.used_blocks + self.reserved_blocks <= self.capacity_blocks, "the room was reserved");
        let known = MatchHint {
            found: PrefixMatch { node: last, blocks: kept_blocks },
            generation: self.tree.generation(last),
        };
        Released { found_blocks: found.blocks, kept_blocks, known, rank }
    }

    /// Lets all blocks go that nobody pins and whose last release has this rank or one before it.
    pub fn expire(&mut self, rank: u64, gone: &mut impl FnMut(Evicted)) {
        self.drop_until(rank, gone);
    }

    /// Takes the blocks of a stream from number `kept` on, of its first `blocks` blocks, as far as they are there, nobody
    /// pins them and nothing follows them: they were never computed.
    pub fn forget(&mut self, stream: &TokenSeq, blocks: u32, kept: u32) {
        loop {
            let found = self.tree.find(stream, blocks);
            let (start, end) = self.tree.span(found.node);
            let held = *self.tree.data(found.node);
            if found.blocks <= kept || end > found.blocks || !self.tree.is_leaf(found.node) || held.pins > 0 {
                return;
            }
            self.drop_blocks(held.rank, found.node, u64::from(end - kept.max(start)), &mut |_| ());
        }
    }

    /// A chain, if it is all still there.
    fn still(&self, known: MatchHint) -> PrefixMatch {
        if self.tree.generation(known.found.node) == known.generation { known.found } else { PrefixMatch::NOTHING }
    }

    /// How much of a chain that was found is pinned: always a first part of it.
    fn pinned_part(&self, found: PrefixMatch) -> u32 {
        let is_pinned = |node: &NodeId| self.tree.data(*node).pins > 0;
        self.tree.path(found.node).find(is_pinned).map_or(0, |node| self.tree.span(node).1.min(found.blocks))
    }
}
