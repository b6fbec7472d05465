//! The laws a configuration resolves to, and the record of how: stated, solved, effective.

use serde::Serialize;

use crate::config::{Bias, Config, Distribution, MAX_TOKENS, Turns};
use crate::dist::{DelayDist, Effective, Lognormal, Parameters, Shape, Solver, TokenCountDist};
use crate::error::ConfigError;
use crate::pilot;
use crate::rng::Stream;
use crate::rules::Rules;

/// Least output of a turn, unless the configuration says less.
const LEAST_OUTPUT_TOKENS: u32 = 30;

/// How one field's distribution was resolved.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Resolved {
    /// The field's path in the configuration.
    #[serde(skip)]
    pub path: &'static str,
    /// As the configuration states it.
    pub stated: Distribution,
    /// Parameters of the lognormal before its cuts; `mu` includes the bias.
    pub solved: Solved,
    /// Mean and median of the draws.
    pub effective: Effective,
    /// What observed values are compared with; null where nothing is stated.
    pub target: Targets,
    /// Whether the parameters were solved for the stated values.
    pub calibrated: bool,
    /// Whether an override made the stated values infeasible.
    pub overridden: bool,
}

/// Parameters of a lognormal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Solved {
    /// Mean of the logarithm.
    pub mu: f64,
    /// Standard deviation of the logarithm.
    pub sigma: f64,
    /// Factor on the median included in `mu`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bias: Option<f64>,
}

/// Stated mean and median.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Targets {
    /// Mean.
    pub mean: Option<f64>,
    /// Median.
    pub median: Option<f64>,
}

/// All laws of a configuration.
#[derive(Debug, Clone)]
pub(crate) struct Laws {
    pub layer2: TokenCountDist,
    pub new_tokens: TokenCountDist,
    pub output: TokenCountDist,
    pub agentic: DelayDist,
    pub human: DelayDist,
    pub resolved: Vec<Resolved>,
    pub warnings: Vec<String>,
}

impl Laws {
    /// Resolves every distribution. `overridden`: limits were set beside the configuration, so a target that became
    /// infeasible is given up with a warning instead of refused.
    pub(crate) fn resolve(config: &Config, overridden: bool) -> Result<Self, ConfigError> {
        let mut resolver = Resolver { config, overridden, resolved: Vec::new(), warnings: Vec::new() };
        // The cap of the first context: a prompt ends below the limit.
        let room = u64::from(config.max_prompt_tokens) - 1 - config.prefix_tokens();
        let layer2 = resolver.length("cache.layer2", &config.cache.layer2, 1, room as u32)?;
        let output = &config.generation_length;
        let output = resolver.length("generation_length", output, least_output(output), MAX_TOKENS)?;
        let clip = config.inter_turn_delay.max.unwrap_or(f64::INFINITY);
        let agentic = resolver.delay("inter_turn_delay.agentic_delay", &config.inter_turn_delay.agentic_delay, clip)?;
        let human = resolver.delay("inter_turn_delay.human_delay", &config.inter_turn_delay.human_delay, clip)?;
        let new_tokens = resolver.length("new_tokens_per_turn", &config.new_tokens_per_turn, 1, MAX_TOKENS)?;
        let Resolver { resolved, warnings, .. } = resolver;
        let mut laws = Self { layer2, new_tokens, output, agentic, human, resolved, warnings };
        laws.apply_bias(config, overridden)?;
        Ok(laws)
    }

    /// Moves the new-tokens law by its bias, stated or solved.
    fn apply_bias(&mut self, config: &Config, overridden: bool) -> Result<(), ConfigError> {
        let path = "new_tokens_per_turn";
        let stated = &config.new_tokens_per_turn;
        let unbiased = self.new_tokens.clone();
        let bias = match stated.bias.unwrap_or(Bias::Factor(1.0)) {
            Bias::Factor(factor) => factor,
            Bias::Auto(_) => match pilot::solve_bias(&Rules::new(config, self), &unbiased) {
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
            },
        };
        self.new_tokens = biased(&unbiased, bias).ok_or_else(|| no_mass(path))?;
        if let Some(field) = self.resolved.last_mut() {
            let law = self.new_tokens.lognormal();
            field.solved = Solved { mu: law.mu(), sigma: law.sigma(), bias: Some(bias) };
            field.effective = Effective { mean: self.new_tokens.mean(), median: self.new_tokens.median() };
        }
        Ok(())
    }
}

