//! The configuration: complete, explicit values, as recorded in `manifest.json`.
//!
//! The Python package fills in defaults, merges overlays and suggests spellings; this module reads the complete
//! configuration as JSON, and [`Config::check`] holds the rules that types cannot express.

mod agents;
mod check;
mod check_agents;
mod distributions;
mod presets;

pub use agents::{
    BreakKind, Breaks, CallsPerHumanTurn, Caused, ContextBand, ContextWindow, Correlation, Curve, Effect, Kept,
    KeptPart, NewPrompt, OutputKept, ServiceTime, SessionEffects, SubagentKind, Subagents, Triggers,
};
pub use check::{MAX_TOKENS, MIN_PROMPT_LIMIT};
pub use presets::{preset, preset_names, preset_summary};
use serde::{Deserialize, Serialize};

use crate::error::ConfigError;

/// Smallest output of a turn unless `generation_length` allows less.
const MIN_OUTPUT_TOKENS: u32 = 30;

/// A complete generator configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Context limit: every prompt has fewer tokens than this (3 ..= 2^31 - 1).
    pub max_prompt_tokens: u32,
    /// Tokens per KV block.
    pub block_size: u32,
    /// The prefix layers of the first prompt.
    pub cache: Cache,
    /// New tokens of every turn after the first; may have a `bias`. Null with `triggers`.
    pub new_tokens_per_turn: Option<Distribution>,
    /// Output tokens of every turn.
    pub generation_length: Distribution,
    /// Delay between the end of a response and the next turn. Null with `triggers`.
    pub inter_turn_delay: Option<InterTurnDelay>,
    /// Random ends of sessions; null if `turns` or `context_windows` is stated.
    pub reset: Option<Reset>,
    /// Explicit turn counts, an alternative to `reset`.
    pub turns: Option<Turns>,
    /// Probability that a restart splits the first root session; falls to 0 over the first 75 % of the root sessions.
    pub restart_initial_probability: f64,
    /// Turn index at which a restart splits a session: uniform in `[min, max)`.
    pub restart_turn_range: [u32; 2],
    /// Arrival times of the sessions.
    pub arrival: Arrival,
    /// Whether to solve the parameters of the distributions for the stated means of the written values.
    pub calibrate: bool,
    /// What causes calls, with lengths and delays of each cause; instead of `new_tokens_per_turn`, `inter_turn_delay`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub triggers: Option<Triggers>,
    /// How much sessions differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_effects: Option<SessionEffects>,
    /// How much of an output the next prompt holds; null: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_kept: Option<OutputKept>,
    /// Context limits of sessions; null: `max_prompt_tokens` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_windows: Option<Vec<ContextWindow>>,
    /// Where prefixes break.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaks: Option<Breaks>,
    /// Other agents that sessions start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subagents: Option<Subagents>,
    /// The time that a server takes, for analyses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_time: Option<ServiceTime>,
}

/// The layers of a session's first prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// L1: tokens shared by all sessions; rounded up to whole blocks.
    pub layer1_tokens: u32,
    /// L1.5: tokens shared by the sessions of a group; rounded up to whole blocks.
    pub layer1_5_tokens: u32,
    /// The groups of L1.5.
    pub layer1_5_groups: Groups,
    /// L2: tokens of the session alone; null with `first_prompt`.
    pub layer2: Option<Distribution>,
    /// The first prompt as a whole, L1 and L1.5 included; instead of `layer2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_prompt: Option<Distribution>,
}

/// How the first prompt is drawn: its part after the prefix (`layer2`), or all of it (`first_prompt`).
#[derive(Debug, Clone, Copy)]
pub struct FirstPrompt<'a> {
    /// Path of the field.
    pub path: &'static str,
    /// The distribution.
    pub stated: &'a Distribution,
    /// Tokens added to each draw: the prefix with `layer2`.
    pub added: u32,
    /// Smallest draw, tokens.
    pub low: u32,
    /// Largest draw, tokens.
    pub cap: u32,
}

