//! Reads the columns that only traces with links have.

use arrow_array::cast::AsArray as _;
use arrow_array::types::UInt32Type;
use arrow_array::{Array as _, RecordBatch, StringViewArray, UInt32Array};

use crate::error::{Result, TraceError};
use crate::row::RowLinks;
use crate::schema::Column;

/// The columns of links of a batch.
#[derive(Debug)]
pub struct LinkArrays<'a> {
    link: &'a StringViewArray,
    parent_turn: &'a UInt32Array,
    join_turn: &'a UInt32Array,
    kept_length: &'a UInt32Array,
    returned_length: &'a UInt32Array,
    agent: &'a StringViewArray,
    trigger: &'a StringViewArray,
    root_session_id: &'a StringViewArray,
    break_kind: &'a StringViewArray,
}

impl<'a> LinkArrays<'a> {
    /// `None` for a trace without links.
    pub fn of(batch: &'a RecordBatch) -> Result<Option<Self>> {
        if Column::Link.of(batch).is_none() {
            return Ok(None);
        }
        let numbers = |column: Column| Ok::<_, TraceError>(column.required(batch)?.as_primitive::<UInt32Type>());
        let names = |column: Column| Ok::<_, TraceError>(column.required(batch)?.as_string_view());
        Ok(Some(Self {
            link: names(Column::Link)?,
            parent_turn: numbers(Column::ParentTurn)?,
            join_turn: numbers(Column::JoinTurn)?,
            kept_length: numbers(Column::KeptLength)?,
            returned_length: numbers(Column::ReturnedLength)?,
            agent: names(Column::Agent)?,
            trigger: names(Column::Trigger)?,
            root_session_id: names(Column::RootSessionId)?,
            break_kind: names(Column::BreakKind)?,
        }))
    }

    /// The fields of a row; `start_delay` is in another column.
    #[must_use]
    pub fn row(&self, row: usize) -> RowLinks {
        let name = |values: &StringViewArray| values.is_valid(row).then(|| values.value(row).to_owned());
        let number = |values: &UInt32Array| values.is_valid(row).then(|| values.value(row));
        RowLinks {
            link: name(self.link),
            parent_turn: number(self.parent_turn),
            join_turn: number(self.join_turn),
            kept_length: number(self.kept_length),
            returned_length: number(self.returned_length),
            start_delay: None,
            agent: name(self.agent),
            trigger: name(self.trigger),
            root_session_id: name(self.root_session_id),
            break_kind: name(self.break_kind),
        }
    }
}