/// The law with its median multiplied by `bias` before the cuts.
pub(crate) fn biased(law: &TokenCountDist, bias: f64) -> Option<TokenCountDist> {
    if bias == 1.0 {
        return Some(law.clone());
    }
    let before = law.lognormal();
    let (min, max) = before.bounds();
    let moved = Lognormal::new(before.mu() + libm::log(bias), before.sigma(), min, max)?;
    Some(law.with_lognormal(moved))
}

fn no_mass(path: &str) -> ConfigError {
    ConfigError::new(path, "no value lies between min and max: move them towards the median, or raise sigma")
}

/// Outputs are at least 30 tokens, or max if that is less; an explicit smaller min wins.
fn least_output(stated: &Distribution) -> u32 {
    let floor = f64::from(LEAST_OUTPUT_TOKENS).min(stated.max.unwrap_or(f64::INFINITY));
    (stated.min.map_or(floor, |min| min.min(floor)) as u32).max(1)
}

/// The fewest new tokens and the fewest output tokens of a turn.
pub(crate) fn least_growth(config: &Config) -> (u64, u64) {
    let whole = |d: &Distribution| d.min.map_or(0, |min| min as u64);
    let output = &config.generation_length;
    (whole(&config.new_tokens_per_turn).max(1), whole(output).max(u64::from(least_output(output))))
}

struct Resolver<'a> {
    config: &'a Config,
    overridden: bool,
    resolved: Vec<Resolved>,
    warnings: Vec<String>,
}

impl Resolver<'_> {
    fn length(
        &mut self,
        path: &'static str,
        d: &Distribution,
        low: u32,
        cap: u32,
    ) -> Result<TokenCountDist, ConfigError> {
        let law = TokenCountDist::new(self.solve(path, d, Shape::Length { low, cap })?, low, cap);
        self.record(Effective { mean: law.mean(), median: law.median() });
        Ok(law)
    }

    fn delay(&mut self, path: &'static str, d: &Distribution, clip: f64) -> Result<DelayDist, ConfigError> {
        let law = DelayDist::new(self.solve(path, d, Shape::Delay { clip })?, clip);
        self.record(Effective { mean: law.mean(), median: law.median() });
        Ok(law)
    }

    fn record(&mut self, effective: Effective) {
        if let Some(field) = self.resolved.last_mut() {
            field.effective = effective;
        }
    }

    fn solve(&mut self, path: &'static str, stated: &Distribution, shape: Shape) -> Result<Lognormal, ConfigError> {
        let solver = Solver { stated, shape };
        let mut overridden = false;
        let Parameters { mu, sigma } = if self.config.calibrate {
            match solver.calibrated() {
                Ok(solved) => solved,
                Err(reason) if self.overridden => {
                    overridden = true;
                    self.warnings.push(format!("{path}: {reason}; its calibration is dropped"));
                    solver.textbook()
                }
                Err(reason) => return Err(ConfigError::new(path, reason)),
            }
        } else {
            solver.textbook()
        };
        let law = solver.lognormal(Parameters { mu, sigma }).ok_or_else(|| no_mass(path))?;
        self.resolved.push(Resolved {
            path,
            stated: stated.clone(),
            solved: Solved { mu, sigma, bias: None },
            effective: Effective { mean: f64::NAN, median: f64::NAN },
            target: Targets { mean: stated.mean, median: stated.median },
            calibrated: self.config.calibrate && !overridden,
            overridden,
        });
        Ok(law)
    }
}

/// The number of turns a session is to have.
#[derive(Debug, Clone)]
pub(crate) struct TurnTarget {
    law: Lognormal,
    min: u32,
    max: u32,
}

impl TurnTarget {
    pub(crate) fn new(turns: &Turns) -> Option<Self> {
        let sigma = (2.0 * libm::log(turns.mean / turns.median)).max(0.0).sqrt();
        let law = Lognormal::new(libm::log(turns.median), sigma, 0.0, f64::INFINITY)?;
        Some(Self { law, min: turns.min, max: turns.max })
    }

    /// Share of the draws below `turns`, a whole number.
    pub(crate) fn share_below(&self, turns: f64) -> f64 {
        if turns <= f64::from(self.min) {
            return 0.0;
        }
        if turns > f64::from(self.max) { 1.0 } else { 1.0 - self.law.survival(turns - 0.5) }
    }

    /// Rounded half-even, clamped.
    pub(crate) fn draw(&self, stream: &mut Stream) -> u32 {
        (self.law.quantile(stream.uniform()).round_ties_even() as u32).clamp(self.min, self.max)
    }
}
