//! Histograms for figures. The bin edges do not depend on the data, so histograms of two traces can be overlaid.

use std::collections::BTreeMap;

use agentgen_core::{DatasetSpec, Quantity};
use schemars::JsonSchema;
use serde::Serialize;

use crate::histogram::{Counts, Times};

/// The lower edges of the forty bins of a decade, with equal ratios, in units of 1e-5.
const DECADE: [u64; 40] = [
    100_000, 105_925, 112_202, 118_850, 125_893, 133_352, 141_254, 149_624, 158_489, 167_880, 177_828, 188_365,
    199_526, 211_349, 223_872, 237_137, 251_189, 266_073, 281_838, 298_538, 316_228, 334_965, 354_813, 375_837,
    398_107, 421_697, 446_684, 473_151, 501_187, 530_884, 562_341, 595_662, 630_957, 668_344, 707_946, 749_894,
    794_328, 841_395, 891_251, 944_061,
];

/// Values up to this have a bin each.
pub(crate) const UNIT_BINS: u64 = 20;
/// Numbers of turns up to this have a bin each.
pub(crate) const TURN_BINS: u64 = 100;

/// A histogram, with the shares that the configured distributions give.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Histogram {
    /// Bin `i` holds the values from `edges[i]` to below `edges[i + 1]`: one integer per bin at first, then forty bins
    /// per decade. From the first non-empty bin to the last.
    pub edges: Vec<f64>,
    /// Number of values in each bin; of delays, a value within 0.05 % of an edge may count in the bin beside it.
    pub counts: Vec<u64>,
    /// Expected share of the values in each bin, before turns are dropped at the context limit: `target`, and for
    /// delays its components `agentic` and `human`. Empty if the distribution is not known.
    pub expected: BTreeMap<String, Vec<f64>>,
}

/// The configured distribution that a histogram is compared with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Expected {
    /// The distribution of a quantity.
    Of(Quantity),
    /// The mixture of both kinds of delay.
    Delays,
}

impl Counts {
    /// The histogram, with one bin per value up to `unit_bins`, at least 20.
    pub(crate) fn histogram(&self, unit_bins: u64) -> Histogram {
        binned(self.iter(), unit_bins, 1.0)
    }
}

impl Times {
    /// The histogram, with edges in milliseconds.
    pub(crate) fn histogram_ms(&self) -> Histogram {
        binned(self.tenths(), UNIT_BINS, 0.1)
    }
}

impl Histogram {
    /// Adds the expected shares of a generated data set.
    pub(crate) fn with_expected(mut self, spec: Option<&DatasetSpec>, expected: Expected) -> Self {
        let Some(spec) = spec else { return self };
        let mut add = |name: &str, below: &dyn Fn(f64) -> Option<f64>| {
            let shares = self.edges.windows(2).map(|edge| Some(below(edge[1])? - below(edge[0])?)).collect();
            if let Some(shares) = shares {
                self.expected.insert(name.to_owned(), shares);
            }
        };
        match expected {
            Expected::Of(quantity) => add("target", &|value| spec.share_below(quantity, value)),
            Expected::Delays => {
                let Some(delay) = &spec.config().inter_turn_delay else { return self };
                let agentic = delay.agentic_fraction;
                let tool = |value| Some(agentic * spec.share_below(Quantity::AgenticDelay, value)?);
                let person = |value| Some((1.0 - agentic) * spec.share_below(Quantity::HumanDelay, value)?);
                add("agentic", &tool);
                add("human", &person);
                add("target", &|value| Some(tool(value)? + person(value)?));
            }
        }
        self
    }
}

/// Bins ascending `(value, count)` pairs; edges are multiplied by `unit`.
fn binned(values: impl Iterator<Item = (u64, u64)>, unit_bins: u64, unit: f64) -> Histogram {
    let decades = (0..14_u32).flat_map(|power| DECADE.map(|edge| (edge * 10_u64.pow(power)).div_ceil(100_000)));
    let mut edges = (0..=unit_bins).chain(decades.filter(|edge| *edge > unit_bins));
    let mut histogram = Histogram::default();
    let (mut low, mut high) = (0, edges.next().unwrap_or_default());
    for (value, n) in values {
        while value >= high {
            let Some(next) = edges.next() else { break };
            (low, high) = (high, next);
            if !histogram.edges.is_empty() {
                histogram.edges.push(high as f64 * unit);
                histogram.counts.push(0);
            }
        }
        if histogram.edges.is_empty() {
            histogram.edges.extend([low as f64 * unit, high as f64 * unit]);
            histogram.counts.push(0);
        }
        if let Some(count) = histogram.counts.last_mut() {
            *count += n;
        }
    }
    histogram
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_its_bin() {
        let mut counts = Counts::default();
        let values: Vec<u64> = (0..3_000).map(|i| 3 + i * i * 7 % 90_001).collect();
        for value in &values {
            counts.add(*value, 1);
        }
        let histogram = counts.histogram(UNIT_BINS);
        assert_eq!(histogram.counts.len() + 1, histogram.edges.len());
        assert!(histogram.edges.is_sorted_by(|a, b| a < b));
        assert_eq!(&histogram.edges[..5], [3.0, 4.0, 5.0, 6.0, 7.0]);
        for (edge, count) in histogram.edges.windows(2).zip(&histogram.counts) {
            let inside = values.iter().filter(|v| edge[0] <= **v as f64 && (**v as f64) < edge[1]).count();
            assert_eq!(*count, inside as u64, "{edge:?}");
        }
        assert_eq!(histogram.counts.iter().sum::<u64>(), 3_000);
        assert_eq!(Counts::default().histogram(UNIT_BINS), Histogram::default());
    }

    #[test]
    fn there_are_forty_bins_per_decade() {
        let mut counts = Counts::default();
        counts.add(1_000, 1);
        counts.add(99_999, 1);
        let edges = counts.histogram(UNIT_BINS).edges;
        assert_eq!((edges.len(), edges[0], edges[80]), (81, 1_000.0, 100_000.0));
        let ratios = edges.windows(2).map(|e| e[1] / e[0]);
        assert!(ratios.into_iter().all(|ratio| (1.057..1.062).contains(&ratio)));
    }
}
