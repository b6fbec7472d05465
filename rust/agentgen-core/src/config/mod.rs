//! The configuration: complete, explicit values, exactly as `manifest.json` records them.
//!
//! Defaults, overlays and spelling help belong to the Python front; what reaches this module is the whole
//! configuration in JSON, and [`Config::check`] holds the rules that no type can express.

mod presets;
mod rules;

pub use rules::MAX_TOKENS;

pub use presets::{preset, preset_names};
use serde::{Deserialize, Serialize};

use crate::error::ConfigError;

/// A whole generator configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Prompts are shorter than this many tokens (3 ..= 2^31 - 1).
    pub max_prompt_tokens: u32,
    /// KV block size in tokens.
    pub block_size: u32,
    /// The layered shared prefix.
    pub cache: Cache,
    /// New tokens of every turn after the first.
    pub new_tokens_per_turn: Distribution,
    /// Output tokens of every turn.
    pub generation_length: Distribution,
    /// Pause between the end of a response and the next turn.
    pub inter_turn_delay: InterTurnDelay,
    /// How sessions end at random; not with `turns`.
    pub reset: Option<Reset>,
    /// Explicit turn counts, instead of `reset`.
    pub turns: Option<Turns>,
    /// Probability that the first session is split by a restart; decays to 0 over the first 75 % of the sessions.
    pub restart_initial_probability: f64,
    /// Turn index at which a restart splits a session: uniform in `[min, max)`.
    pub restart_turn_range: [u32; 2],
    /// When sessions arrive.
    pub arrival: Arrival,
    /// Solve the distributions' parameters so that what is written has the stated mean.
    pub calibrate: bool,
}

/// The layers of a first prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// L1: tokens that all sessions share; rounded up to whole blocks.
    pub layer1_tokens: u32,
    /// L1.5: tokens that the sessions of one group share; rounded up to whole blocks.
    pub layer1_5_tokens: u32,
    /// The groups of L1.5.
    pub layer1_5_groups: Groups,
    /// L2: tokens of a session's own.
    pub layer2: Distribution,
}

/// Groups, chosen with weight `k^-zipf_alpha` for k = 1, 2, ...
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Groups {
    /// Number of groups, at least 1.
    pub num_groups: u32,
    /// Exponent of the weights, at least 0.
    pub zipf_alpha: f64,
}

/// A lognormal, stated as mean + median, mean + sigma or mu + sigma, cut off at `min` and `max`.
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
    /// No draw is smaller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// No draw is larger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// `new_tokens_per_turn` only: factor on the median, or `"auto"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bias: Option<Bias>,
}

/// The shift that makes up for turns lost at the context limit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Bias {
    /// Solved, so that the turns written have the distribution's mean.
    Auto(Auto),
    /// A stated factor on the median, more than 0.
    Factor(f64),
}

/// The word `"auto"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auto {
    /// Solve it.
    Auto,
}

/// Two kinds of pause, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InterTurnDelay {
    /// Share of turns that a tool result starts; the rest wait for a person.
    pub agentic_fraction: f64,
    /// Pause before a tool result, ms.
    pub agentic_delay: Distribution,
    /// Pause before a person's next request, ms.
    pub human_delay: Distribution,
    /// Hard clip of either, ms.
    pub max: Option<f64>,
    /// Factor `max(floor, 1 - slope * previous context / max_prompt_tokens)` on either.
    pub context_speedup: Option<ContextSpeedup>,
}

/// Delays shrink as the context grows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContextSpeedup {
    /// Share of the delay lost at a full context.
    pub slope: f64,
    /// Smallest factor.
    pub floor: f64,
}

/// The hazard with which a session ends before each turn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// Probability at an empty context.
    pub base_probability: f64,
    /// Factor on it at a full context, linear between.
    pub context_scaling: f64,
}

/// Sessions of a drawn number of turns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turns {
    /// Mean of the lognormal.
    pub mean: f64,
    /// Median of the lognormal.
    pub median: f64,
    /// Fewest turns.
    pub min: u32,
    /// Most turns.
    pub max: u32,
    /// A session that meets the context limit first is kept as it is.
    pub allow_truncation: bool,
    /// How often a session is drawn again when it meets the limit first.
    pub max_session_attempts: Option<u32>,
}

/// Session arrivals.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Arrival {
    /// No arrival times: the replayer's concurrency decides.
    Closed,
    /// Independent arrivals.
    Poisson {
        /// Sessions per second.
        rate: f64,
    },
}

/// Limits set beside the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Overrides {
    /// Replaces `max_prompt_tokens`.
    pub max_isl: Option<u32>,
    /// Replaces `generation_length.max`.
    pub max_osl: Option<u32>,
}

impl Overrides {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

impl Config {
    /// The configuration with the overrides in place, checked.
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

    /// The configuration as one JSON object, keys in the order of this page.
    ///
    /// # Panics
    /// Never: every field has a JSON form.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("a configuration is plain data")
    }

    /// Whole blocks of L1 and of L1.5.
    #[must_use]
    pub fn prefix_blocks(&self) -> (u64, u64) {
        let blocks = |tokens: u32| u64::from(tokens.div_ceil(self.block_size));
        (blocks(self.cache.layer1_tokens), blocks(self.cache.layer1_5_tokens))
    }

    /// Effective size of the shared prefix: L1 and L1.5, each rounded up to whole blocks.
    #[must_use]
    pub fn prefix_tokens(&self) -> u64 {
        let (layer1, layer1_5) = self.prefix_blocks();
        (layer1 + layer1_5) * u64::from(self.block_size)
    }
}
