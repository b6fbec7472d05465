//! The truncated lognormal law, sampled by inversion: one uniform number a draw, whatever is cut off.

use super::normal;

/// A lognormal cut off to `[min, max]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Lognormal {
    mu: f64,
    sigma: f64,
    min: f64,
    max: f64,
    /// The law is sampled on the side of the normal where its probabilities are small, so that a cut deep in either
    /// tail loses no digits: `-1.0` when that is the mirrored side.
    side: f64,
    /// Probability below the cut on that side, and probability between the cuts.
    below: f64,
    between: f64,
    /// What sigma = 0 always gives.
    constant: f64,
}

impl Lognormal {
    /// The law of `exp(mu + sigma Z)` given that it lies in `[min, max]`; `None` where no probability lies there.
    ///
    /// sigma = 0 is the constant `exp(mu)`, moved into the interval.
    #[must_use]
    pub fn new(mu: f64, sigma: f64, min: f64, max: f64) -> Option<Self> {
        // exp(ln(1000)) is 999.99...: a constant that was stated as a whole number must stay one.
        let exact = libm::exp(mu);
        let near = (exact * 1e6).round() / 1e6;
        let constant = if (near - exact).abs() <= exact * 1e-12 { near } else { exact }.clamp(min, max);
        let mut law = Self { mu, sigma, min, max, side: 1.0, below: 0.0, between: 1.0, constant };
        if sigma == 0.0 {
            return Some(law);
        }
        let (low, high) = (law.standard(min), law.standard(max));
        if low > 0.0 {
            law.side = -1.0;
        }
        let (near, far) = if low > 0.0 { (-high, -low) } else { (low, high) };
        law.below = normal::cdf(near);
        law.between = normal::cdf(far) - law.below;
        (law.between > 1e-280 && law.between.is_finite()).then_some(law)
    }

    /// The number of standard deviations from the mean of the logarithm to ln(x).
    fn standard(&self, x: f64) -> f64 {
        if x <= 0.0 {
            f64::NEG_INFINITY
        } else if x == f64::INFINITY {
            x
        } else {
            (libm::log(x) - self.mu) / self.sigma
        }
    }

    /// The value below which the share `u` of the law lies, `u` in (0, 1).
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

    /// E[X; X <= x]: the part of the mean that lies at or below x.
    #[must_use]
    pub fn partial_mean(&self, x: f64) -> f64 {
        let x = x.min(self.max);
        if x < self.min {
            return 0.0;
        }
        if self.sigma == 0.0 {
            return if self.constant <= x { self.constant } else { 0.0 };
        }
        // Under the weight x, the normal moves up by sigma.
        let (low, high) = (self.standard(self.min) - self.sigma, self.standard(x) - self.sigma);
        let share =
            if low > 0.0 { normal::cdf(-low) - normal::cdf(-high) } else { normal::cdf(high) - normal::cdf(low) };
        libm::exp(self.mu + 0.5 * self.sigma * self.sigma + libm::log(share.max(0.0) / self.between))
    }

    /// Median of the law.
    #[must_use]
    pub fn median(&self) -> f64 {
        // Mirrored or not, half of the probability lies on either side.
        self.quantile(0.5)
    }

    /// Mean of the logarithm before the cuts.
    #[must_use]
    pub fn mu(&self) -> f64 {
        self.mu
    }

    /// Standard deviation of the logarithm before the cuts.
    #[must_use]
    pub fn sigma(&self) -> f64 {
        self.sigma
    }

    /// The smallest and largest value.
    #[must_use]
    pub fn bounds(&self) -> (f64, f64) {
        (self.min, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantile_and_survival_agree() {
        for (mu, sigma, min, max) in
            [(8.0, 0.5, 0.0, f64::INFINITY), (9.0, 1.5, 1.0, 30_000.0), (2.0, 0.3, 1e4, 1e5), (12.0, 0.4, 1.0, 50.0)]
        {
            let law = Lognormal::new(mu, sigma, min, max).expect("has mass");
            for i in 1..100 {
                let u = f64::from(i) / 100.0;
                let x = law.quantile(u);
                assert!(x >= min && x <= max);
                let back = if law.side > 0.0 { 1.0 - law.survival(x) } else { law.survival(x) };
                assert!((back - u).abs() < 1e-9, "mu {mu} u {u} x {x} back {back}");
            }
        }
    }

    #[test]
    fn partial_mean_is_the_mean_of_quantiles() {
        for (mu, sigma, min, max) in [(8.0, 0.5, 0.0, f64::INFINITY), (9.0, 1.5, 1.0, 30_000.0), (2.0, 0.3, 1e4, 1e5)] {
            let law = Lognormal::new(mu, sigma, min, max).expect("has mass");
            let n = 200_000;
            let sum: f64 = (0..n).map(|i| law.quantile((f64::from(i) + 0.5) / f64::from(n))).sum();
            let mean = law.partial_mean(f64::INFINITY);
            assert!((sum / f64::from(n) / mean - 1.0).abs() < 1e-4, "{mean} {}", sum / f64::from(n));
        }
    }

    #[test]
    fn a_constant_is_exact() {
        for k in 1..5_000 {
            let law = Lognormal::new(libm::log(f64::from(k)), 0.0, 0.0, f64::INFINITY).expect("a constant");
            assert_eq!(law.quantile(0.3), f64::from(k));
        }
    }

    #[test]
    fn no_mass_is_no_law() {
        assert!(Lognormal::new(0.0, 0.01, 1e9, 2e9).is_none());
    }
}
