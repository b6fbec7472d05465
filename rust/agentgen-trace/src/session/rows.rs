//! The columns of a batch, read row by row.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int8Type, Int64Type, UInt32Type};
use arrow_array::{
    Array, BooleanArray, DictionaryArray, Float64Array, Int8Array, RecordBatch, StringViewArray, UInt32Array,
};

use super::{SessionEnd, Turn};
use crate::Result;
use crate::schema::Column;

/// A row of the canonical table.
pub(super) struct Row<'a> {
    /// `None` if the trace names no sessions.
    pub session: Option<&'a str>,
    pub turn_index: u32,
    pub turn: Turn,
    pub ids: &'a [i64],
    pub is_restart: bool,
    pub parent: Option<&'a str>,
    /// How the session begins; `None` in traces without links.
    pub link: Option<RowLink<'a>>,
    /// Tokens of the previous output that the prompt holds, if not all.
    pub returned_tokens: Option<u32>,
    pub end: Option<&'a SessionEnd>,
}

/// How a session is linked, as its rows say.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowLink<'a> {
    pub kind: Option<&'a str>,
    pub parent_turn: Option<u32>,
    pub join_turn: Option<u32>,
    pub kept_tokens: Option<u32>,
}

/// The columns of links.
struct Links<'a> {
    kind: &'a StringViewArray,
    parent_turn: &'a UInt32Array,
    join_turn: &'a UInt32Array,
    kept_tokens: &'a UInt32Array,
    returned_tokens: &'a UInt32Array,
}

/// The columns of a batch, found by name. A batch may lack those that are null in some traces.
pub(super) struct Columns<'a> {
    session: Option<&'a StringViewArray>,
    turn_index: &'a [u32],
    input_tokens: &'a [u32],
    context_tokens: &'a [u32],
    output_tokens: &'a [u32],
    delay_ms: Option<&'a Float64Array>,
    timestamp_ms: Option<&'a Float64Array>,
    id_offsets: &'a [i64],
    ids: &'a [i64],
    is_restart: Option<&'a BooleanArray>,
    parent: Option<&'a StringViewArray>,
    links: Option<Links<'a>>,
    end: Option<&'a Int8Array>,
    /// By key of the batch's own dictionary.
    ends: Vec<Option<SessionEnd>>,
}

impl<'a> Columns<'a> {
    pub(super) fn new(batch: &'a RecordBatch) -> Result<Self> {
        let numbers =
            |column: Column| column.required(batch).map(|values| &values.as_primitive::<UInt32Type>().values()[..]);
        let times = |column: Column| column.of(batch).map(AsArray::as_primitive::<Float64Type>);
        let names = |column: Column| column.of(batch).map(AsArray::as_string_view);
        let ids = Column::HashIds.required(batch)?.as_list::<i64>();
        let end = Column::EndReason.of(batch).map(AsArray::as_dictionary::<Int8Type>);
        let links = |kind| {
            let numbers = |column: Column| column.required(batch).map(AsArray::as_primitive::<UInt32Type>);
            Ok::<_, crate::TraceError>(Links {
                kind,
                parent_turn: numbers(Column::ParentTurn)?,
                join_turn: numbers(Column::JoinTurn)?,
                kept_tokens: numbers(Column::KeptLength)?,
                returned_tokens: numbers(Column::ReturnedLength)?,
            })
        };
        let words = end.iter().flat_map(|end| end.values().as_string::<i32>());
        Ok(Self {
            session: names(Column::SessionId),
            turn_index: numbers(Column::TurnIndex)?,
            input_tokens: numbers(Column::InputLength)?,
            context_tokens: numbers(Column::ContextLength)?,
            output_tokens: numbers(Column::OutputLength)?,
            delay_ms: times(Column::DelayMs),
            timestamp_ms: times(Column::TimestampMs),
            id_offsets: ids.value_offsets(),
            ids: ids.values().as_primitive::<Int64Type>().values(),
            is_restart: Column::IsRestart.of(batch).map(AsArray::as_boolean),
            parent: names(Column::ParentSessionId),
            links: names(Column::Link).map(links).transpose()?,
            ends: words.map(|word| word.map(SessionEnd::new)).collect(),
            end: end.map(DictionaryArray::keys),
        })
    }

    #[inline]
    pub(super) fn row(&self, row: usize) -> Row<'_> {
        let name = |names| valid(names, row).map(|names: &'a StringViewArray| names.value(row));
        let time = |times| valid(times, row).map(|times: &Float64Array| times.value(row));
        let number = |numbers| valid(Some(numbers), row).map(|numbers: &UInt32Array| numbers.value(row));
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
            is_restart: self.is_restart.is_some_and(|flags| flags.value(row)),
            parent: name(self.parent),
            link: self.links.as_ref().map(|links| RowLink {
                kind: name(Some(links.kind)),
                parent_turn: number(links.parent_turn),
                join_turn: number(links.join_turn),
                kept_tokens: number(links.kept_tokens),
            }),
            returned_tokens: self.links.as_ref().and_then(|links| number(links.returned_tokens)),
            end: valid(self.end, row).and_then(|keys| self.ends[keys.value(row) as usize].as_ref()),
        }
    }
}

/// A column that has a value in this row.
fn valid<T: Array>(column: Option<&T>, row: usize) -> Option<&T> {
    column.filter(|column| column.is_valid(row))
}
