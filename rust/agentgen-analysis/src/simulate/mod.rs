//! Simulates serving a trace in virtual time: hits of prefix caches of limited size, and queueing times.
//!
//! [`run`] drives the serving engine ([`agentgen_engine::serving`]) with the sessions of a trace; the tally observes it
//! and computes the [`Figures`]. `docs/simulator.md` defines every step and every figure.

mod active;
mod bound;
mod driver;
mod figures;
mod rows;
mod seen;
mod series;
mod tally;

use agentgen_engine::kv::Policy;
use agentgen_engine::serving::{Finished, System};
use agentgen_engine::timeline::TimelineOptions;

use crate::reuse::SharedLayers;
use active::ActiveSession;

pub use agentgen_engine::serving::{Routing, Service};
pub use bound::BeladyBound;
pub use driver::run;
pub use figures::{Blocks, Figures, LayerBlocks, Occupancy, Requests, Times, TurnFigures};
pub use rows::RequestTable;
pub use series::Point;

/// Settings of a simulation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Blocks of the cache of one replica.
    pub capacity_blocks: u64,
    /// Tokens of a block of the cache.
    pub block_tokens: u32,
    /// Tokens of a hash id of the trace.
    pub id_tokens: u32,
    /// Whether the KV of outputs stays in the cache.
    pub cached_outputs: bool,
    /// Slots of a closed loop; prefill rate of a replica and decode rate of a request.
    pub timeline: TimelineOptions,
    /// Sizes of the layers that sessions share.
    pub layers: SharedLayers,
    /// Replicas, each with a queue, a prefill unit and a cache.
    pub replicas: u32,
    /// Which replica serves a request.
    pub routing: Routing,
    /// Blocks released longer ago than this are dropped, ms.
    pub ttl_ms: Option<f64>,
    /// Whether to compute [`Figures::belady_bound`].
    pub belady_bound: bool,
}

impl Settings {
    fn system(&self) -> System {
        System {
            replicas: self.replicas as usize,
            routing: self.routing,
            policy: Policy::Lru,
            capacity_blocks: self.capacity_blocks,
            block_tokens: self.block_tokens,
            id_tokens: self.id_tokens,
            prefill_tokens_per_second: self.timeline.prefill_tokens_per_second,
            decode_tokens_per_second: self.timeline.decode_tokens_per_second,
            ttl_ms: self.ttl_ms,
        }
    }
}

/// A request that ended or failed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Served {
    /// Number of the session in file order.
    pub session: u64,
    /// 0-based turn.
    pub turn: u32,
    /// 0-based replica.
    pub replica: u32,
    /// Tokens of the prompt.
    pub context_tokens: u32,
    /// Tokens of the output.
    pub output_tokens: u32,
    /// Time at which it was sent, ms.
    pub sent_ms: f64,
    /// Its service; `None` if it failed because it needs more blocks than a replica has.
    pub service: Option<Service>,
}

impl Served {
    fn new(finished: &Finished<Box<ActiveSession>>) -> Self {
        let Finished { request, replica, sent_ms, outcome } = finished;
        let turn = &request.session.turns[request.turn];
        Self {
            session: request.session.number,
            turn: request.turn as u32,
            replica: *replica as u32,
            context_tokens: turn.context_tokens,
            output_tokens: turn.output_tokens,
            sent_ms: *sent_ms,
            service: outcome.ok(),
        }
    }
}
