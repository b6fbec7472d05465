//! The columns of a batch, row by row.

use crate::schema::Column;
use agentgen_core::EndReason;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int8Type, Int64Type, UInt32Type};
use arrow_array::{Array as _, BooleanArray, Float64Array, Int8Array, RecordBatch, StringViewArray};

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

/// The columns of a batch that has all of them.
pub(super) struct Columns<'a> {
    session: &'a StringViewArray,
    turn_index: &'a [u32],
    input_tokens: &'a [u32],
    context_tokens: &'a [u32],
    output_tokens: &'a [u32],
    delay_ms: &'a Float64Array,
    timestamp_ms: &'a Float64Array,
    id_offsets: &'a [i64],
    ids: &'a [i64],
    is_restart: &'a BooleanArray,
    parent: &'a StringViewArray,
    end: &'a Int8Array,
    /// By key of the batch's own dictionary.
    ends: Vec<Option<EndReason>>,
}

impl<'a> Columns<'a> {
    pub(super) fn new(batch: &'a RecordBatch) -> Self {
        let column = |column: Column| batch.column(column as usize);
        let numbers = |name: Column| &column(name).as_primitive::<UInt32Type>().values()[..];
        let ids = column(Column::HashIds).as_list::<i64>();
        let end = column(Column::EndReason).as_dictionary::<Int8Type>();
        Self {
            session: column(Column::SessionId).as_string_view(),
            turn_index: numbers(Column::TurnIndex),
            input_tokens: numbers(Column::InputLength),
            context_tokens: numbers(Column::ContextLength),
            output_tokens: numbers(Column::OutputLength),
            delay_ms: column(Column::DelayMs).as_primitive::<Float64Type>(),
            timestamp_ms: column(Column::TimestampMs).as_primitive::<Float64Type>(),
            id_offsets: ids.value_offsets(),
            ids: ids.values().as_primitive::<Int64Type>().values(),
            is_restart: column(Column::IsRestart).as_boolean(),
            parent: column(Column::ParentSessionId).as_string_view(),
            end: end.keys(),
            ends: end.values().as_string::<i32>().iter().map(|name| EndReason::named(name?)).collect(),
        }
    }

    #[inline]
    pub(super) fn row(&self, row: usize) -> Row<'a> {
        let name = |names: &'a StringViewArray| names.is_valid(row).then(|| names.value(row));
        let time = |times: &Float64Array| times.is_valid(row).then(|| times.value(row));
        Row {
            session: name(self.session),
            turn_index: self.turn_index[row],
            turn: Turn {
                context_tokens: self.context_tokens[row],
                input_tokens: self.input_tokens[row],
                output_tokens: self.output_tokens[row],
                delay_ms: time(self.delay_ms),
                timestamp_ms: time(self.timestamp_ms),
            },
            ids: &self.ids[self.id_offsets[row] as usize..self.id_offsets[row + 1] as usize],
            is_restart: self.is_restart.value(row),
            parent: name(self.parent),
            end: self.end.is_valid(row).then(|| self.ends[self.end.value(row) as usize]).flatten(),
        }
    }
}
