//! What a simulation finds out.

use schemars::JsonSchema;
use serde::Serialize;

use super::bound::Bound;
use super::series::Point;
use crate::histogram::Observed;
use crate::reuse::{HitRates, Layer, LayerRate, ratio};
use agentgen_trace::session::Clock;

/// Requests by what became of them: `in all = served + failed + skipped`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Requests {
    /// Those that were served.
    pub served: u64,
    /// Those that need more blocks than a worker has. Their sessions are over with them.
    pub failed: u64,
    /// Later turns of these sessions: never sent.
    pub skipped: u64,
}

/// Blocks with an identity: `added = resident + evicted + expired`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Blocks {
    /// Blocks that came into a cache, computed or written.
    pub added: u64,
    /// Those of them that had been in that cache before.
    pub refetched: u64,
    /// Blocks that went because room was needed.
    pub evicted: u64,
    /// Blocks that went because nobody had used them for too long.
    pub expired: u64,
    /// Blocks in the caches at the end.
    pub resident: u64,
}

/// Blocks of a layer; a block is of the layer of its first token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LayerBlocks {
    /// The layer: of evicted and expired blocks in the last request that used them, of the others in this one.
    pub layer: Layer,
    /// Blocks that came into a cache.
    pub added: u64,
    /// Those of them that had been there before.
    pub refetched: u64,
    /// Blocks that went because room was needed.
    pub evicted: u64,
    /// Blocks that went because nobody had used them for too long.
    pub expired: u64,
}

/// Times of the requests served, ms. Means are exact to a tenth of a millisecond a request, percentiles within 0.05 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Times {
    /// Time to first token: from being sent to the end of the prefill.
    pub ttft: Option<Observed>,
    /// From being sent to the beginning of the prefill.
    pub queueing: Option<Observed>,
    /// From being sent to the last token.
    pub latency: Option<Observed>,
}

/// How full the caches were: means over time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Occupancy {
    /// Blocks of all workers' caches.
    pub capacity_blocks: u64,
    /// Blocks with an identity.
    pub mean_resident_blocks: f64,
    /// Those of them that running requests held.
    pub mean_pinned_blocks: f64,
    /// Blocks reserved for what running requests write.
    pub mean_reserved_blocks: f64,
    /// The most blocks with an identity or reserved at once.
    pub peak_blocks: u64,
    /// The most blocks pinned or reserved at once: what running requests took.
    pub peak_running_blocks: u64,
    /// Requests admitted and not over.
    pub mean_running: f64,
    /// The most of these at once.
    pub peak_running: u64,
    /// The most requests that waited at once.
    pub peak_queued: u64,
    /// The most sessions that were open at once.
    pub peak_open_sessions: u64,
}

/// The requests of one turn index.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct TurnFigures {
    /// 0-based; 1,023 stands for all later ones too.
    pub turn_index: u32,
    /// How many were served.
    pub requests: u64,
    /// Tokens of their prompts.
    pub prompt_tokens: u64,
    /// Those found.
    pub hit_tokens: u64,
    /// Tokens found / tokens.
    pub hit_rate: f64,
    /// Mean time to first token, ms.
    pub mean_ttft_ms: f64,
    /// Mean time in the queue, ms.
    pub mean_queueing_ms: f64,
}

/// Everything that a simulation finds out. `docs/simulator.md` has every definition.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Figures {
    /// `closed`: sessions start in file order on `concurrency` slots; `arrivals`: at their arrivals; `recorded`: requests
    /// are sent at their own times, if the session's request before is over.
    pub clock: Clock,
    /// From the first request to the last one's end, ms.
    pub duration_ms: f64,
    /// Sessions, continuations included; 0 where the trace names none.
    pub sessions: u64,
    /// Sessions that continue another.
    pub continuations: u64,
    /// Those of them whose parent is known.
    pub linked_continuations: u64,
    /// Requests.
    pub requests: Requests,
    /// Of the requests served.
    pub hit_rates: HitRates,
    /// Tokens of the prompts served: `prompt = hit + prefilled`.
    pub prompt_tokens: u64,
    /// Tokens of these prompts that were found.
    pub hit_tokens: u64,
    /// Tokens of the outputs.
    pub output_tokens: u64,
    /// Blocks of the prompts that were found.
    pub hit_blocks: u64,
    /// What no policy exceeds; `None` if it was not asked for.
    pub bound: Option<Bound>,
    /// ms.
    pub times: Times,
    /// Blocks.
    pub blocks: Blocks,
    /// Blocks by layer; empty where the trace names no sessions.
    pub blocks_by_layer: Vec<LayerBlocks>,
    /// How full the caches were.
    pub occupancy: Occupancy,
    /// Tokens by layer; empty where the trace names no sessions.
    pub by_layer: Vec<LayerRate>,
    /// By turn index; empty where the trace names no sessions.
    pub by_turn: Vec<TurnFigures>,
    /// Over time.
    pub series: Vec<Point>,
}

impl Figures {
    /// Tokens of the prompts that were computed.
    #[must_use]
    pub fn prefilled_tokens(&self) -> u64 {
        self.prompt_tokens - self.hit_tokens
    }

    /// Tokens found / tokens of the prompts.
    #[must_use]
    pub fn token_hit_rate(&self) -> f64 {
        ratio(self.hit_tokens, self.prompt_tokens)
    }
}
