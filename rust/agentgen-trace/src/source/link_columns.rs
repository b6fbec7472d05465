//! Builds the columns that only traces with links have.

use std::sync::Arc;

use arrow_array::{ArrayRef, UInt32Array};

use super::string_column::StringColumn;
use crate::error::{Result, TraceError};
use crate::row::RowLinks;
use crate::schema::Column;

/// Builds the columns of links, row by row.
#[derive(Default)]
pub struct LinkColumns {
    link: StringColumn,
    parent_turn: Vec<Option<u32>>,
    join_turn: Vec<Option<u32>>,
    kept_length: Vec<Option<u32>>,
    returned_length: Vec<Option<u32>>,
    agent: StringColumn,
    trigger: StringColumn,
    root_session_id: StringColumn,
    break_kind: StringColumn,
}

impl LinkColumns {
    /// Appends a row: its own fields, and those of its session's first row. What concerns the begin of a session is on its
    /// first row only; link, agent and root are on every row.
    pub fn push(&mut self, is_first: bool, row: Option<&RowLinks>, session: Option<&RowLinks>) {
        let begin = session.filter(|_| is_first);
        self.parent_turn.push(begin.and_then(|links| links.parent_turn));
        self.join_turn.push(begin.and_then(|links| links.join_turn));
        self.kept_length.push(begin.and_then(|links| links.kept_length));
        self.break_kind.push(begin.and_then(|links| links.break_kind.as_deref()));
        self.link.push(session.and_then(|links| links.link.as_deref()));
        self.agent.push(session.and_then(|links| links.agent.as_deref()));
        self.root_session_id.push(session.and_then(|links| links.root_session_id.as_deref()));
        self.returned_length.push(row.and_then(|links| links.returned_length));
        self.trigger.push(row.and_then(|links| links.trigger.as_deref()));
    }

    /// Takes the rows of one column.
    pub fn take(&mut self, column: Column) -> Result<ArrayRef> {
        let numbers = |values: &mut Vec<_>| Arc::new(UInt32Array::from(std::mem::take(values))) as ArrayRef;
        let names = |values: &mut StringColumn| {
            let array = std::mem::take(values).finish().map_err(TraceError::internal)?;
            Ok::<_, TraceError>(Arc::new(array) as ArrayRef)
        };
        Ok(match column {
            Column::Link => names(&mut self.link)?,
            Column::ParentTurn => numbers(&mut self.parent_turn),
            Column::JoinTurn => numbers(&mut self.join_turn),
            Column::KeptLength => numbers(&mut self.kept_length),
            Column::ReturnedLength => numbers(&mut self.returned_length),
            Column::Agent => names(&mut self.agent)?,
            Column::Trigger => names(&mut self.trigger)?,
            Column::RootSessionId => names(&mut self.root_session_id)?,
            Column::BreakKind => names(&mut self.break_kind)?,
            other => return Err(TraceError::internal(format!("{} is not a column of links", other.name()))),
        })
    }
}
