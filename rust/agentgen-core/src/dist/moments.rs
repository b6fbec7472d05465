//! Exact means of a lognormal after rounding, clamping and clipping.

use super::lognormal::Lognormal;

/// The survival function is summed integer by integer over at most this many integers.
const MAX_SUMMED: f64 = 2_048.0;
/// Over wider ranges only this many of the lowest integers are summed one by one, where the density bends most.
const HEAD: f64 = 256.0;

/// Mean of `clamp(floor(X), low, cap)`.
pub(super) fn mean_of_floor(dist: &Lognormal, low: u32, cap: u32) -> f64 {
    // E = low + sum over k in (low, cap] of P(X >= k)
    f64::from(low) + sum_of_survival(dist, f64::from(low), f64::from(cap))
}

/// Mean of `clamp(round(X), low, cap)`.
pub(super) fn mean_of_rounded(dist: &Lognormal, low: u32, cap: u32) -> f64 {
    // E = low + sum over k in (low, cap] of P(X >= k - 1/2)
    let (low, cap) = (f64::from(low), f64::from(cap));
    let head = cap.min(low + MAX_SUMMED);
    let (mut k, mut mean) = (low, low);
    while k < head {
        mean += dist.survival(k + 0.5);
        k += 1.0;
    }
    // The rest is a midpoint sum, so the integral from `head` to `cap`.
    if head < cap {
        mean +=
            cap * dist.survival(cap) - head * dist.survival(head) + dist.partial_mean(cap) - dist.partial_mean(head);
    }
    mean
}

/// Mean of `min(X, clip)`.
pub(super) fn mean_of_clipped(dist: &Lognormal, clip: f64) -> f64 {
    let above = if clip.is_finite() { clip * dist.survival(clip) } else { 0.0 };
    dist.partial_mean(clip) + above
}

/// Sum of P(X >= k) over the integers k in (a, b].
fn sum_of_survival(dist: &Lognormal, a: f64, b: f64) -> f64 {
    if a >= b {
        return 0.0;
    }
    // All probability lies within nine standard deviations, unless truncation leaves only values beyond them.
    let (spread, center) = (libm::exp(9.0 * dist.sigma()), libm::exp(dist.mu()));
    let (min, max) = dist.bounds();
    let region = center / spread..=center * spread;
    let (from, to) = if region.contains(&dist.median()) { (*region.start(), *region.end()) } else { (min, max) };
    // In f64, survival is exactly 1 below `left` and exactly 0 above `right`.
    let left = from.max(min).floor().clamp(a, b);
    let right = to.min(max).ceil().clamp(left, b);
    let certain = left - a;
    if right - left <= MAX_SUMMED {
        return certain + sum_each(dist, left, right);
    }
    let head = left + HEAD;
    certain + sum_each(dist, left, head) + sum_smooth(dist, head, right)
}

fn sum_each(dist: &Lognormal, a: f64, b: f64) -> f64 {
    let mut k = a;
    let mut sum = 0.0;
    while k < b {
        k += 1.0;
        sum += dist.survival(k);
    }
    sum
}

/// Euler-Maclaurin summation with the first correction term.
fn sum_smooth(dist: &Lognormal, a: f64, b: f64) -> f64 {
    let (at_a, at_b) = (dist.survival(a), dist.survival(b));
    let integral = b * at_b - a * at_a + dist.partial_mean(b) - dist.partial_mean(a);
    integral + (at_b - at_a) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_of_floor_equals_the_mean_of_draws() {
        let unbounded = f64::INFINITY;
        for (mu, sigma, min, max, low, cap) in [
            (9.6, 0.5, 0.0, 30_000.0, 1, 134_743),
            (6.9, 0.3, 0.0, 1_500.0, 30, i32::MAX as u32),
            (8.5, 1.0, 0.0, unbounded, 1, i32::MAX as u32),
            (0.5, 1.5, 0.0, unbounded, 1, 20),
            (3.0, 0.01, 0.0, unbounded, 1, 1_000),
            (14.0, 0.5, 0.0, 9_000.0, 1, 5_000),
        ] {
            let dist = Lognormal::new(mu, sigma, min, max).expect("has mass");
            let n = 400_000;
            let sum: f64 = (0..n)
                .map(|i| {
                    dist.quantile((f64::from(i) + 0.5) / f64::from(n)).floor().clamp(f64::from(low), f64::from(cap))
                })
                .sum();
            let (drawn, exact) = (sum / f64::from(n), mean_of_floor(&dist, low, cap));
            assert!((drawn / exact - 1.0).abs() < 2e-4, "mu {mu} sigma {sigma}: {drawn} {exact}");
        }
    }

    #[test]
    fn tabulated_draws_equal_draws_by_inversion() {
        use super::super::token_count::TokenCountDist;
        use crate::rng::{Purpose, RandomStreams};
        let dist = Lognormal::new(8.7, 0.9, 0.0, 30_000.0).expect("has mass");
        let lengths = TokenCountDist::new(dist.clone(), 30, 20_000);
        let mut drawn = RandomStreams::new(1).stream(Purpose::Content, 0);
        let mut uniform = drawn.clone();
        for _ in 0..100_000 {
            let expected = (dist.quantile(uniform.uniform()) as u32).clamp(30, 20_000);
            assert_eq!(lengths.draw(&mut drawn), expected);
        }
    }

    #[test]
    fn the_smooth_sum_equals_the_exact_sum() {
        let dist = Lognormal::new(8.7, 0.4, 0.0, 10_000.0).expect("has mass");
        let (smooth, each) = (sum_smooth(&dist, 256.0, 10_000.0), sum_each(&dist, 256.0, 10_000.0));
        assert!((smooth - each).abs() < 1e-3, "{smooth} {each}");
    }
}
