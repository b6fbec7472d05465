//! Hit rate of an LRU cache at every capacity, computed from reuse distances (Mattson et al., 1970).

use schemars::JsonSchema;
use serde::Serialize;

use super::rates::ratio;

/// Distances below this are counted in an array; larger ones are rare and kept in a list.
const NEAR: u64 = 1 << 22;
/// Initial length of the list at which equal distances are merged.
const FAR: usize = 1 << 20;

/// Number of hits by reuse distance: the capacity in blocks at which an LRU cache still holds the block.
#[derive(Debug, Clone, Default)]
pub(super) struct Distances {
    /// Difference of the count between one distance and the next.
    near: Vec<i64>,
    far: Vec<(u64, i64)>,
    /// Length of `far` after the last merge.
    merged: usize,
}

impl Distances {
    /// Adds a hit at each of the distances `after + 1 ..= after + blocks`.
    pub(super) fn add(&mut self, after: u64, blocks: u64) {
        self.change(after + 1, 1);
        self.change(after + blocks + 1, -1);
    }

    fn change(&mut self, distance: u64, by: i64) {
        if distance < NEAR {
            let at = distance as usize;
            if at >= self.near.len() {
                self.near.resize((at + 1).next_power_of_two(), 0);
            }
            self.near[at] += by;
            return;
        }
        self.far.push((distance, by));
        if self.far.len() >= FAR.max(2 * self.merged) {
            self.merge();
        }
    }

    fn merge(&mut self) {
        self.far.sort_unstable();
        self.far.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        self.merged = self.far.len();
    }

    /// The curve of these distances; `blocks`: all blocks of the prompts.
    pub(super) fn curve(mut self, blocks: u64) -> Curve {
        self.merge();
        let near = self.near.iter().enumerate().map(|(distance, by)| (distance as u64, *by));
        let mut steps: Vec<Step> = Vec::new();
        let (mut hits, mut each, mut last) = (0, 0_i64, 0);
        for (distance, by) in near.chain(self.far.iter().copied()).filter(|(_, by)| *by != 0) {
            // Each of the distances `last .. distance` has `each` hits.
            hits += (distance - last) * each as u64;
            each += by;
            last = distance;
            steps.push(Step { distance, hits_before: hits, hits_each: each as u64 });
        }
        Curve { steps, hits, blocks }
    }
}

/// From `distance` on, each further block of capacity gives `hits_each` more hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    distance: u64,
    hits_before: u64,
    hits_each: u64,
}

/// The exact hit rate of an LRU prefix cache at every capacity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Curve {
    steps: Vec<Step>,
    hits: u64,
    blocks: u64,
}

/// A point of the capacity curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct CurvePoint {
    /// Capacity, blocks.
    pub capacity_blocks: u64,
    /// Capacity, tokens.
    pub capacity_tokens: u64,
    /// Blocks found / all blocks of the prompts.
    pub hit_rate: f64,
}

impl Curve {
    /// Blocks found at a capacity.
    #[must_use]
    pub fn hits(&self, capacity_blocks: u64) -> u64 {
        let index = self.steps.partition_point(|step| step.distance <= capacity_blocks);
        let Some(step) = index.checked_sub(1).map(|last| self.steps[last]) else { return 0 };
        step.hits_before + (capacity_blocks - step.distance + 1) * step.hits_each
    }

    /// Hit rate at a capacity: blocks found / all blocks of the prompts.
    #[must_use]
    pub fn hit_rate(&self, capacity_blocks: u64) -> f64 {
        ratio(self.hits(capacity_blocks), self.blocks)
    }

    /// All blocks of the prompts.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// The smallest capacity with the hit rate of an infinite cache.
    #[must_use]
    pub fn last_capacity(&self) -> u64 {
        self.capacity(self.hits).unwrap_or(0)
    }

    /// Hit rate of an infinite cache.
    #[must_use]
    pub fn limit(&self) -> f64 {
        ratio(self.hits, self.blocks)
    }

    /// The smallest capacity that finds `hits` blocks; `None` if none does.
    fn capacity(&self, hits: u64) -> Option<u64> {
        if hits == 0 {
            return Some(0);
        }
        let index = self.steps.partition_point(|step| step.hits_before < hits);
        let step = self.steps[index.checked_sub(1)?];
        let more = hits - step.hits_before;
        (step.hits_each > 0 && hits <= self.hits).then(|| step.distance + more.div_ceil(step.hits_each) - 1)
    }

    /// The smallest capacity with at least this hit rate; `None` if none has it.
    #[must_use]
    pub fn capacity_for(&self, hit_rate: f64) -> Option<u64> {
        let hits = (hit_rate * self.blocks as f64).ceil() as u64;
        // The product may be rounded up to one more than the count with exactly this rate.
        let hits = hits - u64::from(hits > 0 && ratio(hits - 1, self.blocks) >= hit_rate);
        self.capacity(hits)
    }

    /// Points of the curve, at most `step` of the hit rate apart; the last is the smallest capacity with the hit rate
    /// of an infinite cache. Also 1, 2, 3 and 5 times each power of ten tokens, and the smallest capacities with 50, 90
    /// and 99 % of the limit.
    #[must_use]
    pub fn points(&self, block_tokens: u32, step: f64) -> Vec<CurvePoint> {
        let block = u64::from(block_tokens);
        let stride = ((step * self.blocks as f64) as u64).max(1);
        let steps = (0..=self.hits / stride).map(|n| n * stride);
        let shares = [0.5, 0.9, 0.99, 1.0].map(|share: f64| (share * self.hits as f64).ceil() as u64);
        let capacities = steps.chain(shares).filter_map(|hits| self.capacity(hits));
        let most = self.last_capacity();
        let decades = std::iter::successors(Some(1_u64), |power| power.checked_mul(10));
        let round = decades.flat_map(|power| [1, 2, 3, 5].map(|times| power.saturating_mul(times) / block));
        let round = round.skip_while(|blocks| *blocks == 0).take_while(|blocks| *blocks < most);
        let mut capacities: Vec<u64> = capacities.chain(round).collect();
        capacities.sort_unstable();
        capacities.dedup();
        let point = |capacity_blocks| CurvePoint {
            capacity_blocks,
            capacity_tokens: capacity_blocks * block,
            hit_rate: self.hit_rate(capacity_blocks),
        };
        capacities.into_iter().map(point).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_and_capacities_match_a_direct_count() {
        let mut distances = Distances::default();
        let adds = [(0, 3), (2, 4), (NEAR - 2, 5), (NEAR + 100, 1), (0, 1)];
        for (after, blocks) in adds {
            distances.add(after, blocks);
        }
        let curve = distances.curve(100);
        for capacity in (0..12).chain(NEAR - 5..NEAR + 110) {
            let hits: u64 = adds.iter().map(|(after, blocks)| capacity.saturating_sub(*after).min(*blocks)).sum();
            assert_eq!(curve.hits(capacity), hits, "at {capacity}");
        }
        for hits in 1..=14 {
            let capacity = curve.capacity_for(f64::from(hits) / 100.0).expect("found in the end");
            assert!(curve.hits(capacity) >= hits as u64 && curve.hits(capacity - 1) < hits as u64);
        }
        assert_eq!(curve.capacity_for(0.141), None);
        assert_eq!(curve.points(16, 0.01).last().map(|p| p.capacity_blocks), Some(NEAR + 101));
    }
}
