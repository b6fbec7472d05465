//! Hits by prefix layer and by turn.

use agentgen_core::config::Config;
use agentgen_trace::meta::TraceMeta;
use schemars::JsonSchema;
use serde::Serialize;

use super::rates::ratio;
use agentgen_trace::session::Session;

/// A layer of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// L1: shared by all sessions.
    #[serde(rename = "l1")]
    L1,
    /// L1.5: shared by the sessions of a group.
    #[serde(rename = "l1_5")]
    L1_5,
    /// L2: the rest of a root session's first prompt.
    #[serde(rename = "l2")]
    L2,
    /// The part of a restart session's first prompt that comes from its parent.
    Carried,
    /// Tokens after the first prompt of the session, including outputs.
    History,
}

pub(crate) const LAYERS: [Layer; 5] = [Layer::L1, Layer::L1_5, Layer::L2, Layer::Carried, Layer::History];

/// Sizes of the shared prefix layers in tokens; 0 if unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SharedLayers {
    /// L1.
    pub layer1_tokens: u64,
    /// L1.5.
    pub layer1_5_tokens: u64,
}

impl SharedLayers {
    /// Tokens of L1 and L1.5.
    #[must_use]
    pub fn tokens(self) -> u64 {
        self.layer1_tokens + self.layer1_5_tokens
    }

    /// The layers of a trace; known for generated traces.
    #[must_use]
    pub fn of_trace(meta: &TraceMeta) -> Self {
        meta.origin.as_ref().map_or_else(Self::default, |origin| Self::of(&origin.config))
    }

    /// The layers of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let (layer1, layer1_5) = config.prefix_blocks();
        let block = u64::from(config.block_size);
        Self { layer1_tokens: layer1 * block, layer1_5_tokens: layer1_5 * block }
    }
}

/// Prompt tokens and cached tokens by layer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layers {
    prompt_tokens: [u64; LAYERS.len()],
    hit_tokens: [u64; LAYERS.len()],
}

/// Tokens of a prompt in each layer, and how many of them are cached.
pub(crate) fn layers_of(
    shared: SharedLayers,
    conversation: &Session,
    context_tokens: u32,
    hit_tokens: u32,
) -> [(u64, u64); LAYERS.len()] {
    let first = u64::from(conversation.first_context_tokens());
    let own = if conversation.link.is_restart() { [0, first] } else { [first, first] };
    let layer1 = shared.layer1_tokens;
    let ends = [layer1, layer1 + shared.layer1_5_tokens, own[0], own[1], u64::from(context_tokens)];
    let mut start = 0;
    ends.map(|end| {
        let end = end.clamp(start, u64::from(context_tokens).max(start));
        let part = (end - start, u64::from(hit_tokens).clamp(start, end) - start);
        start = end;
        part
    })
}

/// The hit rate of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct LayerRate {
    /// The layer.
    pub layer: Layer,
    /// Tokens of the prompts in this layer.
    pub prompt_tokens: u64,
    /// Cached tokens.
    pub hit_tokens: u64,
    /// Cached tokens / prompt tokens.
    pub hit_rate: f64,
}

impl Layers {
    pub(crate) fn add(&mut self, shared: SharedLayers, conversation: &Session, context_tokens: u32, hit_tokens: u32) {
        let parts = layers_of(shared, conversation, context_tokens, hit_tokens);
        for (layer, (tokens, hits)) in parts.into_iter().enumerate() {
            self.prompt_tokens[layer] += tokens;
            self.hit_tokens[layer] += hits;
        }
    }

    /// Hit rates of the layers that have tokens.
    pub(crate) fn rates(&self) -> Vec<LayerRate> {
        let rate = |(index, layer)| {
            let (prompt_tokens, hit_tokens) = (self.prompt_tokens[index], self.hit_tokens[index]);
            LayerRate { layer, prompt_tokens, hit_tokens, hit_rate: ratio(hit_tokens, prompt_tokens) }
        };
        LAYERS.into_iter().enumerate().map(rate).filter(|rate| rate.prompt_tokens > 0).collect()
    }
}

/// Turns from this index on are counted together.
const LAST_TURN: usize = 1_023;

/// Requests by turn index.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turns(Vec<TurnRate>);

/// The hit rate of a turn index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, JsonSchema)]
pub struct TurnRate {
    /// Turn index, 0-based; 1,023 includes all later turns.
    pub turn_index: u32,
    /// Number of requests.
    pub requests: u64,
    /// Tokens of their prompts.
    pub prompt_tokens: u64,
    /// Cached tokens.
    pub hit_tokens: u64,
    /// Cached tokens / prompt tokens.
    pub hit_rate: f64,
}

impl Turns {
    /// The index under which a turn is counted.
    pub(crate) fn index(turn: usize) -> usize {
        turn.min(LAST_TURN)
    }

    pub(crate) fn add(&mut self, turn: usize, prompt_tokens: u32, hit_tokens: u32) {
        let index = Self::index(turn);
        while self.0.len() <= index {
            self.0.push(TurnRate { turn_index: self.0.len() as u32, ..TurnRate::default() });
        }
        let rate = &mut self.0[index];
        rate.requests += 1;
        rate.prompt_tokens += u64::from(prompt_tokens);
        rate.hit_tokens += u64::from(hit_tokens);
    }

    pub(crate) fn rates(mut self) -> Vec<TurnRate> {
        for rate in &mut self.0 {
            rate.hit_rate = ratio(rate.hit_tokens, rate.prompt_tokens);
        }
        self.0
    }
}
