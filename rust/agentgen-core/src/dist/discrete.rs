//! Inversion of a tabulated cumulative distribution: one lookup in a guide table, then a short linear search.

/// A distribution on 0, 1, 2, ...
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Discrete {
    /// `cumulative[k]`: P(X <= k); the last entry is 1.
    cumulative: Vec<f64>,
    /// `guide[j]`: the first value k with P(X <= k) > `j / guide.len()`, where the search of a draw starts.
    guide: Vec<u32>,
}

impl Discrete {
    /// From 1 to 2^32 cumulative probabilities in ascending order. Takes 12 bytes per value.
    pub(super) fn new(cumulative: Vec<f64>) -> Self {
        let count = cumulative.len();
        let mut value = 0;
        let mut guide = Vec::with_capacity(count);
        for j in 0..count {
            while value + 1 < count && cumulative[value] <= j as f64 / count as f64 {
                value += 1;
            }
            guide.push(value as u32);
        }
        Self { cumulative, guide }
    }

    /// The quantile at `u` in (0, 1).
    #[inline]
    pub(super) fn at(&self, u: f64) -> u32 {
        let last = self.cumulative.len() - 1;
        let mut value = self.guide[((u * self.guide.len() as f64) as usize).min(last)] as usize;
        while value < last && self.cumulative[value] <= u {
            value += 1;
        }
        value as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guided_search_finds_what_a_binary_search_finds() {
        for shares in [vec![1.0], vec![0.1, 0.1, 1.0], (1..=1_000).map(|k| (f64::from(k) / 1e3).powi(9)).collect()] {
            let dist = Discrete::new(shares.clone());
            for i in 0..10_000 {
                let u = (f64::from(i) + 0.5) / 10_000.0;
                let searched = shares.partition_point(|c| *c <= u).min(shares.len() - 1);
                assert_eq!(dist.at(u) as usize, searched, "{u}");
            }
        }
    }
}
