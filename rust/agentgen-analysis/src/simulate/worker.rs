//! One worker: a queue, a prefill unit and a cache.

use std::collections::VecDeque;

use agentgen_engine::kv::{
    Admission, Admitted, Evicted, MatchHint, Policy, PrefixCache, PrefixMatch, Prompt, RadixTree, Released,
};

use super::Settings;
use super::bound::Uses;

/// A worker.
#[derive(Debug)]
pub(super) struct Worker {
    pub cache: PrefixCache,
    /// Places of the sessions whose requests wait, the first to come first.
    pub queue: VecDeque<usize>,
    /// Whether the prefill unit is busy.
    pub is_busy: bool,
    /// Every chain that was ever in the cache.
    seen: RadixTree<()>,
    ttl_ms: Option<f64>,
    /// Releases within the time to live: rank and time.
    releases: VecDeque<(u64, f64)>,
    /// What was asked of the cache, for the bound.
    pub uses: Option<Uses>,
}

/// What a session left at a worker.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left {
    /// In its cache.
    known: MatchHint,
    /// In `seen`.
    seen: PrefixMatch,
}

impl Left {
    pub(super) const NOTHING: Self = Self { known: MatchHint::NOTHING, seen: PrefixMatch::NOTHING };
}

/// Blocks that came into a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Added {
    /// The first of them, by its place in the chain.
    pub start: u32,
    /// The first that had never been there.
    pub new: u32,
    /// The end.
    pub end: u32,
}

impl Worker {
    pub(super) fn new(settings: &Settings) -> Self {
        let Settings { capacity_blocks, id_tokens, block_tokens, .. } = *settings;
        Self {
            cache: PrefixCache::new(Policy::Lru, capacity_blocks, id_tokens, block_tokens),
            queue: VecDeque::new(),
            is_busy: false,
            seen: RadixTree::new(id_tokens, block_tokens),
            ttl_ms: settings.ttl_ms,
            releases: VecDeque::new(),
            uses: settings.bound.then(|| Uses::new(settings)),
        }
    }

    /// Lets go what nobody has used for too long.
    pub(super) fn expire(&mut self, now_ms: f64, gone: &mut impl FnMut(Evicted)) {
        let Some(ttl_ms) = self.ttl_ms else { return };
        let mut last = None;
        while let Some((rank, _)) = self.releases.front().copied().filter(|(_, time)| now_ms - *time > ttl_ms) {
            self.releases.pop_front();
            last = Some(rank);
        }
        if let Some(rank) = last {
            self.cache.expire(rank, gone);
        }
    }

    /// Admits a request if there is room for it. `left` is what its session left here.
    pub(super) fn admit(
        &mut self,
        prompt: &Prompt<'_>,
        needed_blocks: u64,
        left: &mut Left,
        gone: &mut impl FnMut(Evicted),
    ) -> Option<(Admitted, Added)> {
        let admitted = self.cache.admit(prompt, needed_blocks, left.known, gone)?;
        let added = self.add(prompt, left, admitted.found_blocks, admitted.held_blocks);
        if let Some(uses) = &mut self.uses {
            uses.add(prompt);
        }
        Some((admitted, added))
    }

    /// A request is over.
    pub(super) fn release(
        &mut self,
        admission: Admission,
        prompt: &Prompt<'_>,
        tag: u32,
        left: &mut Left,
        now_ms: f64,
    ) -> Added {
        let Released { found_blocks, kept_blocks, known, rank } = self.cache.release(admission, prompt, tag);
        left.known = known;
        if self.ttl_ms.is_some() {
            self.releases.push_back((rank, now_ms));
        }
        self.add(prompt, left, found_blocks, kept_blocks)
    }

    /// Blocks from `start` to `end` of a chain came into the cache.
    fn add(&mut self, prompt: &Prompt<'_>, left: &mut Left, start: u32, end: u32) -> Added {
        if start == end {
            return Added { start, new: end, end };
        }
        let found = self.seen.find_from(left.seen, prompt.stream, end);
        let node = self.seen.grow(found, prompt.stream, end, (), true);
        left.seen = PrefixMatch { node, blocks: end };
        Added { start, new: found.blocks, end }
    }
}
