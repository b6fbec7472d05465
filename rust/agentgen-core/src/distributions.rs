//! The distributions of a configuration, calibrated, with a record of each: stated, solved, effective.

use serde::Serialize;

use crate::config::{Bias, Config, Distribution, MAX_TOKENS};
use crate::dist::{Calibration, DelayDist, Lognormal, Parameters, TokenCountDist, Transform, TurnCountDist};
use crate::error::ConfigError;
use crate::truncation_bias::solve_bias;
use crate::turns::{Distributions, TurnSampler};

/// Share of draws at a floor or ceiling from which a warning names it.
const WARNED_SHARE: f64 = 0.01;

/// How the distribution of a field was resolved.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Resolved {
    /// Path of the field in the configuration.
    #[serde(skip)]
    pub path: &'static str,
    /// The distribution in the configuration.
    pub stated: Distribution,
    /// Parameters of the lognormal before truncation; `mu` includes the bias.
    pub solved: Solved,
    /// Mean and median of the draws.
    pub effective: Effective,
    /// Stated mean and median, which observed values are compared with.
    pub target: Targets,
    /// Whether the parameters were solved for the stated mean and median.
    pub calibrated: bool,
    /// Whether the stated values were given up because an override made them infeasible.
    pub overridden: bool,
}

/// Parameters of a lognormal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Solved {
    /// Mean of the logarithm.
    pub mu: f64,
    /// Standard deviation of the logarithm.
    pub sigma: f64,
    /// Factor on the median that `mu` includes; only for new tokens per turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bias: Option<f64>,
}

/// Mean and median of the draws, in the field's unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Effective {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub median: f64,
}

/// Stated mean and median, in the field's unit; null if not stated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Targets {
    /// Mean.
    pub mean: Option<f64>,
    /// Median.
    pub median: Option<f64>,
}

/// The distributions of a configuration and how they were resolved.
#[derive(Debug, Clone)]
pub(crate) struct Resolution {
    pub dists: Distributions,
    pub resolved: Vec<Resolved>,
    /// Stated values given up because of an override.
    pub warnings: Vec<String>,
}

impl Resolution {
    /// Resolves every distribution. `overridden`: limits were set beside the configuration, so a target that they make
    /// infeasible gives a warning instead of an error.
    pub(crate) fn new(config: &Config, overridden: bool) -> Result<Self, ConfigError> {
        let mut resolver = Resolver { config, overridden, resolved: Vec::new(), warnings: Vec::new() };
        let first = config.first_prompt()?;
        let first_prompt = resolver.tokens(first.path, first.stated, first.low, first.cap)?;
        let output = &config.generation_length;
        let output = resolver.tokens("generation_length", output, config.smallest_output(), MAX_TOKENS)?;
        let (stated_new_tokens, delay) = config.plain_turns()?;
        let clip = delay.max.unwrap_or(f64::INFINITY);
        let agentic_delay = resolver.delay("inter_turn_delay.agentic_delay", &delay.agentic_delay, clip)?;
        let human_delay = resolver.delay("inter_turn_delay.human_delay", &delay.human_delay, clip)?;
        let new_tokens = resolver.tokens("new_tokens_per_turn", stated_new_tokens, 1, MAX_TOKENS)?;
        let Resolver { resolved, warnings, .. } = resolver;
        let turns = None;
        let dists = Distributions { first_prompt, new_tokens, output, agentic_delay, human_delay, turns };
        let mut resolution = Self { dists, resolved, warnings };
        resolution.resolve_turns(config);
        resolution.apply_bias(config, first.added, overridden)?;
        Ok(resolution)
    }

    /// Turn counts. A mean that clamping rules out is a warning: turn counts are whole numbers between narrow bounds.
    fn resolve_turns(&mut self, config: &Config) {
        let Some(turns) = &config.turns else { return };
        let calibrated = config.calibrate.then(|| TurnCountDist::calibrated(turns)).flatten();
        let is_calibrated = calibrated.is_some();
        let Some(dist) = calibrated.or_else(|| TurnCountDist::uncalibrated(turns)) else { return };
        if let (true, false, Some(mean)) = (config.calibrate, is_calibrated, turns.mean) {
            let with = turns.median.map_or_else(|| "sigma 0".to_owned(), |median| format!("median {median}"));
            self.warnings.push(format!(
                "turns: mean {mean} with {with} cannot be met by {} to {} turns; the mean is {:.2} (state mean + sigma, or \
                 other bounds)",
                turns.min,
                turns.max,
                dist.mean()
            ));
        }
        // New tokens are the field resolved last.
        let index = self.resolved.len().saturating_sub(1);
        self.resolved.insert(
            index,
            Resolved {
                path: "turns",
                stated: Distribution {
                    mean: turns.mean,
                    median: turns.median,
                    sigma: turns.sigma,
                    min: Some(turns.min.into()),
                    max: Some(turns.max.into()),
                    ..Distribution::default()
                },
                solved: Solved { mu: dist.lognormal().mu(), sigma: dist.lognormal().sigma(), bias: None },
                effective: Effective { mean: dist.mean(), median: dist.median() },
                target: Targets { mean: turns.mean, median: turns.median },
                calibrated: is_calibrated,
                overridden: false,
            },
        );
        self.dists.turns = Some(dist);
    }

