//! Hits by where in the prompt they are, and by turn.

use agentgen_core::config::Config;
use agentgen_trace::meta::TraceMeta;
use schemars::JsonSchema;
use serde::Serialize;

use super::rates::ratio;
use agentgen_trace::session::Session;

/// A part of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// Shared by all sessions.
    #[serde(rename = "l1")]
    L1,
    /// Shared by the sessions of a group.
    #[serde(rename = "l1_5")]
    L1_5,
    /// The rest of a session's first prompt.
    #[serde(rename = "l2")]
    L2,
    /// What a continuation's first prompt has from its parent.
    Carried,
    /// What came after a session's first prompt, outputs included.
    History,
}

pub(crate) const LAYERS: [Layer; 5] = [Layer::L1, Layer::L1_5, Layer::L2, Layer::Carried, Layer::History];

/// Sizes of the layers that sessions share, tokens; 0 where nothing is known of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SharedLayers {
    /// L1.
    pub layer1_tokens: u64,
    /// L1.5.
    pub layer1_5_tokens: u64,
}

impl SharedLayers {
    /// Tokens of both.
    #[must_use]
    pub fn tokens(self) -> u64 {
        self.layer1_tokens + self.layer1_5_tokens
    }

    /// Those of a trace: known if it was generated.
    #[must_use]
    pub fn of_trace(meta: &TraceMeta) -> Self {
        meta.origin.as_ref().map_or_else(Self::default, |origin| Self::of(&origin.config))
    }

    /// Those of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let (layer1, layer1_5) = config.prefix_blocks();
        let block = u64::from(config.block_size);
        Self { layer1_tokens: layer1 * block, layer1_5_tokens: layer1_5 * block }
    }
}

/// Tokens of the prompts' parts, and those found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layers {
    prompt_tokens: [u64; LAYERS.len()],
    hit_tokens: [u64; LAYERS.len()],
}

/// A prompt's tokens in each layer, and those of them that are found.
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

/// A layer's share.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct LayerRate {
    /// Which.
    pub layer: Layer,
    /// Tokens of the prompts in it.
    pub prompt_tokens: u64,
    /// Those found.
    pub hit_tokens: u64,
    /// Tokens found / tokens.
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

    /// The layers that have any tokens.
    pub(crate) fn rates(&self) -> Vec<LayerRate> {
        let rate = |(index, layer)| {
            let (prompt_tokens, hit_tokens) = (self.prompt_tokens[index], self.hit_tokens[index]);
            LayerRate { layer, prompt_tokens, hit_tokens, hit_rate: ratio(hit_tokens, prompt_tokens) }
        };
        LAYERS.into_iter().enumerate().map(rate).filter(|rate| rate.prompt_tokens > 0).collect()
    }
}

/// Turns from this one on are counted together.
const LAST_TURN: usize = 1_023;

/// Requests by turn index.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turns(Vec<TurnRate>);

/// The requests of one turn index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, JsonSchema)]
pub struct TurnRate {
    /// 0-based; 1,023 stands for all later ones too.
    pub turn_index: u32,
    /// How many there are.
    pub requests: u64,
    /// Tokens of their prompts.
    pub prompt_tokens: u64,
    /// Those found.
    pub hit_tokens: u64,
    /// Tokens found / tokens.
    pub hit_rate: f64,
}

impl Turns {
    /// Under which index a turn is counted.
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
