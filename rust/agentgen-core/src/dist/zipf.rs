//! The Zipf distribution over a finite number of groups.

use super::discrete::Discrete;

/// A distribution over the groups `k` = 0, 1, ..., with weights `(k + 1)^-alpha`.
#[derive(Debug, Clone)]
pub struct Zipf(Discrete);

impl Zipf {
    /// The distribution over `groups` >= 1 with exponent `alpha` >= 0. Takes 12 bytes per group.
    #[must_use]
    pub fn new(groups: u32, alpha: f64) -> Self {
        let mut total = 0.0;
        let sums = (1..=groups).map(|k| {
            total += libm::pow(f64::from(k), -alpha);
            total
        });
        let mut cumulative: Vec<f64> = sums.collect();
        for share in &mut cumulative {
            *share /= total;
        }
        Self(Discrete::new(cumulative))
    }

    /// The group at quantile `u` in (0, 1).
    #[inline]
    #[must_use]
    pub fn group(&self, u: f64) -> u32 {
        self.0.at(u)
    }
}