    /// Scales the median of new tokens per turn by the bias, stated or solved.
    fn apply_bias(&mut self, config: &Config, prefix: u32, overridden: bool) -> Result<(), ConfigError> {
        let path = "new_tokens_per_turn";
        let (stated, delay) = config.plain_turns()?;
        let unbiased = self.dists.new_tokens.clone();
        let bias = match stated.bias.unwrap_or(Bias::Factor(1.0)) {
            Bias::Factor(factor) => factor,
            Bias::Auto(_) => {
                match solve_bias(&TurnSampler::new(config, delay, prefix, self.dists.clone()), &unbiased) {
                    Ok(bias) => bias,
                    Err(reason) if overridden => {
                        self.warnings.push(format!("{path}: {reason}; its calibration is dropped"));
                        if let Some(field) = self.resolved.last_mut() {
                            field.overridden = true;
                        }
                        1.0
                    }
                    Err(reason) => {
                        return Err(ConfigError::new(
                            path,
                            format!("{reason} (lower the mean, or state bias as a number)"),
                        ));
                    }
                }
            }
        };
        self.dists.new_tokens = unbiased.with_median_scaled(bias).ok_or_else(|| no_probability(path))?;
        // `new_tokens_per_turn` is the field resolved last.
        if let Some(field) = self.resolved.last_mut() {
            let dist = &self.dists.new_tokens;
            let lognormal = dist.lognormal();
            field.solved = Solved { mu: lognormal.mu(), sigma: lognormal.sigma(), bias: Some(bias) };
            field.effective = Effective { mean: dist.mean(), median: dist.median() };
        }
        Ok(())
    }
}

fn no_probability(path: &str) -> ConfigError {
    ConfigError::new(path, "no value lies between min and max: move them towards the median, or raise sigma")
}

struct Resolver<'a> {
    config: &'a Config,
    overridden: bool,
    resolved: Vec<Resolved>,
    warnings: Vec<String>,
}

impl Resolver<'_> {
    fn tokens(
        &mut self,
        path: &'static str,
        d: &Distribution,
        low: u32,
        cap: u32,
    ) -> Result<TokenCountDist, ConfigError> {
        let dist = TokenCountDist::new(self.solve(path, d, Transform::Tokens { low, cap })?, low, cap);
        let (raised, lowered) = dist.clamped();
        if raised >= WARNED_SHARE {
            let share = 100.0 * raised;
            self.warnings.push(format!(
                "{path}: {share:.1} % of the draws are raised to the smallest length, {low} (min: {low} truncates the distribution there instead)"
            ));
        }
        if lowered >= WARNED_SHARE {
            let share = 100.0 * lowered;
            self.warnings.push(format!(
                "{path}: {share:.1} % of the draws are cut to the largest length, {cap} (max: {cap} truncates the distribution there instead)"
            ));
        }
        self.record(Effective { mean: dist.mean(), median: dist.median() });
        Ok(dist)
    }

    fn delay(&mut self, path: &'static str, d: &Distribution, clip: f64) -> Result<DelayDist, ConfigError> {
        let dist = DelayDist::new(self.solve(path, d, Transform::Delay { clip })?, clip);
        self.record(Effective { mean: dist.mean(), median: dist.median() });
        Ok(dist)
    }

    fn record(&mut self, effective: Effective) {
        if let Some(field) = self.resolved.last_mut() {
            field.effective = effective;
        }
    }

    fn solve(
        &mut self,
        path: &'static str,
        stated: &Distribution,
        transform: Transform,
    ) -> Result<Lognormal, ConfigError> {
        let calibration = Calibration { stated, transform };
        let mut overridden = false;
        let Parameters { mu, sigma } = if self.config.calibrate {
            match calibration.calibrated() {
                Ok(solved) => solved,
                Err(reason) if self.overridden => {
                    overridden = true;
                    self.warnings.push(format!("{path}: {reason}; its calibration is dropped"));
                    calibration.uncalibrated()
                }
                Err(reason) => return Err(ConfigError::new(path, reason)),
            }
        } else {
            calibration.uncalibrated()
        };
        let lognormal = calibration.lognormal(Parameters { mu, sigma }).ok_or_else(|| no_probability(path))?;
        self.resolved.push(Resolved {
            path,
            stated: stated.clone(),
            solved: Solved { mu, sigma, bias: None },
            effective: Effective { mean: f64::NAN, median: f64::NAN },
            target: Targets { mean: stated.mean, median: stated.median },
            calibrated: self.config.calibrate && !overridden,
            overridden,
        });
        Ok(lognormal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::preset;

    #[test]
    fn the_default_preset_has_a_small_truncation_bias() {
        let config = Config::from_json(preset("default").expect("bundled")).expect("valid");
        let resolution = Resolution::new(&config, false).expect("feasible");
        let bias = resolution.resolved.last().and_then(|f| f.solved.bias).expect("solved");
        assert!((1.005..1.2).contains(&bias), "{bias}");
    }

    #[test]
    fn a_mean_above_the_context_limit_is_refused_with_the_largest_that_fits() {
        let mut config = Config::from_json(preset("default").expect("bundled")).expect("valid");
        config.max_prompt_tokens = 40_000;
        config.cache.layer2.as_mut().expect("stated").mean = Some(2_000.0);
        let error = Resolution::new(&config, false).expect_err("infeasible").to_string();
        assert!(error.starts_with("new_tokens_per_turn: mean 6000 cannot be met below max_prompt_tokens"), "{error}");
        let resolution = Resolution::new(&config, true).expect("given up with a warning");
        assert_eq!(resolution.warnings.len(), 1);
        assert!(resolution.resolved.last().is_some_and(|f| f.overridden));
    }
}
