//! The statistics of generated rows.

use std::collections::BTreeMap;

use agentgen_core::{DatasetSpec, EndReason, Quantity};
use serde::{Deserialize, Serialize};

use super::agents::AgentStatistics;
use crate::bins::{Expected, Histogram, TURN_BINS, UNIT_BINS};
use crate::histogram::{Counts, Times};

/// File of the statistics of a shard, for `agentgen merge`.
pub(super) const STATISTICS: &str = "statistics.json";

/// The statistics from which `quality.json` is computed. Merging is exact in any order.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Statistics {
    pub(super) initial_context: Counts,
    pub(super) initial_context_of_continuations: Counts,
    pub(super) new_tokens_per_turn: Counts,
    pub(super) generation_length: Counts,
    pub(super) inter_turn_delay: Times,
    pub(super) turns_per_session: Counts,
    pub(super) final_context: Counts,
    pub(super) sessions_by_group: Counts,
    /// Of traces with links.
    #[serde(default)]
    pub(super) agents: AgentStatistics,
    /// Sessions by [`EndReason`].
    pub(super) ends: [u64; EndReason::ALL.len()],
}

impl Statistics {
    /// Histograms by metric, of those with a value.
    pub(super) fn histograms(&self, spec: &DatasetSpec) -> BTreeMap<&'static str, Histogram> {
        let spec = Some(spec);
        let one = |counts: &Counts, quantity| counts.histogram(UNIT_BINS).with_expected(spec, Expected::Of(quantity));
        let turns = self.turns_per_session.histogram(TURN_BINS).with_expected(spec, Expected::Of(Quantity::Turns));
        let histograms = [
            ("initial_context", one(&self.initial_context, Quantity::FirstPrompt)),
            ("initial_context_continuations", self.initial_context_of_continuations.histogram(UNIT_BINS)),
            ("new_tokens_per_turn", one(&self.new_tokens_per_turn, Quantity::NewTokens)),
            ("generation_length", one(&self.generation_length, Quantity::Output)),
            ("inter_turn_delay_ms", self.inter_turn_delay.histogram_ms().with_expected(spec, Expected::Delays)),
            ("turns_per_session", turns),
        ];
        histograms.into_iter().filter(|(_, histogram)| !histogram.counts.is_empty()).collect()
    }
}
