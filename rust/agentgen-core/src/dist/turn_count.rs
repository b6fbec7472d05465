//! Number of turns of a session, where the configuration states `turns`.

use super::calibrate::{Parameters, SIGMA_STEPS, SIGMAS, bisect};
use super::lognormal::Lognormal;
use super::moments;
use crate::config::Turns;
use crate::rng::RandomStream;

/// Relative error of a mean that counts as met.
const TOLERANCE: f64 = 1e-6;

/// A lognormal rounded half-even to whole turns and clamped to `min ..= max`.
#[derive(Debug, Clone)]
pub(crate) struct TurnCountDist {
    lognormal: Lognormal,
    min: u32,
    max: u32,
}

impl TurnCountDist {
    /// The distribution of checked `turns`, before calibration.
    pub(crate) fn uncalibrated(turns: &Turns) -> Option<Self> {
        let Parameters { mu, sigma } = match (turns.mean, turns.median, turns.sigma) {
            (Some(mean), Some(median), _) => {
                Parameters { mu: libm::log(median), sigma: (2.0 * libm::log(mean / median)).max(0.0).sqrt() }
            }
            (Some(mean), None, Some(sigma)) => Parameters { mu: libm::log(mean) - 0.5 * sigma * sigma, sigma },
            (_, median, sigma) => Parameters { mu: libm::log(median?), sigma: sigma? },
        };
        Self::at(mu, sigma, turns)
    }

    /// The distribution whose draws have the stated mean; `None` if no parameters give it.
    pub(crate) fn calibrated(turns: &Turns) -> Option<Self> {
        let stated = Self::uncalibrated(turns)?;
        let Some(mean) = turns.mean else { return Some(stated) };
        let meets = |dist: &Self| (dist.mean() / mean - 1.0).abs() < TOLERANCE;
        if meets(&stated) {
            return Some(stated);
        }
        match turns.sigma {
            Some(sigma) if sigma > 0.0 => {
                let center = libm::log(mean);
                let reach = 30.0 * sigma + 1.0;
                let below = |mu: f64| Self::at(mu, sigma, turns).is_some_and(|dist| dist.mean() < mean);
                Self::at(bisect(center - reach, center + reach, below), sigma, turns)
            }
            Some(_) => None,
            None => Self::with_smallest_sigma(stated.lognormal.mu(), mean, turns),
        }
        .filter(meets)
    }

    /// The smallest sigma at which the draws around this median have the mean.
    fn with_smallest_sigma(mu: f64, mean: f64, turns: &Turns) -> Option<Self> {
        let is_low = |sigma: f64| Self::at(mu, sigma, turns).is_some_and(|dist| dist.mean() < mean);
        let step = (SIGMAS.1 - SIGMAS.0) / f64::from(SIGMA_STEPS);
        let first = is_low(SIGMAS.0);
        let crossed =
            (1..=SIGMA_STEPS).map(|i| SIGMAS.0 + step * f64::from(i)).find(|sigma| is_low(*sigma) != first)?;
        Self::at(mu, bisect(crossed - step, crossed, |sigma| is_low(sigma) == first), turns)
    }

    fn at(mu: f64, sigma: f64, turns: &Turns) -> Option<Self> {
        let lognormal = Lognormal::new(mu, sigma, 0.0, f64::INFINITY)?;
        Some(Self { lognormal, min: turns.min, max: turns.max })
    }

    /// Mean of the draws, in turns.
    pub(crate) fn mean(&self) -> f64 {
        moments::mean_of_rounded(&self.lognormal, self.min, self.max)
    }

    /// Median of the draws, in turns.
    pub(crate) fn median(&self) -> f64 {
        f64::from(self.rounded(self.lognormal.median()))
    }

    /// The lognormal before rounding and clamping.
    pub(crate) fn lognormal(&self) -> &Lognormal {
        &self.lognormal
    }

    /// Share of the draws below `turns`, a whole number.
    pub(crate) fn share_below(&self, turns: f64) -> f64 {
        if turns <= f64::from(self.min) {
            return 0.0;
        }
        if turns > f64::from(self.max) { 1.0 } else { 1.0 - self.lognormal.survival(turns - 0.5) }
    }

    /// One draw, in turns.
    pub(crate) fn draw(&self, stream: &mut RandomStream) -> u32 {
        self.rounded(self.lognormal.quantile(stream.uniform()))
    }

    fn rounded(&self, turns: f64) -> u32 {
        (turns.round_ties_even() as u32).clamp(self.min, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(mean: Option<f64>, median: Option<f64>, sigma: Option<f64>, min: u32, max: u32) -> Turns {
        Turns { mean, median, sigma, min, max, allow_truncation: false, max_session_attempts: None }
    }

    #[test]
    fn calibrated_turns_have_the_stated_mean_and_median() {
        for (mean, median, sigma, max) in [
            (6.0, Some(5.0), None, 12),
            (6.0, None, Some(0.6), 12),
            (11.5, None, Some(0.3), 12),
            (40.0, Some(20.0), None, 100_000),
        ] {
            let stated = turns(Some(mean), median, sigma, 2, max);
            let dist = TurnCountDist::calibrated(&stated).expect("feasible");
            let draws = 200_000;
            let mut sum = 0.0;
            for i in 0..draws {
                sum += f64::from(dist.rounded(dist.lognormal.quantile((f64::from(i) + 0.5) / f64::from(draws))));
            }
            assert!((sum / f64::from(draws) / mean - 1.0).abs() < 2e-3, "{mean}: {}", sum / f64::from(draws));
            assert!((dist.mean() / mean - 1.0).abs() < 1e-6, "{mean}: {}", dist.mean());
            assert!(median.is_none_or(|median| dist.median() == median));
        }
        let today = TurnCountDist::uncalibrated(&turns(Some(6.0), Some(5.0), None, 2, 12)).expect("valid");
        assert!((today.mean() / 6.0 - 0.953).abs() < 1e-3, "{}", today.mean());
    }

    #[test]
    fn a_mean_that_clamping_rules_out_is_not_met() {
        assert!(TurnCountDist::calibrated(&turns(Some(8.0), Some(6.0), None, 2, 12)).is_none());
        assert!(TurnCountDist::calibrated(&turns(Some(5.5), None, Some(0.0), 2, 12)).is_none());
        assert!(TurnCountDist::calibrated(&turns(Some(5.0), Some(5.0), None, 2, 12)).is_some());
    }
}
