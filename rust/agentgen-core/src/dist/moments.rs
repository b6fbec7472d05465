//! Exact moments of a law after rounding down to whole tokens and after its floor and cap.

use super::lognormal::Lognormal;

/// Up to this many integers in the region where the law lives, their probabilities are summed one by one.
const SUMMED: f64 = 2_048.0;
/// Where the region is wider, this many of the lowest integers still are: the density bends most there.
const HEAD: f64 = 256.0;

/// Mean of `clamp(floor(X), low, cap)`.
pub(super) fn mean_of_floor(law: &Lognormal, low: u32, cap: u32) -> f64 {
    // E = low + sum over k in (low, cap] of P(X >= k)
    f64::from(low) + sum_of_survival(law, f64::from(low), f64::from(cap))
}

/// Mean of `min(X, clip)`.
pub(super) fn mean_of_clipped(law: &Lognormal, clip: f64) -> f64 {
    let above = if clip.is_finite() { clip * law.survival(clip) } else { 0.0 };
    law.partial_mean(clip) + above
}

/// Sum of P(X >= k) over the integers k in (a, b].
fn sum_of_survival(law: &Lognormal, a: f64, b: f64) -> f64 {
    if a >= b {
        return 0.0;
    }
    // Nine standard deviations hold all of the law, unless cuts leave only what lies beyond them.
    let (spread, centre) = (libm::exp(9.0 * law.sigma()), libm::exp(law.mu()));
    let (min, max) = law.bounds();
    let region = centre / spread..=centre * spread;
    let (from, to) = if region.contains(&law.median()) { (*region.start(), *region.end()) } else { (min, max) };
    // Below `left` survival is 1, above `right` it is 0, to the last bit.
    let left = from.max(min).floor().clamp(a, b);
    let right = to.min(max).ceil().clamp(left, b);
    let certain = left - a;
    if right - left <= SUMMED {
        return certain + sum_each(law, left, right);
    }
    let head = left + HEAD;
    certain + sum_each(law, left, head) + sum_smooth(law, head, right)
}

fn sum_each(law: &Lognormal, a: f64, b: f64) -> f64 {
    let mut k = a;
    let mut sum = 0.0;
    while k < b {
        k += 1.0;
        sum += law.survival(k);
    }
    sum
}

/// Euler-Maclaurin with its first correction: the integral of survival plus half of the ends' difference.
fn sum_smooth(law: &Lognormal, a: f64, b: f64) -> f64 {
    let (at_a, at_b) = (law.survival(a), law.survival(b));
    let integral = b * at_b - a * at_a + law.partial_mean(b) - law.partial_mean(a);
    integral + (at_b - at_a) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_of_floor_is_the_mean_of_draws() {
        let unbounded = f64::INFINITY;
        for (mu, sigma, min, max, low, cap) in [
            (9.6, 0.5, 0.0, 30_000.0, 1, 134_743),
            (6.9, 0.3, 0.0, 1_500.0, 30, i32::MAX as u32),
            (8.5, 1.0, 0.0, unbounded, 1, i32::MAX as u32),
            (0.5, 1.5, 0.0, unbounded, 1, 20),
            (3.0, 0.01, 0.0, unbounded, 1, 1_000),
            (14.0, 0.5, 0.0, 9_000.0, 1, 5_000),
        ] {
            let law = Lognormal::new(mu, sigma, min, max).expect("has mass");
            let n = 400_000;
            let sum: f64 = (0..n)
                .map(|i| {
                    law.quantile((f64::from(i) + 0.5) / f64::from(n)).floor().clamp(f64::from(low), f64::from(cap))
                })
                .sum();
            let (drawn, exact) = (sum / f64::from(n), mean_of_floor(&law, low, cap));
            assert!((drawn / exact - 1.0).abs() < 2e-4, "mu {mu} sigma {sigma}: {drawn} {exact}");
        }
    }

    #[test]
    fn a_table_draws_what_inversion_draws() {
        use super::super::law::TokenCountDist;
        use crate::rng::{Purpose, Streams};
        let law = Lognormal::new(8.7, 0.9, 0.0, 30_000.0).expect("has mass");
        let lengths = TokenCountDist::new(law.clone(), 30, 20_000);
        let mut drawn = Streams::new(1).stream(Purpose::Content, 0);
        let mut uniform = drawn.clone();
        for _ in 0..100_000 {
            let expected = (law.quantile(uniform.uniform()) as u32).clamp(30, 20_000);
            assert_eq!(lengths.draw(&mut drawn), expected);
        }
    }

    #[test]
    fn smooth_sum_equals_the_sum() {
        let law = Lognormal::new(8.7, 0.4, 0.0, 10_000.0).expect("has mass");
        let (smooth, each) = (sum_smooth(&law, 256.0, 10_000.0), sum_each(&law, 256.0, 10_000.0));
        assert!((smooth - each).abs() < 1e-3, "{smooth} {each}");
    }
}
