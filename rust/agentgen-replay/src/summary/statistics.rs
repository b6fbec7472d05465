//! Statistics of many values, with exact percentiles.

use schemars::JsonSchema;
use serde::Serialize;

use crate::durations::Durations;

const NS_PER_MS: f64 = 1e6;

/// Statistics in the unit that the figure's name ends with. The percentile p is the smallest value such that p % of the
/// values are at most that (nearest rank, so it is always one of the values).
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Statistics {
    /// Number of values.
    pub count: u64,
    /// Arithmetic mean.
    pub mean: f64,
    /// Minimum.
    pub min: f64,
    /// Maximum.
    pub max: f64,
    /// 1st percentile.
    pub p1: f64,
    /// 5th percentile.
    pub p5: f64,
    /// 10th percentile.
    pub p10: f64,
    /// 25th percentile.
    pub p25: f64,
    /// 50th percentile.
    pub p50: f64,
    /// 75th percentile.
    pub p75: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p99_9: f64,
}

/// The rank, from 1, of a percentile in thousandths.
pub(super) fn rank(thousandths: u64, count: u64) -> u64 {
    (u128::from(thousandths) * u128::from(count)).div_ceil(1000).max(1) as u64
}

/// A percentile, in thousandths, of values in ascending order; `None` without values.
pub(super) fn percentile(sorted: &[f64], thousandths: u64) -> Option<f64> {
    sorted.get(rank(thousandths, sorted.len() as u64) as usize - 1).copied()
}

impl Statistics {
    /// Statistics of values; `None` without any.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
        let at = |rank: u64| sorted[rank as usize - 1];
        Some(Self::at_ranks(sorted.len() as u64, mean, (min, max), at))
    }

    /// Statistics of durations, in milliseconds; percentiles within 1/256 of their value.
    #[must_use]
    pub fn of_durations(durations: &Durations) -> Option<Self> {
        let (min, max) = durations.range()?;
        let mean = durations.sum() as f64 / durations.count() as f64 / NS_PER_MS;
        let ms = |nanoseconds: u64| nanoseconds as f64 / NS_PER_MS;
        let at = |rank| ms(durations.at_rank(rank).unwrap_or(max));
        Some(Self::at_ranks(durations.count(), mean, (ms(min), ms(max)), at))
    }

    fn at_ranks(count: u64, mean: f64, (min, max): (f64, f64), at: impl Fn(u64) -> f64) -> Self {
        let p = |thousandths| at(rank(thousandths, count));
        Self {
            count,
            mean,
            min,
            max,
            p1: p(10),
            p5: p(50),
            p10: p(100),
            p25: p(250),
            p50: p(500),
            p75: p(750),
            p90: p(900),
            p95: p(950),
            p99: p(990),
            p99_9: p(999),
        }
    }
}

/// Nanoseconds as milliseconds.
pub(super) fn ms(nanoseconds: i64) -> f64 {
    nanoseconds as f64 / NS_PER_MS
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The definition as documented.
        #[test]
        fn a_percentile_is_the_smallest_value_with_enough_values_at_or_below(
            values in prop::collection::vec(-1e9..1e9_f64, 1..300),
            thousandths in 1..=1000_u64,
        ) {
            let mut sorted = values;
            sorted.sort_unstable_by(f64::total_cmp);
            let enough = |value: f64| {
                let below = sorted.iter().filter(|&&other| other <= value).count() as u64;
                below * 1000 >= thousandths * sorted.len() as u64
            };
            let expected = sorted.iter().copied().find(|&value| enough(value));
            prop_assert_eq!(percentile(&sorted, thousandths), expected);
        }
    }

    #[test]
    fn statistics_of_the_first_thousand_numbers() {
        let statistics = Statistics::of((1..=1000).rev().map(f64::from)).unwrap();
        assert_eq!((statistics.count, statistics.mean, statistics.min, statistics.max), (1000, 500.5, 1.0, 1000.0));
        assert_eq!((statistics.p1, statistics.p50, statistics.p99, statistics.p99_9), (10.0, 500.0, 990.0, 999.0));
        assert_eq!(Statistics::of([]), None);
        let one = Statistics::of([3.0]).unwrap();
        assert_eq!((one.p1, one.p99_9), (3.0, 3.0));
    }

    #[test]
    fn sums_of_long_durations_do_not_overflow() {
        let mut durations = Durations::default();
        (0..10_000).for_each(|_| durations.add(5_000_000_000_000));
        let statistics = Statistics::of_durations(&durations).unwrap();
        assert_eq!((statistics.mean, statistics.p50), (5_000_000.0, 5_000_000.0));
    }
}
