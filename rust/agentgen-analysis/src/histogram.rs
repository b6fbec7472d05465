//! Mergeable histograms: exact for whole numbers, within 0.05 % for times.
//!
//! `hdrhistogram` does not replace them: its buckets are not exact for large token counts, its mean and deviation are
//! those of bucket midpoints, and it has no Kolmogorov-Smirnov distance. Here merging is exact and independent of the
//! order, so statistics are equal for any number of threads and shards, to the last bit.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Values per page.
const PAGE: usize = 1 << PAGE_BITS;
const PAGE_BITS: u32 = 6;
/// Values from this on are rare; a map holds them.
const PAGED: u64 = 1 << 24;

/// Exact counts of whole numbers: pages allocated on first use, and a map for the largest values. Memory grows with the
/// number of distinct values. Sums are derived from the counts, so results do not depend on the order of additions.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Sparse", into = "Sparse")]
pub(crate) struct Counts {
    pages: Vec<Option<Box<[u64; PAGE]>>>,
    large: BTreeMap<u64, u64>,
}

impl Counts {
    #[inline]
    pub(crate) fn add(&mut self, value: u64, times: u64) {
        if value >= PAGED {
            *self.large.entry(value).or_default() += times;
            return;
        }
        let page = (value >> PAGE_BITS) as usize;
        if page >= self.pages.len() {
            self.pages.resize(page + 1, None);
        }
        self.pages[page].get_or_insert_with(|| Box::new([0; PAGE]))[value as usize % PAGE] += times;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (value, times) in other.iter() {
            self.add(value, times);
        }
    }

    /// `(value, count)` pairs in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        let pages = self.pages.iter().enumerate().filter_map(|(i, page)| page.as_deref().map(|p| (i, p)));
        let paged = pages.flat_map(|(i, page)| {
            let base = (i << PAGE_BITS) as u64;
            page.iter().enumerate().filter(|(_, n)| **n > 0).map(move |(j, n)| (base + j as u64, *n))
        });
        paged.chain(self.large.iter().map(|(value, times)| (*value, *times)))
    }
}

/// The JSON form in `statistics.json`: `(value, count)` pairs.
#[derive(Serialize, Deserialize)]
struct Sparse(Vec<(u64, u64)>);

impl From<Sparse> for Counts {
    fn from(sparse: Sparse) -> Self {
        let mut counts = Self::default();
        for (value, times) in sparse.0 {
            counts.add(value, times);
        }
        counts
    }
}

impl From<Counts> for Sparse {
    fn from(counts: Counts) -> Self {
        Self(counts.iter().collect())
    }
}

/// A histogram of times in tenths of a millisecond, or of other whole numbers: exact below 2048, then 1024 buckets per
/// octave (within 0.05 %). Mean and standard deviation are exact.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Times {
    buckets: Counts,
    sum: u64,
    /// High and low 64 bits of the sum of squares.
    squares: (u64, u64),
}

const EXACT: u64 = 2_048;
const OCTAVE: u64 = EXACT / 2;

impl Times {
    #[inline]
    pub(crate) fn add(&mut self, tenths: u64) {
        self.buckets.add(bucket(tenths), 1);
        self.sum += tenths;
        self.add_squares(u128::from(tenths) * u128::from(tenths));
    }

    fn add_squares(&mut self, squares: u128) {
        let total = self.squares() + squares;
        self.squares = ((total >> 64) as u64, total as u64);
    }

    fn squares(&self) -> u128 {
        u128::from(self.squares.0) << 64 | u128::from(self.squares.1)
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.buckets.merge(&other.buckets);
        self.sum += other.sum;
        self.add_squares(other.squares());
    }
}

#[inline]
fn bucket(tenths: u64) -> u64 {
    if tenths < EXACT {
        return tenths;
    }
    let shift = u64::from(tenths.ilog2() - EXACT.ilog2() + 1);
    shift * OCTAVE + (tenths >> shift)
}

/// The midpoint of a bucket, in tenths.
fn middle(bucket: u64) -> f64 {
    if bucket < EXACT {
        return bucket as f64;
    }
    let shift = bucket / OCTAVE - 1;
    let low = (bucket - shift * OCTAVE) << shift;
    low as f64 + ((1u64 << shift) - 1) as f64 / 2.0
}

/// Count, mean, population standard deviation and percentiles (interpolated linearly between ranks).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Observed {
    /// Number of values.
    pub count: u64,
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub std: f64,
    /// 50th percentile.
    pub median: f64,
    /// 5th percentile.
    pub p05: f64,
    /// 25th percentile.
    pub p25: f64,
    /// 75th percentile.
    pub p75: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
}

impl Counts {
    /// Summary of the values times `unit`; `None` if empty.
    pub(crate) fn observed(&self, unit: f64) -> Option<Observed> {
        let (mut sum, mut squares) = (0u128, 0u128);
        for (value, times) in self.iter() {
            sum += u128::from(value) * u128::from(times);
            squares += u128::from(value) * u128::from(value) * u128::from(times);
        }
        let ranks: Vec<(f64, u64)> = self.iter().map(|(value, times)| (value as f64, times)).collect();
        observed(&ranks, sum, squares, unit)
    }

