//! The figures of a trace.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Curve, HitRates, LayerRate, Measure, SessionRates, TtlPoint, TurnRate, WorkingSetPoint};
use agentgen_trace::session::Clock;

/// Everything [`super::measure`] finds out.
#[derive(Debug, Clone, PartialEq)]
pub struct Reuse {
    /// How requests were ordered.
    pub clock: Clock,
    /// From the first request's start to the last one's, ms.
    pub duration_ms: f64,
    /// The most sessions that were open at once; `None` where the trace names none.
    pub peak_open_sessions: Option<u64>,
    /// Infinite cache; a restart session continues the tokens of its parent.
    pub linked: HitRates,
    /// Infinite cache; a restart session is read without its parent. `None` without restart sessions.
    pub standalone: Option<HitRates>,
    /// `None` where the trace names no sessions.
    pub by_session: Option<SessionRates>,
    /// By part of the prompt; empty where the trace names no sessions.
    pub by_layer: Vec<LayerRate>,
    /// By turn index; empty where the trace names no sessions.
    pub by_turn: Vec<TurnRate>,
    /// At every capacity.
    pub curve: Curve,
    /// By time to live.
    pub ttl: Vec<TtlPoint>,
    /// Over time.
    pub working_set: Vec<WorkingSetPoint>,
    /// What it took.
    pub size: Size,
}

/// Distinct blocks, and the extents that hold them (linked reading).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Size {
    /// Different blocks, outputs included.
    pub distinct_blocks: u64,
    /// Extents: runs of blocks that always move together.
    pub extents: u64,
    /// Memory of the extents.
    pub memory_bytes: u64,
}

impl Reuse {
    pub(super) fn new(measure: Measure, clock: Clock, peak_open_sessions: usize) -> Self {
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
                extents: measure.linked.tree.node_count() as u64,
                memory_bytes: measure.linked.tree.memory_bytes() as u64,
            },
        }
    }
}
