//! Mergeable histograms: exact for whole numbers, within 0.05 % for times.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Values on one page.
const PAGE: usize = 1 << PAGE_BITS;
const PAGE_BITS: u32 = 6;
/// Values from here on are rare, and kept one by one.
const PAGED: u64 = 1 << 24;

/// Counts of whole numbers: pages that exist once they are needed, and a map for the largest values. Memory follows
/// the values seen, not their number or their size. Sums are derived from the counts, so nothing depends on the order
/// of additions.
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

    /// Values and how often they occurred, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        let pages = self.pages.iter().enumerate().filter_map(|(i, page)| page.as_deref().map(|p| (i, p)));
        let paged = pages.flat_map(|(i, page)| {
            let base = (i << PAGE_BITS) as u64;
            page.iter().enumerate().filter(|(_, n)| **n > 0).map(move |(j, n)| (base + j as u64, *n))
        });
        paged.chain(self.large.iter().map(|(value, times)| (*value, *times)))
    }
}

/// The form in `statistics.json`.
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

/// Times in tenths of a millisecond (or other whole numbers): exact below 2048, then 1024 buckets an octave; mean and deviation exact.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Times {
    buckets: Counts,
    sum: u64,
    /// High and low half of the sum of squares.
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

/// The middle of a bucket, in tenths.
fn middle(bucket: u64) -> f64 {
    if bucket < EXACT {
        return bucket as f64;
    }
    let shift = bucket / OCTAVE - 1;
    let low = (bucket - shift * OCTAVE) << shift;
    low as f64 + ((1u64 << shift) - 1) as f64 / 2.0
}

/// Count, mean, standard deviation (of the population) and percentiles (linear between ranks).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Observed {
    /// How many values.
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
    /// Summary of the values, each multiplied by `unit`; `None` when there are none.
    pub(crate) fn observed(&self, unit: f64) -> Option<Observed> {
        let (mut sum, mut squares) = (0u128, 0u128);
        for (value, times) in self.iter() {
            sum += u128::from(value) * u128::from(times);
            squares += u128::from(value) * u128::from(value) * u128::from(times);
        }
        let ranks: Vec<(f64, u64)> = self.iter().map(|(value, times)| (value as f64, times)).collect();
        observed(&ranks, sum, squares, unit)
    }
}

impl Counts {
    /// Two-sample Kolmogorov-Smirnov distance; `None` if a side is empty.
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
    /// As [`Counts::distance`], over the buckets.
    pub(crate) fn distance(&self, other: &Self) -> Option<f64> {
        self.buckets.distance(&other.buckets)
    }

    /// Times by bucket, in tenths of a millisecond, ascending.
    pub(crate) fn tenths(&self) -> impl Iterator<Item = (u64, u64)> {
        self.buckets.iter().map(|(bucket, times)| (middle(bucket) as u64, times))
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, times)| times).sum()
    }

    /// The values at these shares of the ranks, linear between; `None` when there are none.
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
    // n * sum of squares - (sum)^2 in whole numbers: no cancellation.
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

/// The value at a share of the ranks, linear between two.
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
    fn whole_numbers_are_exact() {
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
    fn buckets_are_ordered_and_narrow() {
        let mut last = 0;
        for tenths in (0..5_000_000u64).step_by(7).chain([u64::from(u32::MAX), 21_474_836_470]) {
            let bucket = bucket(tenths);
            assert!(bucket >= last);
            last = bucket;
            let miss = (middle(bucket) - tenths as f64).abs();
            assert!(miss <= tenths as f64 * 5e-4, "{tenths}: {miss}");
        }
    }

    #[test]
    fn merging_in_any_order_is_the_same() {
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
