//! Calibration: solves mu and sigma of a lognormal for the mean (and median) that a configuration states.
//!
//! Truncating, rounding and clipping a lognormal changes its mean, by up to a third for ordinary values. Calibrated
//! parameters give the stated mean after these steps.

use super::lognormal::Lognormal;
use super::moments;
use crate::config::Distribution;

/// Range of sigma searched for a stated mean and median; the smallest solution is used.
pub(super) const SIGMAS: (f64, f64) = (0.05, 3.0);
pub(super) const SIGMA_STEPS: u32 = 118;
const BISECTIONS: u32 = 60;

/// How draws are made from a truncated lognormal.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Transform {
    /// Rounded down to whole tokens and clamped to `low ..= cap`.
    Tokens { low: u32, cap: u32 },
    /// Milliseconds, clipped at `clip`.
    Delay { clip: f64 },
}

/// Parameters of a lognormal before truncation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Parameters {
    /// Mean of the logarithm.
    pub mu: f64,
    /// Standard deviation of the logarithm.
    pub sigma: f64,
}

/// The calibration of one field of a configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calibration<'a> {
    pub stated: &'a Distribution,
    pub transform: Transform,
}

impl Calibration<'_> {
    /// The closed-form parameters of the untruncated, unrounded lognormal.
    pub fn uncalibrated(&self) -> Parameters {
        let (mu, sigma) = self.stated.lognormal().unwrap_or_default();
        Parameters { mu, sigma }
    }

    /// The parameters for which draws have the stated mean (and median), or a message that names the feasible range.
    pub fn calibrated(&self) -> Result<Parameters, String> {
        let d = self.stated;
        match (d.mean, d.median, d.sigma) {
            (Some(mean), Some(median), _) => self.solve_for_median(mean, median),
            (Some(mean), None, Some(sigma)) => self.solve_for_sigma(mean, sigma),
            _ => Ok(self.uncalibrated()),
        }
    }

    /// The truncated lognormal, or `None` if it has no probability between `min` and `max`.
    pub fn lognormal(&self, p: Parameters) -> Option<Lognormal> {
        Lognormal::new(p.mu, p.sigma, self.stated.min.unwrap_or(0.0), self.stated.max.unwrap_or(f64::INFINITY))
    }

    /// Mean of the draws.
    fn mean(&self, p: Parameters) -> Option<f64> {
        let dist = self.lognormal(p)?;
        Some(match self.transform {
            Transform::Tokens { low, cap } => moments::mean_of_floor(&dist, low, cap),
            Transform::Delay { clip } => moments::mean_of_clipped(&dist, clip),
        })
    }

    fn solve_for_sigma(&self, mean: f64, sigma: f64) -> Result<Parameters, String> {
        if sigma == 0.0 {
            let constant = Parameters { mu: libm::log(mean), sigma };
            let (least, most) = self.range();
            return if (least..=most).contains(&mean) {
                Ok(constant)
            } else {
                Err(format!("mean {mean} cannot be met with sigma 0: values lie from {least} to {most}"))
            };
        }
        let center = libm::log(mean);
        let (mut low, mut high) = (center - 30.0 * sigma - 1.0, center + 30.0 * sigma + 1.0);
        // Shrink to the values of mu for which there is probability between min and max.
        let mean_at = |mu: f64| self.mean(Parameters { mu, sigma });
        (low, high) = (self.edge(low, center, sigma), self.edge(high, center, sigma));
        let (least, most) = (mean_at(low).unwrap_or(mean), mean_at(high).unwrap_or(mean));
        if !(least < mean && mean < most) {
            return Err(format!(
                "mean {mean} cannot be met with sigma {sigma} after truncation and rounding: feasible means are {} to {}",
                rounded(least),
                rounded(most)
            ));
        }
        Ok(Parameters { mu: bisect(low, high, |mu| mean_at(mu).is_none_or(|m| m < mean)), sigma })
    }

    /// The mu closest to `far` for which there is probability between min and max.
    fn edge(&self, far: f64, center: f64, sigma: f64) -> f64 {
        let has_mass = |mu| self.mean(Parameters { mu, sigma }).is_some();
        if has_mass(far) || !has_mass(center) {
            return far;
        }
        let (mut inside, mut outside) = (center, far);
        for _ in 0..BISECTIONS {
            let middle = 0.5 * (inside + outside);
            if has_mass(middle) { inside = middle } else { outside = middle }
        }
        inside
    }

    /// The smallest and largest possible draw.
    fn range(&self) -> (f64, f64) {
        let (min, max) = (self.stated.min.unwrap_or(0.0), self.stated.max.unwrap_or(f64::INFINITY));
        match self.transform {
            Transform::Tokens { low, cap } => (min.max(f64::from(low)), max.min(f64::from(cap))),
            Transform::Delay { clip } => (min, max.min(clip)),
        }
    }

    fn solve_for_median(&self, mean: f64, median: f64) -> Result<Parameters, String> {
        if let Some(found) = self.smallest_sigma(mean, median) {
            return Ok(found);
        }
        Err(if let Some((least, most)) = self.feasible_medians(mean) {
            format!(
                "mean {mean} with median {median} cannot be met after truncation and rounding: feasible medians for \
                 this mean are {} to {}",
                rounded(least),
                rounded(most)
            )
        } else {
            let (least, most) = self.range();
            format!("mean {mean} cannot be met with any median: values lie from {least} to {most}")
        })
    }

    /// Increases sigma stepwise until the mean at the stated median crosses the stated mean, then bisects.
    fn smallest_sigma(&self, mean: f64, median: f64) -> Option<Parameters> {
        let (least, most) = self.range();
        if !(least..=most).contains(&median) {
            return None;
        }
        let at = |sigma: f64| {
            let mu = self.mu_for_median(sigma, median);
            self.mean(Parameters { mu, sigma }).map(|m| m - mean)
        };
        let step = (SIGMAS.1 - SIGMAS.0) / f64::from(SIGMA_STEPS);
        let mut previous = (SIGMAS.0, at(SIGMAS.0)?);
        // For a mean this close to the median, no sigma in range is small enough: use the smallest, with an exact mean.
        let width = mean * 0.5 * SIGMAS.0 * SIGMAS.0;
        if (0.0..=width * 1.01).contains(&previous.1) {
            return self.solve_for_sigma(mean, SIGMAS.0).ok();
        }
        for i in 1..=SIGMA_STEPS {
            let sigma = SIGMAS.0 + step * f64::from(i);
            let Some(error) = at(sigma) else { break };
            if (error > 0.0) != (previous.1 > 0.0) {
                let below = previous.1 <= 0.0;
                let sigma = bisect(previous.0, sigma, |s| at(s).is_some_and(|m| (m <= 0.0) == below));
                return Some(Parameters { mu: self.mu_for_median(sigma, median), sigma });
            }
            previous = (sigma, error);
        }
        None
    }

    /// The mu at which the draws have this median. Draws rounded down to tokens have the median m if the median of the
    /// lognormal lies in [m, m + 1): aim at the middle.
    fn mu_for_median(&self, sigma: f64, median: f64) -> f64 {
        let aim = match self.transform {
            Transform::Tokens { .. } => {
                let most = self.stated.max.unwrap_or(f64::INFINITY);
                (median + 0.5).min(0.5 * (median + most)).max(median)
            }
            Transform::Delay { .. } => median,
        };
        let center = libm::log(aim);
        let below = |mu: f64| match self.lognormal(Parameters { mu, sigma }) {
            Some(dist) => dist.median() < aim,
            None => mu < center,
        };
        bisect(center - 30.0 * sigma, center + 30.0 * sigma, below)
    }

    /// The range of medians for which some sigma gives the mean. Slow: only for error messages.
    fn feasible_medians(&self, mean: f64) -> Option<(f64, f64)> {
        let feasible = |median: f64| self.smallest_sigma(mean, median).is_some();
        let steps = 200;
        let grid = |i: u32| mean * f64::from(i) / f64::from(steps);
        let first = (1..=steps).find(|&i| feasible(grid(i)))?;
        let last = (first..=steps).rev().find(|&i| feasible(grid(i)))?;
        let edge = |mut inside: f64, mut outside: f64| {
            for _ in 0..20 {
                let middle = 0.5 * (inside + outside);
                if feasible(middle) { inside = middle } else { outside = middle }
            }
            inside
        };
        let least = edge(grid(first), grid(first - 1).max(f64::MIN_POSITIVE));
        let most = if last == steps { mean } else { edge(grid(last), grid(last + 1)) };
        Some((least, most))
    }
}