/// L1.5 groups; group k = 1, 2, ... is chosen with weight `k^-zipf_alpha`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Groups {
    /// Number of groups, at least 1.
    pub num_groups: u32,
    /// Exponent of the weights, at least 0.
    pub zipf_alpha: f64,
}

/// A distribution, truncated to `min ..= max`: a lognormal (mean + median, mean + sigma, median + sigma or mu + sigma),
/// another family (`family`, median + shape), a mixture of lognormals, or a table of quantiles.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Distribution {
    /// Mean, in the field's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// Median, in the field's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median: Option<f64>,
    /// Mean of the logarithm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mu: Option<f64>,
    /// Standard deviation of the logarithm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigma: Option<f64>,
    /// Another family than the lognormal, with median and shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// Shape of the family.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<f64>,
    /// Lognormals of which one is drawn by weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixture: Option<Vec<Component>>,
    /// Quantiles `[p, value]` from p = 0 to 1; between two, the logarithm of the value is linear in p (the value, where
    /// the lower one is 0).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantiles: Option<Vec<[f64; 2]>>,
    /// Lower bound of the draws, in the field's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Upper bound of the draws, in the field's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Factor on the median, or `"auto"`; only in `new_tokens_per_turn`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bias: Option<Bias>,
}

/// A family of distributions on positive values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Gamma.
    Gamma,
    /// Weibull.
    Weibull,
    /// Log-logistic.
    LogLogistic,
    /// Pareto, from 0 on (Lomax): the tail falls like `x^-shape`.
    Pareto,
}

/// A lognormal of a mixture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// Weight, relative to the others.
    pub weight: f64,
    /// Median, in the field's unit.
    pub median: f64,
    /// Standard deviation of the logarithm.
    pub sigma: f64,
}

/// Compensation of the truncation bias: turns dropped at the context limit are larger than average.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Bias {
    /// Solved so that the written turns have the stated mean.
    Auto(Auto),
    /// Factor on the median, more than 0.
    Factor(f64),
}

/// The word `"auto"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auto {
    /// `auto`.
    Auto,
}

/// Two kinds of delay, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InterTurnDelay {
    /// Share of turns that follow a tool result; the others follow a person's request.
    pub agentic_fraction: f64,
    /// Delay before a tool result, ms.
    pub agentic_delay: Distribution,
    /// Delay before a person's request, ms.
    pub human_delay: Distribution,
    /// Delays above this are set to it, ms; null: no limit.
    pub max: Option<f64>,
    /// Factor `max(floor, 1 - slope * previous context / max_prompt_tokens)` on both kinds; null: 1.
    pub context_speedup: Option<ContextSpeedup>,
}

/// Makes delays shorter as the context grows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContextSpeedup {
    /// Reduction of the delay at a full context, as a share of it.
    pub slope: f64,
    /// Lower bound of the factor.
    pub floor: f64,
}

/// The probability with which a session ends before each turn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// Probability at an empty context.
    pub base_probability: f64,
    /// Factor on the probability at a full context; linear in between.
    pub context_scaling: f64,
}

/// A drawn number of turns per session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turns {
    /// Mean of the lognormal; with `calibrate`, of the turn counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// Median of the lognormal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median: Option<f64>,
    /// Standard deviation of the logarithm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sigma: Option<f64>,
    /// Lower bound of the turns of a session.
    pub min: u32,
    /// Upper bound of the turns of a session.
    pub max: u32,
    /// Whether to keep sessions that reach the context limit with fewer turns.
    pub allow_truncation: bool,
    /// Number of attempts to draw a session that does not reach the context limit; null: 100.
    pub max_session_attempts: Option<u32>,
}

/// Arrival process of the sessions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Arrival {
    /// Closed loop: no arrival times; the concurrency of a replay decides.
    Closed,
    /// Open loop: a Poisson process.
    Poisson {
        /// Sessions per second.
        rate: f64,
    },
}