    /// Two-sample Kolmogorov-Smirnov distance; `None` if either is empty.
    pub(crate) fn distance(&self, other: &Self) -> Option<f64> {
        let total = |counts: &Self| counts.iter().map(|(_, times)| times).sum::<u64>();
        let (ours, theirs) = (total(self), total(other));
        if ours == 0 || theirs == 0 {
            return None;
        }
        let (mut a, mut b) = (self.iter().peekable(), other.iter().peekable());
        let (mut seen, mut other_seen, mut distance) = (0, 0, 0.0_f64);
        while let (Some(&(x, n)), Some(&(y, m))) = (a.peek(), b.peek()) {
            if x <= y {
                seen += n;
                a.next();
            }
            if y <= x {
                other_seen += m;
                b.next();
            }
            let difference = seen as f64 / ours as f64 - other_seen as f64 / theirs as f64;
            distance = distance.max(difference.abs());
        }
        Some(distance)
    }
}

impl Times {
    /// [`Counts::distance`] of the buckets.
    pub(crate) fn distance(&self, other: &Self) -> Option<f64> {
        self.buckets.distance(&other.buckets)
    }

    /// `(time, count)` pairs in ascending order, in tenths of a millisecond.
    pub(crate) fn tenths(&self) -> impl Iterator<Item = (u64, u64)> {
        self.buckets.iter().map(|(bucket, times)| (middle(bucket) as u64, times))
    }

    /// Number of values.
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, times)| times).sum()
    }

    /// The quantiles at `shares`, interpolated linearly between ranks; `None` if empty.
    pub(crate) fn quantiles<const N: usize>(&self, shares: [f64; N]) -> Option<[f64; N]> {
        let ranks: Vec<(f64, u64)> = self.buckets.iter().map(|(b, times)| (middle(b), times)).collect();
        let count = self.count();
        (count > 0).then(|| shares.map(|share| quantile(&ranks, count, share)))
    }

    /// Summary in milliseconds.
    pub(crate) fn observed_ms(&self) -> Option<Observed> {
        let ranks: Vec<(f64, u64)> = self.buckets.iter().map(|(b, times)| (middle(b), times)).collect();
        observed(&ranks, u128::from(self.sum), self.squares(), 0.1)
    }
}

fn observed(ranks: &[(f64, u64)], sum: u128, squares: u128, unit: f64) -> Option<Observed> {
    let count: u64 = ranks.iter().map(|(_, times)| times).sum();
    if count == 0 {
        return None;
    }
    let n = u128::from(count);
    // n * sum of squares - (sum)^2 in integers: no cancellation.
    let variance = (n * squares).saturating_sub(sum * sum) as f64 / (n as f64 * n as f64);
    let percentile = |share: f64| quantile(ranks, count, share) * unit;
    Some(Observed {
        count,
        mean: sum as f64 / n as f64 * unit,
        std: variance.sqrt() * unit,
        median: percentile(0.5),
        p05: percentile(0.05),
        p25: percentile(0.25),
        p75: percentile(0.75),
        p95: percentile(0.95),
        p99: percentile(0.99),
    })
}

/// The quantile at `share`, interpolated linearly between ranks.
fn quantile(ranks: &[(f64, u64)], count: u64, share: f64) -> f64 {
    let rank = share * (count - 1) as f64;
    let (low, high) = (value_at(ranks, rank.floor() as u64), value_at(ranks, rank.ceil() as u64));
    low + (high - low) * rank.fract()
}

/// The value at a 0-based rank.
fn value_at(ranks: &[(f64, u64)], rank: u64) -> f64 {
    let mut seen = 0;
    for (value, times) in ranks {
        seen += times;
        if rank < seen {
            return *value;
        }
    }
    ranks.last().map_or(f64::NAN, |(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_of_whole_numbers_are_exact() {
        let mut counts = Counts::default();
        let values: Vec<u64> = (0..1_000).map(|i| i * i % 7_919 * if i % 7 == 0 { 100_003 } else { 1 }).collect();
        for value in &values {
            counts.add(*value, 1);
        }
        let mut sorted = values.clone();
        sorted.sort_unstable();
        let observed = counts.observed(1.0).expect("not empty");
        assert_eq!(observed.count, 1_000);
        assert!((observed.mean - values.iter().sum::<u64>() as f64 / 1e3).abs() < 1e-9);
        assert_eq!(observed.median, (sorted[499] + sorted[500]) as f64 / 2.0);
        let p05 = sorted[49] as f64 + 0.95 * (sorted[50] - sorted[49]) as f64;
        assert!((observed.p05 / p05 - 1.0).abs() < 1e-12);
    }

    #[test]
    fn buckets_are_ordered_and_within_their_precision() {
        let mut last = 0;
        for tenths in (0..5_000_000u64).step_by(7).chain([u64::from(u32::MAX), 21_474_836_470]) {
            let bucket = bucket(tenths);
            assert!(bucket >= last);
            last = bucket;
            let error = (middle(bucket) - tenths as f64).abs();
            assert!(error <= tenths as f64 * 5e-4, "{tenths}: {error}");
        }
    }

    #[test]
    fn merging_does_not_depend_on_the_order() {
        let (mut a, mut b, mut all) = (Times::default(), Times::default(), Times::default());
        for i in 0..10_000u64 {
            let tenths = i * 7_919 % 1_200_000;
            if i % 3 == 0 { &mut a } else { &mut b }.add(tenths);
            all.add(tenths);
        }
        b.merge(&a);
        assert_eq!(b.observed_ms(), all.observed_ms());
        let text = serde_json::to_string(&b).expect("plain data");
        let back: Times = serde_json::from_str(&text).expect("its own form");
        assert_eq!(back.observed_ms(), all.observed_ms());
    }
}
