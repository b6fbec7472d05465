//! From what a configuration states to the parameters mu and sigma.
//!
//! A mean stated for a lognormal that is then cut off, rounded down and clipped is missed, by up to a third for
//! ordinary values. Calibration solves the parameters so that the draws themselves have it.

use super::lognormal::Lognormal;
use super::moments;
use crate::config::Distribution;

/// Sigmas tried where a mean and a median are stated: the smallest that fits wins.
const SIGMAS: (f64, f64) = (0.05, 3.0);
const SIGMA_STEPS: u32 = 118;
const HALVINGS: u32 = 60;

/// The way from a lognormal to draws, which calibration looks through.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// Rounded down to whole tokens within `low ..= cap`.
    Length { low: u32, cap: u32 },
    /// Milliseconds, clipped.
    Delay { clip: f64 },
}

/// Parameters of the lognormal before the cuts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Parameters {
    /// Mean of the logarithm.
    pub mu: f64,
    /// Standard deviation of the logarithm.
    pub sigma: f64,
}

/// Solves for the parameters of one field of a configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Solver<'a> {
    pub stated: &'a Distribution,
    pub shape: Shape,
}

impl Solver<'_> {
    /// The textbook parameters, blind to cuts and rounding.
    pub fn textbook(&self) -> Parameters {
        let d = self.stated;
        match (d.mean, d.median, d.mu, d.sigma) {
            (Some(mean), Some(median), ..) => {
                Parameters { mu: libm::log(median), sigma: (2.0 * libm::log(mean / median)).max(0.0).sqrt() }
            }
            (Some(mean), _, _, Some(sigma)) => Parameters { mu: libm::log(mean) - 0.5 * sigma * sigma, sigma },
            (_, _, mu, sigma) => Parameters { mu: mu.unwrap_or(0.0), sigma: sigma.unwrap_or(0.0) },
        }
    }

    /// The parameters whose draws have the stated mean (and median); otherwise what is feasible, in words.
    pub fn calibrated(&self) -> Result<Parameters, String> {
        let d = self.stated;
        match (d.mean, d.median, d.sigma) {
            (Some(mean), Some(median), _) => self.solve_for_median(mean, median),
            (Some(mean), None, Some(sigma)) => self.solve_for_sigma(mean, sigma),
            _ => Ok(self.textbook()),
        }
    }

    /// The law with these parameters, if any probability lies between its cuts.
    pub fn lognormal(&self, p: Parameters) -> Option<Lognormal> {
        Lognormal::new(p.mu, p.sigma, self.stated.min.unwrap_or(0.0), self.stated.max.unwrap_or(f64::INFINITY))
    }

    /// Mean of the draws.
    pub fn mean(&self, p: Parameters) -> Option<f64> {
        let law = self.lognormal(p)?;
        Some(match self.shape {
            Shape::Length { low, cap } => moments::mean_of_floor(&law, low, cap),
            Shape::Delay { clip } => moments::mean_of_clipped(&law, clip),
        })
    }

    fn solve_for_sigma(&self, mean: f64, sigma: f64) -> Result<Parameters, String> {
        if sigma == 0.0 {
            let constant = Parameters { mu: libm::log(mean), sigma };
            let (least, most) = self.cuts();
            return if (least..=most).contains(&mean) {
                Ok(constant)
            } else {
                Err(format!("mean {mean} cannot be met with sigma 0: values lie from {least} to {most}"))
            };
        }
        let centre = libm::log(mean);
        let (mut low, mut high) = (centre - 30.0 * sigma - 1.0, centre + 30.0 * sigma + 1.0);
        // Shrink to where the law has mass.
        let mean_at = |mu: f64| self.mean(Parameters { mu, sigma });
        (low, high) = (self.edge(low, centre, sigma), self.edge(high, centre, sigma));
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

    /// The mu nearest to `far` for which the law still has mass.
    fn edge(&self, far: f64, centre: f64, sigma: f64) -> f64 {
        let has_mass = |mu| self.mean(Parameters { mu, sigma }).is_some();
        if has_mass(far) || !has_mass(centre) {
            return far;
        }
        let (mut inside, mut outside) = (centre, far);
        for _ in 0..HALVINGS {
            let middle = 0.5 * (inside + outside);
            if has_mass(middle) { inside = middle } else { outside = middle }
        }
        inside
    }

    /// Least and largest value of a draw.
    fn cuts(&self) -> (f64, f64) {
        let (min, max) = (self.stated.min.unwrap_or(0.0), self.stated.max.unwrap_or(f64::INFINITY));
        match self.shape {
            Shape::Length { low, cap } => (min.max(f64::from(low)), max.min(f64::from(cap))),
            Shape::Delay { clip } => (min, max.min(clip)),
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
            let (least, most) = self.cuts();
            format!("mean {mean} cannot be met with any median: values lie from {least} to {most}")
        })
    }

    /// Walks sigma upwards until the mean at the stated median crosses the stated mean.
    fn smallest_sigma(&self, mean: f64, median: f64) -> Option<Parameters> {
        let (least, most) = self.cuts();
        if !(least..=most).contains(&median) {
            return None;
        }
        let at = |sigma: f64| {
            let mu = self.mu_for_median(sigma, median);
            self.mean(Parameters { mu, sigma }).map(|m| m - mean)
        };
        let step = (SIGMAS.1 - SIGMAS.0) / f64::from(SIGMA_STEPS);
        let mut previous = (SIGMAS.0, at(SIGMAS.0)?);
        // A mean this close to its median asks for a narrower law than the narrowest: that one, with the mean exact.
        let width = mean * 0.5 * SIGMAS.0 * SIGMAS.0;
        if (0.0..=width * 1.01).contains(&previous.1) {
            return self.solve_for_sigma(mean, SIGMAS.0).ok();
        }
        for i in 1..=SIGMA_STEPS {
            let sigma = SIGMAS.0 + step * f64::from(i);
            let Some(miss) = at(sigma) else { break };
            if (miss > 0.0) != (previous.1 > 0.0) {
                let below = previous.1 <= 0.0;
                let sigma = bisect(previous.0, sigma, |s| at(s).is_some_and(|m| (m <= 0.0) == below));
                return Some(Parameters { mu: self.mu_for_median(sigma, median), sigma });
            }
            previous = (sigma, miss);
        }
        None
    }

    /// The mu at which the truncated law has this median. Whole tokens have the median m while the law's own lies in
    /// [m, m + 1): the middle is aimed at.
    fn mu_for_median(&self, sigma: f64, median: f64) -> f64 {
        let aim = match self.shape {
            Shape::Length { .. } => {
                let most = self.stated.max.unwrap_or(f64::INFINITY);
                (median + 0.5).min(0.5 * (median + most)).max(median)
            }
            Shape::Delay { .. } => median,
        };
        let centre = libm::log(aim);
        let below = |mu: f64| match self.lognormal(Parameters { mu, sigma }) {
            Some(law) => law.median() < aim,
            None => mu < centre,
        };
        bisect(centre - 30.0 * sigma, centre + 30.0 * sigma, below)
    }

    /// The range of medians for which some sigma gives the mean; searched for only to explain an error.
    fn feasible_medians(&self, mean: f64) -> Option<(f64, f64)> {
        let feasible = |median: f64| self.smallest_sigma(mean, median).is_some();
        let tried = 200;
        let grid = |i: u32| mean * f64::from(i) / f64::from(tried);
        let first = (1..=tried).find(|&i| feasible(grid(i)))?;
        let last = (first..=tried).rev().find(|&i| feasible(grid(i)))?;
        let edge = |mut inside: f64, mut outside: f64| {
            for _ in 0..20 {
                let middle = 0.5 * (inside + outside);
                if feasible(middle) { inside = middle } else { outside = middle }
            }
            inside
        };
        let least = edge(grid(first), grid(first - 1).max(f64::MIN_POSITIVE));
        let most = if last == tried { mean } else { edge(grid(last), grid(last + 1)) };
        Some((least, most))
    }
}

