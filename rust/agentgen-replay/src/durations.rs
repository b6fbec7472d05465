//! A sparse log-linear histogram of durations: 128 buckets an octave.
//!
//! Not hdrhistogram, because a record holds one histogram for each request, and that crate would lose what records and
//! `docs/replay-metrics.md` promise: exact sum, minimum and maximum (it derives all three from buckets), percentiles
//! within 1/256 in some bytes of readable JSON (its dense counters for nanoseconds take about 30 KB per request in memory,
//! and its serialized form is binary).

use serde::{Deserialize, Serialize};

/// Buckets of each octave; below twice that many nanoseconds each value has a bucket of its own.
const STEPS: u64 = 128;

/// Durations in nanoseconds: exact count, sum, minimum and maximum; percentiles within 1/256 of their value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durations {
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
    /// Non-empty buckets in ascending order: number of the bucket, durations in it.
    buckets: Vec<(u16, u32)>,
}

impl Durations {
    /// Adds a duration.
    pub fn add(&mut self, nanoseconds: u64) {
        self.widen(nanoseconds, nanoseconds);
        self.count += 1;
        self.sum = self.sum.saturating_add(nanoseconds);
        self.put(bucket(nanoseconds), 1);
    }

    /// Adds all durations of another histogram.
    pub fn merge(&mut self, other: &Self) {
        if other.count > 0 {
            self.widen(other.min, other.max);
            self.count += other.count;
            self.sum = self.sum.saturating_add(other.sum);
            other.buckets.iter().for_each(|&(bucket, count)| self.put(bucket, count));
        }
    }

    fn widen(&mut self, low: u64, high: u64) {
        self.min = if self.count == 0 { low } else { self.min.min(low) };
        self.max = self.max.max(high);
    }

    fn put(&mut self, bucket: u16, more: u32) {
        match self.buckets.binary_search_by_key(&bucket, |&(number, _)| number) {
            Ok(at) => self.buckets[at].1 = self.buckets[at].1.saturating_add(more),
            Err(at) => self.buckets.insert(at, (bucket, more)),
        }
    }

    /// Number of durations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum, nanoseconds.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// Minimum and maximum, nanoseconds; `None` if empty.
    #[must_use]
    pub fn range(&self) -> Option<(u64, u64)> {
        (self.count > 0).then_some((self.min, self.max))
    }

    /// The duration at a rank, from 1 for the minimum: the middle of its bucket, clamped to the range.
    #[must_use]
    pub fn at_rank(&self, rank: u64) -> Option<u64> {
        let mut below = 0;
        let found = self.buckets.iter().find(|&&(_, count)| {
            below += u64::from(count);
            below >= rank
        });
        found.map(|&(bucket, _)| middle(bucket).clamp(self.min, self.max))
    }
}

fn bucket(nanoseconds: u64) -> u16 {
    let shift = u64::from((u64::BITS - nanoseconds.leading_zeros()).saturating_sub(STEPS.ilog2() + 1));
    (shift * STEPS + (nanoseconds >> shift)) as u16
}

fn middle(bucket: u16) -> u64 {
    let bucket = u64::from(bucket);
    let shift = (bucket / STEPS).saturating_sub(1);
    let low = (bucket - shift * STEPS) << shift;
    low + ((1 << shift) >> 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_middle_of_a_bucket_is_within_a_256th_of_its_values(value: u64) {
            let middle = middle(bucket(value));
            prop_assert!(middle.abs_diff(value) <= value / 256, "{value} in a bucket around {middle}");
        }

        #[test]
        fn merging_equals_adding_one_by_one(
            one in prop::collection::vec(0_u64..1 << 40, 0..50),
            two in prop::collection::vec(0_u64..1 << 40, 0..50),
        ) {
            let of = |values: &[u64]| {
                let mut durations = Durations::default();
                for &value in values {
                    durations.add(value);
                }
                durations
            };
            let mut merged = of(&one);
            merged.merge(&of(&two));
            let mut all = [one, two].concat();
            prop_assert_eq!(&merged, &of(&all));
            all.sort_unstable();
            for (at, &value) in all.iter().enumerate() {
                let estimate = merged.at_rank(at as u64 + 1).expect("a rank within");
                prop_assert!(estimate.abs_diff(value) <= value / 256);
            }
        }
    }

    #[test]
    fn an_empty_histogram_has_no_figures() {
        assert_eq!((Durations::default().range(), Durations::default().at_rank(1)), (None, None));
    }
}
