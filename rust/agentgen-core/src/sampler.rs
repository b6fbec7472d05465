//! How the sessions of a configuration are drawn.

use crate::agents::AgentModel;
use crate::config::Config;
use crate::distributions::{Resolution, Resolved};
use crate::error::ConfigError;
use crate::rng::RandomStreams;
use crate::turns::TurnSampler;

/// Draws the calls of sessions.
#[derive(Debug, Clone)]
pub(crate) enum Sampler {
    /// Turns that are alike.
    Turns(Box<TurnSampler>),
    /// Calls by trigger, breaks and sub-agents.
    Agents(Box<AgentModel>),
}

/// The sampler of a configuration, and how its distributions were resolved.
#[derive(Debug)]
pub(crate) struct Drawn {
    pub sampler: Sampler,
    pub resolved: Vec<Resolved>,
    pub warnings: Vec<String>,
}

impl Drawn {
    /// Of a checked configuration. `overridden`: limits were set beside it.
    pub(crate) fn new(config: &Config, overridden: bool) -> Result<Self, ConfigError> {
        if let Some(model) = AgentModel::new(config)? {
            let sampler = Sampler::Agents(Box::new(model));
            return Ok(Self { sampler, resolved: Vec::new(), warnings: Vec::new() });
        }
        let prefix = config.first_prompt()?.added;
        let (_, delay) = config.plain_turns()?;
        let Resolution { dists, resolved, warnings } = Resolution::new(config, overridden)?;
        let sampler = Sampler::Turns(Box::new(TurnSampler::new(config, delay, prefix, dists)));
        Ok(Self { sampler, resolved, warnings })
    }
}

/// Sessions whose turns are counted to know about how many there are.
const PROBES: u64 = 64;

impl Sampler {
    /// About how many turns a session has, with all sessions under it.
    pub(crate) fn expected_turns(&self, config: &Config) -> f64 {
        match self {
            Self::Agents(model) => {
                let streams = RandomStreams::new(0);
                let calls: usize = (0..PROBES).map(|root| model.count_calls(&streams, root)).sum();
                calls as f64 / PROBES as f64
            }
            Self::Turns(sampler) => {
                let room = f64::from(config.max_prompt_tokens) - config.prefix_tokens() as f64;
                let mut turns = 1.0 + room / sampler.growth();
                if let Some(reset) = config.reset.filter(|r| r.base_probability > 0.0) {
                    turns = turns.min(1.0 + 1.0 / reset.base_probability);
                }
                if let Some(explicit) = sampler.turn_count() {
                    turns = turns.min(explicit.mean());
                }
                turns
            }
        }
    }
}
