//! The figures of a simulation.

use schemars::JsonSchema;
use serde::Serialize;

use super::bound::BeladyBound;
use super::series::Point;
use crate::histogram::Observed;
use crate::reuse::{HitRates, Layer, LayerRate};
use agentgen_trace::session::TraceTiming;

/// Requests by outcome: `all requests of the trace = served + failed + skipped`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Requests {
    /// Requests served.
    pub served: u64,
    /// Requests that need more blocks than a replica has; each ends its session.
    pub failed: u64,
    /// Later turns of these sessions, never sent.
    pub skipped: u64,
}

/// Blocks with an identity: `added = resident + evicted + expired`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Blocks {
    /// Blocks that came into a cache, computed or written.
    pub added: u64,
    /// Added blocks that had been in the same cache before.
    pub refetched: u64,
    /// Blocks evicted to make room.
    pub evicted: u64,
    /// Blocks dropped because they were not used within the time to live.
    pub expired: u64,
    /// Blocks in the caches at the end.
    pub resident: u64,
}

/// Blocks of a layer; a block is of the layer of its first token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LayerBlocks {
    /// The layer: of added blocks in the request that brings them, of evicted and expired ones in the request that
    /// released them last.
    pub layer: Layer,
    /// Blocks that came into a cache.
    pub added: u64,
    /// Added blocks that had been in the same cache before.
    pub refetched: u64,
    /// Blocks evicted to make room.
    pub evicted: u64,
    /// Blocks dropped because they were not used within the time to live.
    pub expired: u64,
}

/// Times of the requests served in ms, each rounded to 0.1 ms. Means are exact; percentiles are exact below 204.8 ms and
/// within 0.05 % above.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Times {
    /// Time to first token: from sending to the end of the prefill.
    pub ttft: Option<Observed>,
    /// From sending to the beginning of the prefill.
    pub queueing: Option<Observed>,
    /// From sending to the last token.
    pub latency: Option<Observed>,
}

/// Occupancy of the caches: means over time, and maxima.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Occupancy {
    /// Capacity of the caches of all replicas, blocks.
    pub capacity_blocks: u64,
    /// Blocks in the caches, mean.
    pub mean_resident_blocks: f64,
    /// Blocks that running requests pin, mean.
    pub mean_pinned_blocks: f64,
    /// Blocks reserved for the output of running requests, mean.
    pub mean_reserved_blocks: f64,
    /// Maximum of the blocks in the caches or reserved.
    pub peak_blocks: u64,
    /// Maximum of the blocks pinned or reserved.
    pub peak_running_blocks: u64,
    /// Requests admitted and not ended, mean.
    pub mean_running: f64,
    /// Maximum of the requests admitted and not ended.
    pub peak_running: u64,
    /// Maximum of the requests waiting.
    pub peak_queued: u64,
    /// Maximum of the open sessions.
    pub peak_open_sessions: u64,
}

/// The requests of one turn index.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct TurnFigures {
    /// Turn index, 0-based; 1,023 includes all later turns.
    pub turn_index: u32,
    /// Requests served.
    pub requests: u64,
    /// Tokens of their prompts.
    pub prompt_tokens: u64,
    /// Tokens of these prompts found in the cache.
    pub hit_tokens: u64,
    /// `hit_tokens / prompt_tokens`.
    pub hit_rate: f64,
    /// Mean time to first token, ms.
    pub mean_ttft_ms: f64,
    /// Mean queueing time, ms.
    pub mean_queueing_ms: f64,
}

/// The figures of a simulation. `docs/simulator.md` defines each.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Figures {
    /// `closed`: sessions start in file order on `concurrency` slots; `arrivals`: at their arrival times; `recorded`:
    /// requests are sent at their recorded times, but not before the session's previous request has ended.
    pub clock: TraceTiming,
    /// From the sending of the first request to the end of the last, ms.
    pub duration_ms: f64,
    /// Sessions, continuations included; 0 where the trace names none.
    pub sessions: u64,
    /// Sessions that continue another.
    pub continuations: u64,
    /// Continuations whose parent is in the trace.
    pub linked_continuations: u64,
    /// Requests by outcome.
    pub requests: Requests,
    /// Hit rates of the requests served.
    pub hit_rates: HitRates,
    /// Tokens of the prompts served: `prompt = hit + prefilled`.
    pub prompt_tokens: u64,
    /// Tokens of these prompts found in the cache.
    pub hit_tokens: u64,
    /// Tokens of the outputs of the requests served.
    pub output_tokens: u64,
    /// Blocks of these prompts found in the cache.
    pub hit_blocks: u64,
    /// Upper bound of the blocks found under any eviction policy; null without `--belady-bound`.
    pub belady_bound: Option<BeladyBound>,
    /// Times of the requests served, ms.
    pub times: Times,
    /// Blocks of all replicas.
    pub blocks: Blocks,
    /// Blocks by layer; empty where the trace names no sessions.
    pub blocks_by_layer: Vec<LayerBlocks>,
    /// Occupancy of the caches.
    pub occupancy: Occupancy,
    /// Hit rates by layer; empty where the trace names no sessions.
    pub by_layer: Vec<LayerRate>,
    /// Figures by turn index; empty where the trace names no sessions.
    pub by_turn: Vec<TurnFigures>,
    /// Time series of the simulation.
    pub series: Vec<Point>,
}