/// The point in `[low, high]` up to which `below` holds.
fn bisect(mut low: f64, mut high: f64, below: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if below(middle) { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// Six significant digits, for messages.
fn rounded(x: f64) -> f64 {
    format!("{x:.5e}").parse().unwrap_or(x)
}

#[cfg(test)]
mod tests {
    use super::super::law::TokenCountDist;
    use super::*;

    fn stated(mean: f64, median: Option<f64>, sigma: Option<f64>, max: Option<f64>) -> Distribution {
        Distribution { mean: Some(mean), median, sigma, max, ..Distribution::default() }
    }

    fn length(d: &Distribution, low: u32) -> Solver<'_> {
        Solver { stated: d, shape: Shape::Length { low, cap: i32::MAX as u32 } }
    }

    #[test]
    fn mean_and_sigma_are_met() {
        for (mean, sigma, max) in
            [(15_000.0, 0.5, 30_000.0), (6_000.0, 0.4, 10_000.0), (1_000.0, 0.3, 1_500.0), (29_000.0, 0.5, 30_000.0)]
        {
            let d = stated(mean, None, Some(sigma), Some(max));
            let solver = length(&d, 1);
            let solved = solver.calibrated().expect("feasible");
            let law = TokenCountDist::new(solver.lognormal(solved).expect("has mass"), 1, i32::MAX as u32);
            assert!((law.mean() / mean - 1.0).abs() < 1e-9, "{mean}: {}", law.mean());
        }
    }

    #[test]
    fn mean_and_median_are_met_with_the_smaller_sigma() {
        for (mean, median, max) in [
            (15_000.0, 14_200.0, Some(30_000.0)),
            (15_000.0, 15_000.0, Some(30_000.0)),
            (6_000.0, 4_000.0, None),
            (1_000.0, 800.0, Some(10_000.0)),
        ] {
            let d = stated(mean, Some(median), None, max);
            let solver = length(&d, 1);
            let solved = solver.calibrated().expect("feasible");
            let law = TokenCountDist::new(solver.lognormal(solved).expect("has mass"), 1, i32::MAX as u32);
            assert!((law.mean() / mean - 1.0).abs() < 1e-6, "{mean}: {}", law.mean());
            assert!((law.median() / median - 1.0).abs() < 2e-3, "{median}: {}", law.median());
            assert!(solved.sigma >= 0.05);
        }
        // Without a cut the answer is the textbook's.
        let d = stated(6_000.0, Some(4_000.0), None, None);
        let solved = Solver { stated: &d, shape: Shape::Delay { clip: f64::INFINITY } }.calibrated().expect("feasible");
        assert!((solved.sigma - (2.0 * 1.5f64.ln()).sqrt()).abs() < 1e-6);
    }

    #[test]
    fn infeasible_pairs_name_the_feasible_range() {
        let d = stated(15_000.0, Some(5_000.0), None, Some(30_000.0));
        let message = length(&d, 1).calibrated().expect_err("infeasible");
        assert!(message.contains("feasible medians for this mean are 14170"), "{message}");
        assert!(message.ends_with("to 15000"), "{message}");
        let d = stated(31_000.0, None, Some(0.5), Some(30_000.0));
        let message = length(&d, 1).calibrated().expect_err("infeasible");
        assert!(message.contains("feasible means are 1"), "{message}");
    }
}
