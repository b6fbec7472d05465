//! The truncated lognormal, sampled by inversion: one uniform number per draw at any truncation.

use super::normal;

/// A lognormal truncated to `[min, max]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Lognormal {
    mu: f64,
    sigma: f64,
    min: f64,
    max: f64,
    /// `-1.0` if the normal is mirrored, else `1.0`. Sampling works on the lower tail, where probabilities are small,
    /// so truncation deep in either tail loses no digits.
    side: f64,
    /// Probability of the (mirrored) normal below the interval.
    below: f64,
    /// Probability of the normal within the interval.
    between: f64,
    /// The value of every draw if sigma is 0.
    constant: f64,
}

impl Lognormal {
    /// The distribution of `exp(mu + sigma Z)` given that it lies in `[min, max]`; `None` if the probability of that is
    /// below 1e-280.
    ///
    /// With sigma = 0 it is the constant `exp(mu)`, clamped to the interval.
    #[must_use]
    pub fn new(mu: f64, sigma: f64, min: f64, max: f64) -> Option<Self> {
        // exp(ln(1000)) is 999.99...: keep constants that were stated as whole numbers whole.
        let exact = libm::exp(mu);
        let near = (exact * 1e6).round() / 1e6;
        let constant = if (near - exact).abs() <= exact * 1e-12 { near } else { exact }.clamp(min, max);
        let mut dist = Self { mu, sigma, min, max, side: 1.0, below: 0.0, between: 1.0, constant };
        if sigma == 0.0 {
            return Some(dist);
        }
        let (low, high) = (dist.standard(min), dist.standard(max));
        if low > 0.0 {
            dist.side = -1.0;
        }
        let (near, far) = if low > 0.0 { (-high, -low) } else { (low, high) };
        dist.below = normal::cdf(near);
        dist.between = normal::cdf(far) - dist.below;
        (dist.between > 1e-280 && dist.between.is_finite()).then_some(dist)
    }

    /// (ln(x) - mu) / sigma.
    fn standard(&self, x: f64) -> f64 {
        if x <= 0.0 {
            f64::NEG_INFINITY
        } else if x == f64::INFINITY {
            x
        } else {
            (libm::log(x) - self.mu) / self.sigma
        }
    }

    /// The quantile at `u` in (0, 1).
    #[inline]
    #[must_use]
    pub fn quantile(&self, u: f64) -> f64 {
        if self.sigma == 0.0 {
            return self.constant;
        }
        let z = self.side * normal::quantile(self.below + u * self.between);
        libm::exp(self.mu + self.sigma * z).clamp(self.min, self.max)
    }

    /// P(X >= x).
    #[must_use]
    pub fn survival(&self, x: f64) -> f64 {
        if x <= self.min {
            return 1.0;
        }
        if x > self.max {
            return 0.0;
        }
        if self.sigma == 0.0 {
            return if self.constant >= x { 1.0 } else { 0.0 };
        }
        let share = (normal::cdf(self.side * self.standard(x)) - self.below) / self.between;
        (if self.side > 0.0 { 1.0 - share } else { share }).clamp(0.0, 1.0)
    }

    /// E[X; X <= x]: the contribution of values at or below x to the mean.
    #[must_use]
    pub fn partial_mean(&self, x: f64) -> f64 {
        let x = x.min(self.max);
        if x < self.min {
            return 0.0;
        }
        if self.sigma == 0.0 {
            return if self.constant <= x { self.constant } else { 0.0 };
        }
        // Weighting a lognormal by its value shifts the underlying normal up by sigma.
        let (low, high) = (self.standard(self.min) - self.sigma, self.standard(x) - self.sigma);
        let share =
            if low > 0.0 { normal::cdf(-low) - normal::cdf(-high) } else { normal::cdf(high) - normal::cdf(low) };
        libm::exp(self.mu + 0.5 * self.sigma * self.sigma + libm::log(share.max(0.0) / self.between))
    }

    /// Median.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// Mean of the logarithm before truncation.
    #[must_use]
    pub fn mu(&self) -> f64 {
        self.mu
    }

    /// Standard deviation of the logarithm before truncation.
    #[must_use]
    pub fn sigma(&self) -> f64 {
        self.sigma
    }

    /// `min` and `max`.
    #[must_use]
    pub fn bounds(&self) -> (f64, f64) {
        (self.min, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantile_inverts_survival() {
        for (mu, sigma, min, max) in
            [(8.0, 0.5, 0.0, f64::INFINITY), (9.0, 1.5, 1.0, 30_000.0), (2.0, 0.3, 1e4, 1e5), (12.0, 0.4, 1.0, 50.0)]
        {
            let dist = Lognormal::new(mu, sigma, min, max).expect("has mass");
            for i in 1..100 {
                let u = f64::from(i) / 100.0;
                let x = dist.quantile(u);
                assert!(x >= min && x <= max);
                let back = if dist.side > 0.0 { 1.0 - dist.survival(x) } else { dist.survival(x) };
                assert!((back - u).abs() < 1e-9, "mu {mu} u {u} x {x} back {back}");
            }
        }
    }

    #[test]
    fn partial_mean_equals_the_mean_of_quantiles() {
        for (mu, sigma, min, max) in [(8.0, 0.5, 0.0, f64::INFINITY), (9.0, 1.5, 1.0, 30_000.0), (2.0, 0.3, 1e4, 1e5)] {
            let dist = Lognormal::new(mu, sigma, min, max).expect("has mass");
            let n = 200_000;
            let sum: f64 = (0..n).map(|i| dist.quantile((f64::from(i) + 0.5) / f64::from(n))).sum();
            let mean = dist.partial_mean(f64::INFINITY);
            assert!((sum / f64::from(n) / mean - 1.0).abs() < 1e-4, "{mean} {}", sum / f64::from(n));
        }
    }

    #[test]
    fn a_whole_constant_is_exact() {
        for k in 1..5_000 {
            let dist = Lognormal::new(libm::log(f64::from(k)), 0.0, 0.0, f64::INFINITY).expect("a constant");
            assert_eq!(dist.quantile(0.3), f64::from(k));
        }
    }

    #[test]
    fn an_interval_without_probability_is_refused() {
        assert!(Lognormal::new(0.0, 0.01, 1e9, 2e9).is_none());
    }
}
