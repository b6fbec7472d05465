//! Collects statistics while rows are generated, and writes `quality.json` and `comparison.txt`.

use agentgen_core::DatasetSpec;
use agentgen_trace::Result;
use agentgen_trace::meta::TraceMeta;
use agentgen_trace::observer::{Observer, RunFacts};
use agentgen_trace::schema::Column;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int8Type, UInt32Type};
use arrow_array::{Array as _, RecordBatch};

use super::comparison;
use super::report::Quality;
use super::statistics::{STATISTICS, Statistics};
use crate::reuse::{FileOrder, Notes};

impl Observer for Statistics {
    type Notes = Notes;
    type InOrder = FileOrder;

    fn notes(spec: &DatasetSpec, first_root: u64) -> Notes {
        // Room for the numbers of a chunk's root sessions and the continuations written among them.
        Notes::new(spec.layout(), spec.config().block_size, first_root << 16)
    }

    fn in_order(meta: &TraceMeta) -> FileOrder {
        FileOrder::new(meta)
    }

    fn batch(&mut self, batch: &RecordBatch, notes: &mut Notes) -> Result<()> {
        notes.take(batch)?;
        let numbers = |column: Column| column.required(batch).map(AsArray::as_primitive::<UInt32Type>);
        let turn = numbers(Column::TurnIndex)?.values();
        let input = numbers(Column::InputLength)?.values();
        let context = numbers(Column::ContextLength)?.values();
        let group = numbers(Column::GroupId)?;
        let delay = Column::DelayMs.required(batch)?.as_primitive::<Float64Type>();
        let is_restart = Column::IsRestart.required(batch)?.as_boolean().values();
        let end_reason = Column::EndReason.required(batch)?.as_dictionary::<Int8Type>().keys();
        let links = Column::Link.of(batch);
        if links.is_some() {
            self.agents.batch(batch)?;
        }
        for output in numbers(Column::OutputLength)?.values() {
            self.generation_length.add(u64::from(*output), 1);
        }
        for row in 0..batch.num_rows() {
            if turn[row] > 0 {
                self.new_tokens_per_turn.add(u64::from(input[row]), 1);
                self.inter_turn_delay.add((delay.value(row) * 10.0).round() as u64);
                continue;
            }
            if links.is_some_and(|links| links.is_valid(row)) && !is_restart.value(row) {
                // After a break, or a sub-agent's: no session that a person begins.
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
        self.agents.merge(&other.agents);
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
            files.push((STATISTICS, serde_json::to_vec(&self).map_err(agentgen_trace::TraceError::internal)?));
        }
        Ok(files)
    }
}