/// Limits that override the configuration (`--max-isl`, `--max-osl`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Overrides {
    /// Overrides `max_prompt_tokens`.
    pub max_isl: Option<u32>,
    /// Overrides `generation_length.max`.
    pub max_osl: Option<u32>,
}

impl Overrides {
    /// Whether no limit is set.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

impl Distribution {
    /// `mu` and `sigma` of a lognormal; `None` for the other forms.
    #[must_use]
    pub fn lognormal(&self) -> Option<(f64, f64)> {
        if self.family.is_some() {
            return None;
        }
        Some(match (self.mean, self.median, self.mu, self.sigma) {
            (Some(mean), Some(median), ..) => (libm::log(median), (2.0 * libm::log(mean / median)).max(0.0).sqrt()),
            (Some(mean), _, _, Some(sigma)) => (libm::log(mean) - 0.5 * sigma * sigma, sigma),
            (_, Some(median), _, Some(sigma)) => (libm::log(median), sigma),
            (.., Some(mu), Some(sigma)) => (mu, sigma),
            _ => return None,
        })
    }
}

impl Distribution {
    /// Whether it is stated as one lognormal.
    #[must_use]
    pub fn is_lognormal(&self) -> bool {
        self.family.is_none() && self.mixture.is_none() && self.quantiles.is_none()
    }
}

impl Config {
    /// Applies overrides and checks the result.
    pub fn overridden(&self, overrides: Overrides) -> Result<Self, ConfigError> {
        let mut config = self.clone();
        if let Some(max_isl) = overrides.max_isl {
            config.max_prompt_tokens = max_isl;
        }
        if let Some(max_osl) = overrides.max_osl {
            config.generation_length.max = Some(f64::from(max_osl));
        }
        config.check()?;
        Ok(config)
    }

    /// Reads a complete configuration and checks it.
    pub fn from_json(json: &str) -> Result<Self, ConfigError> {
        let config: Self = serde_json::from_str(json).map_err(|e| ConfigError::new("config", e.to_string()))?;
        config.check()?;
        Ok(config)
    }

    /// The configuration as a JSON object, keys in the order of the fields.
    ///
    /// # Panics
    /// Never: every field has a JSON form.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("a configuration is plain data")
    }

    /// Blocks of L1 and of L1.5.
    #[must_use]
    pub fn prefix_blocks(&self) -> (u64, u64) {
        let blocks = |tokens: u32| u64::from(tokens.div_ceil(self.block_size));
        (blocks(self.cache.layer1_tokens), blocks(self.cache.layer1_5_tokens))
    }

    /// Effective tokens of L1 and L1.5, each rounded up to whole blocks.
    #[must_use]
    pub fn prefix_tokens(&self) -> u64 {
        let (layer1, layer1_5) = self.prefix_blocks();
        (layer1 + layer1_5) * u64::from(self.block_size)
    }

    /// Whether the calls of sessions are drawn one by one, as sections about agents and forms of distributions other
    /// than the lognormal need; calibration solves for lognormals alone.
    #[must_use]
    pub fn describes_agents(&self) -> bool {
        let has_sections = self.triggers.is_some()
            || self.session_effects.is_some()
            || self.output_kept.is_some()
            || self.context_windows.is_some()
            || self.breaks.is_some()
            || self.subagents.is_some();
        let delays = self.inter_turn_delay.iter().flat_map(|delay| [&delay.agentic_delay, &delay.human_delay]);
        let tokens = [&self.cache.layer2, &self.cache.first_prompt, &self.new_tokens_per_turn];
        let mut stated = tokens.into_iter().flatten().chain(delays).chain([&self.generation_length]);
        has_sections || stated.any(|distribution| !distribution.is_lognormal())
    }

    /// New tokens and delays of a configuration without `triggers`.
    pub fn plain_turns(&self) -> Result<(&Distribution, &InterTurnDelay), ConfigError> {
        let missing = |path| ConfigError::new(path, "found null, expected an object, unless triggers is given");
        let new_tokens = self.new_tokens_per_turn.as_ref().ok_or_else(|| missing("new_tokens_per_turn"))?;
        Ok((new_tokens, self.inter_turn_delay.as_ref().ok_or_else(|| missing("inter_turn_delay"))?))
    }

