//! The columns of a batch, row by row.

use agentgen_core::EndReason;
use agentgen_trace::schema::Column;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int8Type, Int64Type, UInt32Type};
use arrow_array::{Array as _, RecordBatch, StringViewArray};

use super::Turn;

/// A row of the canonical table.
pub(super) struct Row<'a> {
    /// `None`: the trace names no sessions.
    pub session: Option<&'a str>,
    pub turn_index: u32,
    pub turn: Turn,
    pub ids: &'a [i64],
    pub is_restart: bool,
    pub parent: Option<&'a str>,
    pub end: Option<EndReason>,
}

/// Reads row `index` of a batch with all columns.
pub(super) struct Rows<'a> {
    batch: &'a RecordBatch,
    offsets: &'a [i64],
    ids: &'a [i64],
    /// By key of the batch's own dictionary.
    ends: Vec<Option<EndReason>>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(batch: &'a RecordBatch) -> Self {
        let lists = batch.column(Column::HashIds as usize).as_list::<i64>();
        let ids = lists.values().as_primitive::<Int64Type>().values();
        let ends = batch.column(Column::EndReason as usize).as_dictionary::<Int8Type>();
        let ends = ends.values().as_string::<i32>().iter().map(|name| EndReason::named(name?)).collect();
        Self { batch, offsets: lists.value_offsets(), ids, ends }
    }

    fn number(&self, column: Column, row: usize) -> u32 {
        self.batch.column(column as usize).as_primitive::<UInt32Type>().value(row)
    }

    fn time(&self, column: Column, row: usize) -> Option<f64> {
        let times = self.batch.column(column as usize).as_primitive::<Float64Type>();
        times.is_valid(row).then(|| times.value(row))
    }

    fn name(&self, column: Column, row: usize) -> Option<&'a str> {
        let names: &StringViewArray = self.batch.column(column as usize).as_string_view();
        names.is_valid(row).then(|| names.value(row))
    }

    pub(super) fn row(&self, row: usize) -> Row<'a> {
        let ends = self.batch.column(Column::EndReason as usize).as_dictionary::<Int8Type>();
        let ids = self.offsets[row] as usize..self.offsets[row + 1] as usize;
        Row {
            session: self.name(Column::SessionId, row),
            turn_index: self.number(Column::TurnIndex, row),
            turn: Turn {
                context_tokens: self.number(Column::ContextLength, row),
                input_tokens: self.number(Column::InputLength, row),
                output_tokens: self.number(Column::OutputLength, row),
                delay_ms: self.time(Column::DelayMs, row),
                timestamp_ms: self.time(Column::TimestampMs, row),
            },
            ids: &self.ids[ids],
            is_restart: self.batch.column(Column::IsRestart as usize).as_boolean().value(row),
            parent: self.name(Column::ParentSessionId, row),
            end: ends.key(row).and_then(|key| self.ends[key]),
        }
    }
}
