//! A serving system in virtual time: what a prefix cache of limited size finds, and how long requests wait.
//!
//! `clock` (when sessions start and turns are sent) → `engine` (events in their order) → `worker` (queue, prefill unit,
//! cache) → `tally` → `figures`. `docs/simulator.md` defines every step and every figure. A worker's cache is one
//! [`agentgen_engine::kv::PrefixCache`]: further tiers would stand behind it; `Routing` chooses the worker.

mod bound;
mod engine;
mod event;
mod figures;
mod rows;
mod series;
mod starts;
mod tally;
mod worker;

use agentgen_engine::timeline::TimelineOptions;
use schemars::JsonSchema;
use serde::Serialize;

use crate::reuse::SharedLayers;

pub use bound::Bound;
pub use engine::run;
pub use figures::{Blocks, Figures, LayerBlocks, Occupancy, Requests, Times, TurnFigures};
pub use rows::RequestTable;
pub use series::Point;

/// The system, and what the figures depend on beside the trace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Blocks that a worker's cache holds.
    pub capacity_blocks: u64,
    /// Tokens a block of the cache.
    pub block_tokens: u32,
    /// Tokens a hash id of the trace.
    pub id_tokens: u32,
    /// Whether the KV of outputs stays in the cache.
    pub cached_outputs: bool,
    /// Slots of a closed loop, and rates: of prefill a worker's, of decode a request's.
    pub timing: TimelineOptions,
    /// Sizes of the layers that sessions share.
    pub layers: SharedLayers,
    /// Workers, each with a cache.
    pub workers: u32,
    /// Which of them a request goes to.
    pub routing: Routing,
    /// Blocks that nobody has used for longer than this are gone, ms.
    pub ttl_ms: Option<f64>,
    /// Whether to find out what the best policy would have found.
    pub bound: bool,
}

/// Which worker a request goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Routing {
    /// Requests in turn, in the order in which they are sent.
    RoundRobin,
    /// Sessions in turn, in the order in which they start, each with all of its requests.
    Sticky,
}

/// A request that was sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Served {
    /// The session's number in the order of the file.
    pub session: u64,
    /// 0-based turn.
    pub turn: u32,
    /// 0-based worker.
    pub worker: u32,
    /// Tokens of the prompt.
    pub context_tokens: u32,
    /// Tokens of the output.
    pub output_tokens: u32,
    /// When it was sent, ms.
    pub sent_ms: f64,
    /// What became of it; `None` if it needs more than a worker has.
    pub service: Option<Service>,
}

/// A request that was served.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Service {
    /// When its prefill began, ms.
    pub admitted_ms: f64,
    /// When its prefill ended and its first token was there, ms.
    pub prefill_end_ms: f64,
    /// When its last token was there, ms.
    pub end_ms: f64,
    /// Blocks of its prompt that were found.
    pub hit_blocks: u32,
    /// Tokens of its prompt that were found.
    pub hit_tokens: u32,
}
