//! What is counted while rows are made.

use std::collections::BTreeMap;

use agentgen_core::{DatasetSpec, EndReason, Quantity};
use agentgen_trace::Result;
use agentgen_trace::meta::TraceMeta;
use agentgen_trace::observer::{Observer, RunFacts};
use agentgen_trace::schema::Column;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int8Type, UInt32Type};
use arrow_array::{Array as _, RecordBatch};
use serde::{Deserialize, Serialize};

use super::comparison;
use super::report::Quality;
use crate::bins::{Histogram, ONES, Of, TURNS};
use crate::histogram::{Counts, Times};
use crate::reuse::{FileOrder, Notes};

/// Name of the file that holds a shard's statistics for merging.
pub(super) const STATISTICS: &str = "statistics.json";

/// Everything `quality.json` is computed from. Merging is exact and in any order.
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
    /// By [`EndReason`].
    pub(super) ends: [u64; EndReason::ALL.len()],
}

impl Statistics {
    /// Histograms under the names of the metrics, of those that some row has.
    pub(super) fn histograms(&self, spec: &DatasetSpec) -> BTreeMap<&'static str, Histogram> {
        let spec = Some(spec);
        let one = |counts: &Counts, drawn| counts.histogram(ONES).against(spec, Of::One(drawn));
        let turns = self.turns_per_session.histogram(TURNS).against(spec, Of::One(Quantity::Turns));
        let histograms = [
            ("initial_context", one(&self.initial_context, Quantity::FirstPrompt)),
            ("initial_context_continuations", self.initial_context_of_continuations.histogram(ONES)),
            ("new_tokens_per_turn", one(&self.new_tokens_per_turn, Quantity::NewTokens)),
            ("generation_length", one(&self.generation_length, Quantity::Output)),
            ("inter_turn_delay_ms", self.inter_turn_delay.histogram_ms().against(spec, Of::Delays)),
            ("turns_per_session", turns),
        ];
        histograms.into_iter().filter(|(_, histogram)| !histogram.counts.is_empty()).collect()
    }
}

impl Observer for Statistics {
    type Notes = Notes;
    type InOrder = FileOrder;

    fn notes(spec: &DatasetSpec, first_primary: u64) -> Notes {
        // Numbers enough for a chunk's primaries and the continuations among them.
        Notes::new(spec.layout(), spec.config().block_size, first_primary << 16)
    }

    fn in_order(meta: &TraceMeta) -> FileOrder {
        FileOrder::new(meta)
    }

    fn batch(&mut self, batch: &RecordBatch, notes: &mut Notes) -> Result<()> {
        notes.take(batch)?;
        let numbers = |column: Column| column.required(batch).map(|values| values.as_primitive::<UInt32Type>());
        let turn = numbers(Column::TurnIndex)?.values();
        let input = numbers(Column::InputLength)?.values();
        let context = numbers(Column::ContextLength)?.values();
        let group = numbers(Column::GroupId)?;
        let delay = Column::DelayMs.required(batch)?.as_primitive::<Float64Type>();
        let is_restart = Column::IsRestart.required(batch)?.as_boolean().values();
        let end_reason = Column::EndReason.required(batch)?.as_dictionary::<Int8Type>().keys();
        for output in numbers(Column::OutputLength)?.values() {
            self.generation_length.add(u64::from(*output), 1);
        }
        for row in 0..batch.num_rows() {
            if turn[row] > 0 {
                self.new_tokens_per_turn.add(u64::from(input[row]), 1);
                self.inter_turn_delay.add((delay.value(row) * 10.0).round() as u64);
                continue;
            }
            let first = if is_restart.value(row) {
                &mut self.initial_context_of_continuations
            } else {
                &mut self.initial_context
            };
            first.add(u64::from(context[row]), 1);
            if group.is_valid(row) {
                self.sessions_by_group.add(u64::from(group.value(row)), 1);
            }
        }
        for row in 0..batch.num_rows() {
            if end_reason.is_valid(row) {
                self.ends[end_reason.value(row) as usize] += 1;
                self.turns_per_session.add(u64::from(turn[row]) + 1, 1);
                self.final_context.add(u64::from(context[row]), 1);
            }
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        self.initial_context.merge(&other.initial_context);
        self.initial_context_of_continuations.merge(&other.initial_context_of_continuations);
        self.new_tokens_per_turn.merge(&other.new_tokens_per_turn);
        self.generation_length.merge(&other.generation_length);
        self.inter_turn_delay.merge(&other.inter_turn_delay);
        self.turns_per_session.merge(&other.turns_per_session);
        self.final_context.merge(&other.final_context);
        self.sessions_by_group.merge(&other.sessions_by_group);
        for (count, more) in self.ends.iter_mut().zip(other.ends) {
            *count += more;
        }
    }

    fn finish(
        self,
        in_order: FileOrder,
        spec: &DatasetSpec,
        run: &RunFacts<'_>,
    ) -> Result<Vec<(&'static str, Vec<u8>)>> {
        let quality = Quality::new(&self, in_order.finish(), spec, run.written);
        let mut files = vec![
            ("quality.json", quality.to_json()),
            ("comparison.txt", comparison::table(&quality, spec).into_bytes()),
        ];
        if run.is_part {
            files.push((STATISTICS, serde_json::to_vec(&self).map_err(super::set::format_error)?));
        }
        Ok(files)
    }
}