/// Bisects for the point in `[low, high]` up to which `below` holds.
pub(super) fn bisect(mut low: f64, mut high: f64, below: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..BISECTIONS {
        let middle = 0.5 * (low + high);
        if below(middle) { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// `x` to six significant digits, for messages.
fn rounded(x: f64) -> f64 {
    format!("{x:.5e}").parse().unwrap_or(x)
}

#[cfg(test)]
mod tests {
    use super::super::token_count::TokenCountDist;
    use super::*;

    fn stated(mean: f64, median: Option<f64>, sigma: Option<f64>, max: Option<f64>) -> Distribution {
        Distribution { mean: Some(mean), median, sigma, max, ..Distribution::default() }
    }

    fn tokens(d: &Distribution, low: u32) -> Calibration<'_> {
        Calibration { stated: d, transform: Transform::Tokens { low, cap: i32::MAX as u32 } }
    }

    #[test]
    fn calibration_gives_the_stated_mean_at_the_stated_sigma() {
        for (mean, sigma, max) in
            [(15_000.0, 0.5, 30_000.0), (6_000.0, 0.4, 10_000.0), (1_000.0, 0.3, 1_500.0), (29_000.0, 0.5, 30_000.0)]
        {
            let d = stated(mean, None, Some(sigma), Some(max));
            let calibration = tokens(&d, 1);
            let solved = calibration.calibrated().expect("feasible");
            let dist = TokenCountDist::new(calibration.lognormal(solved).expect("has mass"), 1, i32::MAX as u32);
            assert!((dist.mean() / mean - 1.0).abs() < 1e-9, "{mean}: {}", dist.mean());
        }
    }

    #[test]
    fn calibration_gives_the_stated_mean_and_median() {
        for (mean, median, max) in [
            (15_000.0, 14_200.0, Some(30_000.0)),
            (15_000.0, 15_000.0, Some(30_000.0)),
            (6_000.0, 4_000.0, None),
            (1_000.0, 800.0, Some(10_000.0)),
        ] {
            let d = stated(mean, Some(median), None, max);
            let calibration = tokens(&d, 1);
            let solved = calibration.calibrated().expect("feasible");
            let dist = TokenCountDist::new(calibration.lognormal(solved).expect("has mass"), 1, i32::MAX as u32);
            assert!((dist.mean() / mean - 1.0).abs() < 1e-6, "{mean}: {}", dist.mean());
            assert!((dist.median() / median - 1.0).abs() < 2e-3, "{median}: {}", dist.median());
            assert!(solved.sigma >= 0.05);
        }
        // Without truncation, calibration gives the closed-form parameters.
        let d = stated(6_000.0, Some(4_000.0), None, None);
        let solved = Calibration { stated: &d, transform: Transform::Delay { clip: f64::INFINITY } }
            .calibrated()
            .expect("feasible");
        assert!((solved.sigma - (2.0 * 1.5f64.ln()).sqrt()).abs() < 1e-6);
    }

    #[test]
    fn an_infeasible_target_is_refused_with_the_feasible_range() {
        let d = stated(15_000.0, Some(5_000.0), None, Some(30_000.0));
        let message = tokens(&d, 1).calibrated().expect_err("infeasible");
        assert!(message.contains("feasible medians for this mean are 14170"), "{message}");
        assert!(message.ends_with("to 15000"), "{message}");
        let d = stated(31_000.0, None, Some(0.5), Some(30_000.0));
        let message = tokens(&d, 1).calibrated().expect_err("infeasible");
        assert!(message.contains("feasible means are 1"), "{message}");
    }
}
