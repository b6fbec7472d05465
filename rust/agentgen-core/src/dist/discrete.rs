//! Drawing from a table of cumulative shares: one look into a guide, then a step or two.

/// Shares of 0, 1, 2, ...
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Discrete {
    /// `cumulative[k]`: share of the values up to k; the last is 1.
    cumulative: Vec<f64>,
    /// `guide[j]`: the first value whose share exceeds `j / guide.len()`, so that a draw starts next to its answer.
    guide: Vec<u32>,
}

impl Discrete {
    /// From cumulative shares: ascending, at least one, at most 2^32. Memory: 12 bytes a value.
    pub(super) fn new(cumulative: Vec<f64>) -> Self {
        let count = cumulative.len();
        let mut value = 0;
        let guide = (0..count)
            .map(|j| {
                while value + 1 < count && cumulative[value] <= j as f64 / count as f64 {
                    value += 1;
                }
                value as u32
            })
            .collect();
        Self { cumulative, guide }
    }

    /// The value at `u` in (0, 1).
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
    fn the_guide_leads_to_what_a_search_finds() {
        for shares in [vec![1.0], vec![0.1, 0.1, 1.0], (1..=1_000).map(|k| (f64::from(k) / 1e3).powi(9)).collect()] {
            let law = Discrete::new(shares.clone());
            for i in 0..10_000 {
                let u = (f64::from(i) + 0.5) / 10_000.0;
                let searched = shares.partition_point(|c| *c <= u).min(shares.len() - 1);
                assert_eq!(law.at(u) as usize, searched, "{u}");
            }
        }
    }
}
