//! Hit rates of a trace, as data.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Curve, HitRates, LayerRate, Measure, SessionRates, TtlPoint, TurnRate, WorkingSetPoint};
use agentgen_trace::session::TraceTiming;

/// The result of [`super::measure`].
#[derive(Debug, Clone, PartialEq)]
pub struct Reuse {
    /// What determines when requests are sent.
    pub clock: TraceTiming,
    /// Time from the start of the first request to the start of the last, ms.
    pub duration_ms: f64,
    /// Maximum number of open sessions; `None` if the trace names no sessions.
    pub peak_open_sessions: Option<u64>,
    /// Infinite cache; a restart session continues the tokens of its parent.
    pub linked: HitRates,
    /// Infinite cache; a restart session is read without its parent. `None` without restart sessions.
    pub standalone: Option<HitRates>,
    /// Percentiles over sessions; `None` if the trace names no sessions.
    pub by_session: Option<SessionRates>,
    /// By prefix layer; empty if the trace names no sessions.
    pub by_layer: Vec<LayerRate>,
    /// By turn index; empty if the trace names no sessions.
    pub by_turn: Vec<TurnRate>,
    /// By capacity of an LRU cache.
    pub curve: Curve,
    /// By time to live of blocks.
    pub ttl: Vec<TtlPoint>,
    /// Tokens in use over time.
    pub working_set: Vec<WorkingSetPoint>,
    /// Size of the radix tree.
    pub size: Size,
}

/// Distinct blocks, and the tree nodes that hold them (linked).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Size {
    /// Distinct blocks, including those of outputs.
    pub distinct_blocks: u64,
    /// Tree nodes: ranges of blocks that always occur together.
    pub nodes: u64,
    /// Memory of the tree, bytes.
    pub memory_bytes: u64,
}

impl Reuse {
    pub(super) fn new(measure: Measure, clock: TraceTiming, peak_open_sessions: usize) -> Self {
        let has_sessions = measure.has_sessions;
        let block_tokens = measure.settings.block_tokens;
        Self {
            clock,
            duration_ms: measure.working_set.duration_ms(),
            peak_open_sessions: has_sessions.then_some(peak_open_sessions as u64),
            linked: measure.linked.counters.rates(has_sessions),
            standalone: measure.standalone.map(|standalone| standalone.counters.rates(has_sessions)),
            by_session: has_sessions.then(|| measure.linked.counters.sessions()),
            by_layer: measure.layers.rates(),
            by_turn: measure.turns.rates(),
            curve: measure.distances.curve(measure.linked.counters.blocks),
            ttl: measure.ages.points(measure.linked.counters.prompt_tokens),
            working_set: measure.working_set.points(block_tokens),
            size: Size {
                distinct_blocks: measure.recency.blocks(),
                nodes: measure.linked.tree.node_count() as u64,
                memory_bytes: measure.linked.tree.memory_bytes() as u64,
            },
        }
    }
}