    /// How the first prompt is drawn. The prefix must fit below the context limit.
    pub fn first_prompt(&self) -> Result<FirstPrompt<'_>, ConfigError> {
        let (prefix, most) = (self.prefix_tokens() as u32, self.max_prompt_tokens - 1);
        match (&self.cache.layer2, &self.cache.first_prompt) {
            (Some(stated), None) => {
                Ok(FirstPrompt { path: "cache.layer2", stated, added: prefix, low: 1, cap: most - prefix })
            }
            (None, Some(stated)) => {
                Ok(FirstPrompt { path: "cache.first_prompt", stated, added: 0, low: prefix + 1, cap: most })
            }
            (stated, _) => {
                let found = if stated.is_some() { "a distribution beside cache.layer2" } else { "null" };
                let expected = "one of cache.layer2 and cache.first_prompt";
                Err(ConfigError::new("cache.first_prompt", format!("found {found}, expected {expected}")))
            }
        }
    }

    /// The smallest output, in tokens: 30, or less if `min` or `max` of `generation_length` is less.
    #[must_use]
    pub fn smallest_output(&self) -> u32 {
        let stated = &self.generation_length;
        let floor = f64::from(MIN_OUTPUT_TOKENS).min(stated.max.unwrap_or(f64::INFINITY));
        (stated.min.map_or(floor, |min| min.min(floor)) as u32).max(1)
    }

    /// The smallest number of tokens by which a turn after the first extends the context: new and returned tokens.
    #[must_use]
    pub fn smallest_growth(&self) -> u64 {
        let least = |d: &Distribution| d.min.map_or(0, |min| min as u64);
        let output = least(&self.generation_length).max(u64::from(self.smallest_output()));
        let input = match (&self.triggers, &self.new_tokens_per_turn) {
            (Some(triggers), _) => {
                let bands = triggers.human.new_tokens.iter().chain(&triggers.tool.new_tokens);
                let short = self.output_kept.iter().filter_map(|kept| kept.short_new_tokens.as_ref());
                bands.map(|band| &band.tokens).chain(short).map(least).min().unwrap_or(0)
            }
            (None, Some(stated)) => least(stated),
            (None, None) => 0,
        };
        input.max(1) + self.least_returned(output)
    }

    /// The smallest growth of sub-agents, and their most calls.
    #[must_use]
    pub fn smallest_growth_of_subagents(&self) -> (u64, u64) {
        let least = |d: &Distribution| d.min.map_or(0, |min| min as u64).max(1);
        let kinds = self.subagents.iter().flat_map(|subagents| &subagents.kinds);
        let short = self.output_kept.iter().filter_map(|kept| kept.short_new_tokens.as_ref()).map(least).min();
        let new_tokens = |kind: &SubagentKind| short.unwrap_or(u64::MAX).min(least(&kind.new_tokens));
        let growth = |kind: &SubagentKind| new_tokens(kind) + self.least_returned(least(&kind.output));
        let most = |kind: &SubagentKind| kind.calls.max.map_or(u64::MAX, |max| (max as u64).max(1));
        (kinds.clone().map(growth).min().unwrap_or(1), kinds.map(most).max().unwrap_or(1))
    }

    /// The least tokens of an output of at least `output` tokens that the next prompt holds.
    fn least_returned(&self, output: u64) -> u64 {
        let missing = self.output_kept.as_ref().map_or(0.0, |kept| kept.missing_share.max.unwrap_or(1.0).min(1.0));
        ((1.0 - missing) * output as f64) as u64
    }

    /// Effective tokens of the prefix of a kind of sub-agent, rounded up to whole blocks.
    #[must_use]
    pub fn kind_prefix_tokens(&self, kind: &SubagentKind) -> u64 {
        u64::from(kind.prefix_tokens.div_ceil(self.block_size)) * u64::from(self.block_size)
    }
}
