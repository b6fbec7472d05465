//! Zipf weights over a finite number of groups.

/// Groups 0, 1, ... G-1 with weight `(k + 1)^-alpha`.
#[derive(Debug, Clone)]
pub struct Zipf {
    /// `cumulative[k]`: share of groups 0 ..= k; the last is 1.
    cumulative: Vec<f64>,
    /// `guide[j]`: first group whose share reaches j / guide.len(); makes a draw O(1) on average.
    guide: Vec<u32>,
}

impl Zipf {
    /// The law for `groups` >= 1 and `alpha` >= 0. Memory: 12 bytes a group.
    #[must_use]
    pub fn new(groups: u32, alpha: f64) -> Self {
        let mut total = 0.0;
        let mut cumulative: Vec<f64> = (1..=groups)
            .map(|k| {
                total += libm::pow(f64::from(k), -alpha);
                total
            })
            .collect();
        for share in &mut cumulative {
            *share /= total;
        }
        let mut guide = Vec::with_capacity(cumulative.len());
        let mut group = 0;
        for j in 0..groups {
            while cumulative[group] < f64::from(j) / f64::from(groups) {
                group += 1;
            }
            guide.push(group as u32);
        }
        Self { cumulative, guide }
    }

    /// The group at `u` in (0, 1).
    #[inline]
    #[must_use]
    pub fn group(&self, u: f64) -> u32 {
        let last = self.cumulative.len() - 1;
        let mut group = self.guide[((u * self.guide.len() as f64) as usize).min(last)] as usize;
        while group < last && self.cumulative[group] < u {
            group += 1;
        }
        group as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guide_equals_search() {
        for (groups, alpha) in [(1, 0.6), (2, 0.0), (100, 0.6), (1_000, 1.2), (1_000, 5.0)] {
            let zipf = Zipf::new(groups, alpha);
            for i in 0..10_000 {
                let u = (f64::from(i) + 0.5) / 10_000.0;
                let searched = zipf.cumulative.partition_point(|c| *c < u).min(groups as usize - 1);
                assert_eq!(zipf.group(u) as usize, searched, "G {groups} alpha {alpha} u {u}");
            }
        }
    }
}
