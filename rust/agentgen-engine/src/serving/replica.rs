//! One replica: a queue, a prefill unit and a prefix cache.

use std::collections::VecDeque;

use crate::kv::{Admission, AdmissionRequest, Admitted, Evicted, PrefixCache, Prompt, Released};

use super::System;

/// A modelled serving engine. Requests wait in order of arrival; one prefill runs at a time; decoding requests do not
/// slow each other down.
#[derive(Debug)]
pub struct Replica {
    cache: PrefixCache,
    /// Slots of the waiting requests, the next to be admitted first.
    queue: VecDeque<usize>,
    /// Slot of the request whose prefill runs.
    prefilling: Option<usize>,
    /// Requests admitted and not ended.
    running: usize,
    ttl_ms: Option<f64>,
    /// Releases within the time to live: number and time in ms.
    releases: VecDeque<(u64, f64)>,
}

impl Replica {
    pub(super) fn new(system: &System) -> Self {
        let System { policy, capacity_blocks, id_tokens, block_tokens, ttl_ms, .. } = *system;
        Self {
            cache: PrefixCache::new(policy, capacity_blocks, id_tokens, block_tokens),
            queue: VecDeque::new(),
            prefilling: None,
            running: 0,
            ttl_ms,
            releases: VecDeque::new(),
        }
    }

    /// The prefix cache.
    #[must_use]
    pub fn cache(&self) -> &PrefixCache {
        &self.cache
    }

    /// Requests that wait to be admitted.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Requests admitted and not ended.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running
    }

    pub(super) fn enqueue(&mut self, slot: usize) {
        self.queue.push_back(slot);
    }

    /// Removes a waiting request.
    pub(super) fn dequeue(&mut self, slot: usize) {
        self.queue.retain(|other| *other != slot);
    }

    /// The request that may be admitted: the first of the queue, while the prefill unit is free.
    pub(super) fn next(&self) -> Option<usize> {
        self.queue.front().copied().filter(|_| self.prefilling.is_none())
    }

    pub(super) fn is_prefilling(&self, slot: usize) -> bool {
        self.prefilling == Some(slot)
    }

    pub(super) fn free_prefill_unit(&mut self) {
        self.prefilling = None;
    }

    /// Drops blocks that were released longer ago than the time to live.
    #[inline] // before every event: without a time to live it costs nothing
    pub(super) fn expire(&mut self, now_ms: f64, expired: &mut impl FnMut(Evicted)) {
        let Some(ttl_ms) = self.ttl_ms else { return };
        let mut last = None;
        while let Some((clock, _)) = self.releases.front().copied().filter(|(_, time)| now_ms - *time > ttl_ms) {
            self.releases.pop_front();
            last = Some(clock);
        }
        if let Some(clock) = last {
            self.cache.expire(clock, expired);
        }
    }

    /// Drops all blocks that no running request pins.
    pub(super) fn clear_cache(&mut self, evicted: &mut impl FnMut(Evicted)) {
        self.cache.clear(evicted);
    }

    /// Admits the request that [`Self::next`] returned, if there is room for it.
    pub(super) fn admit(
        &mut self,
        request: &AdmissionRequest<'_>,
        evicted: &mut impl FnMut(Evicted),
    ) -> Option<Admitted> {
        let admitted = self.cache.admit(request, evicted)?;
        self.prefilling = self.queue.pop_front();
        self.running += 1;
        Some(admitted)
    }

    /// Ends a running request.
    pub(super) fn release(&mut self, admission: Admission, prompt: &Prompt<'_>, tag: u32, now_ms: f64) -> Released {
        let released = self.cache.release(admission, prompt, tag);
        if self.ttl_ms.is_some() {
            self.releases.push_back((released.clock, now_ms));
        }
        self.running -= 1;
        released
    }

    /// Drops the full blocks of a prompt whose prefill was cancelled, except the first `computed_blocks`.
    pub(super) fn forget(&mut self, prompt: &Prompt<'_>, computed_blocks: u32) {
        self.cache.forget(prompt.stream, prompt.full_blocks, computed_blocks);
    }
}
