//! The prefix cache of a serving engine: running requests pin their prompts and reserve room for what they write.

use super::cache::{Evicted, NodeState, PrefixCache};
use super::policy::Policy;
use super::prompt::Prompt;
use super::token_seq::TokenSeq;
use super::tree::{NodeId, PrefixMatch};

/// A request that waits for admission.
#[derive(Debug, Clone, Copy)]
pub struct AdmissionRequest<'a> {
    /// Its prompt.
    pub prompt: Prompt<'a>,
    /// Blocks that it needs in all, at least those of its prompt.
    pub needed_blocks: u64,
    /// Hint of an earlier request in the same cache whose stream begins with the same tokens.
    pub hint: MatchHint,
}

/// What a running request holds, to be returned to [`PrefixCache::release`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a request holds its blocks until it is released"]
pub struct Admission {
    end: NodeId,
    held_blocks: u32,
    reserved_blocks: u64,
}

/// An admitted request.
#[derive(Debug, PartialEq, Eq)]
pub struct Admitted {
    /// To be released when the request ends.
    pub admission: Admission,
    /// Reused blocks of its prompt.
    pub hit_blocks: u32,
    /// Blocks of its chain that were in the cache, including those that are computed again in any case.
    pub found_blocks: u32,
    /// Blocks of its chain that are in the cache now, pinned.
    pub held_blocks: u32,
}

/// Where the chain of an earlier request ended in one cache. It stays valid if the blocks have been evicted since: it
/// then matches nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatchHint {
    found: PrefixMatch,
    generation: u64,
}

impl MatchHint {
    /// No chain.
    pub const NOTHING: Self = Self { found: PrefixMatch::NOTHING, generation: 0 };
}

/// What a request left in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Released {
    /// Blocks of its chain that were in the cache.
    pub found_blocks: u32,
    /// Blocks of its chain that are in the cache now.
    pub kept_blocks: u32,
    /// Where they end, for a later request whose stream begins with the same tokens.
    pub hint: MatchHint,
    /// Number of the release, for [`PrefixCache::expire`]; increases from release to release.
    pub clock: u64,
}

impl PrefixCache {
    /// Admits a request: pins the reused and the full blocks of its prompt, reserves the other blocks that it needs, and
    /// evicts blocks to make room. Returns `None`, and changes nothing, if the pins and reservations of running requests
    /// leave too little room.
    pub fn admit(&mut self, request: &AdmissionRequest<'_>, evicted: &mut impl FnMut(Evicted)) -> Option<Admitted> {
        let AdmissionRequest { ref prompt, needed_blocks, hint } = *request;
        let most = prompt.full_blocks.max(prompt.reusable_blocks);
        let found = self.tree.find_from(self.resolve(hint), prompt.stream, most);
        let hit_blocks = found.blocks.min(prompt.reusable_blocks);
        let held_blocks = prompt.full_blocks.max(hit_blocks);
        let reserved_blocks = needed_blocks - u64::from(held_blocks);
        let newly_pinned = u64::from(held_blocks - self.pinned_part(found));
        if self.pinned_blocks + newly_pinned + self.reserved_blocks + reserved_blocks > self.capacity_blocks {
            return None;
        }
        let extend = self.extends(found.node);
        let end = self.tree.grow(found, prompt.stream, held_blocks, NodeState::default(), extend);
        self.pin_chain(end);
        // If the chain ends inside the node that was found, the rest of that node stays evictable.
        self.list(found.node);
        self.used_blocks += u64::from(held_blocks - found.blocks);
        self.reserved_blocks += reserved_blocks;
        self.make_room(evicted);
        let admission = Admission { end, held_blocks, reserved_blocks };
        Some(Admitted { admission, hit_blocks, found_blocks: found.blocks, held_blocks })
    }

    /// Ends a request: its output becomes blocks in the reserved room, and the first `kept_blocks` blocks of its chain
    /// are used and unpinned. `tag` is reported when they are evicted.
    #[expect(clippy::needless_pass_by_value, reason = "a request is released once")]
    pub fn release(&mut self, admission: Admission, prompt: &Prompt<'_>, tag: u32) -> Released {
        let Admission { end, held_blocks, reserved_blocks } = admission;
        let kept_blocks = prompt.kept_blocks.max(held_blocks);
        self.clock += 1;
        self.reserved_blocks -= reserved_blocks;
        let found = self.tree.find_from(PrefixMatch { node: end, blocks: held_blocks }, prompt.stream, kept_blocks);
        self.unpin_chain(end);
        let extend = self.extends(found.node);
        let last = self.tree.grow(found, prompt.stream, kept_blocks, NodeState::default(), extend);
        let (rank, clock) = (self.policy.rank(self.clock), self.clock);
        self.tree.touch(last, |_, state| {
            state.rank = rank;
            state.tag = tag;
        });
        self.list(found.node);
        self.list(last);
        self.used_blocks += u64::from(kept_blocks - found.blocks);
        debug_assert!(self.used_blocks + self.reserved_blocks <= self.capacity_blocks, "the room was reserved");
        let found_now = PrefixMatch { node: last, blocks: kept_blocks };
        let hint = MatchHint { found: found_now, generation: self.tree.generation(last) };
        Released { found_blocks: found.blocks, kept_blocks, hint, clock }
    }

    /// Drops all unpinned blocks whose last release has this number or an earlier one.
    ///
    /// Only under [`Policy::Lru`], whose ranks are the numbers of the last releases.
    pub fn expire(&mut self, clock: u64, expired: &mut impl FnMut(Evicted)) {
        debug_assert!(self.policy == Policy::Lru, "ranks must be the numbers of releases");
        self.drop_until(clock, expired);
    }

    /// Drops all unpinned blocks.
    pub fn clear(&mut self, evicted: &mut impl FnMut(Evicted)) {
        self.drop_until(u64::MAX, evicted);
    }

    /// Drops those of the first `blocks` blocks of a stream that follow its first `kept` and were never computed: as far
    /// as they are in the cache, not pinned, and no other block follows them.
    pub fn forget(&mut self, stream: &TokenSeq, blocks: u32, kept: u32) {
        loop {
            let found = self.tree.find(stream, blocks);
            let (start, end) = self.tree.span(found.node);
            let state = *self.tree.data(found.node);
            if found.blocks <= kept || end > found.blocks || !self.tree.is_leaf(found.node) || state.pins > 0 {
                return;
            }
            self.drop_blocks(state.rank, found.node, u64::from(end - kept.max(start)), &mut |_| ());
        }
    }

    /// The chain of a hint, if all of it is still in the cache.
    fn resolve(&self, hint: MatchHint) -> PrefixMatch {
        if self.tree.generation(hint.found.node) == hint.generation { hint.found } else { PrefixMatch::NOTHING }
    }

    /// How many blocks of a chain are pinned: always its first ones.
    fn pinned_part(&self, found: PrefixMatch) -> u32 {
        let is_pinned = |node: &NodeId| self.tree.data(*node).pins > 0;
        self.tree.path(found.node).find(is_pinned).map_or(0, |node| self.tree.span(node).1.min(found.blocks))
    }
}
