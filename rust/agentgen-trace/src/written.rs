//! Totals over the rows written.

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray as _;
use arrow_array::types::UInt32Type;
use serde::{Deserialize, Serialize};

use crate::error::{Result, TraceError};
use crate::schema::Column;

/// Totals over rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Sessions, continuations included.
    pub sessions: u64,
    /// Sessions that continue another after a restart.
    pub continuations: u64,
    /// Rows.
    pub turns: u64,
    /// New prompt tokens.
    pub input_tokens: u64,
    /// Whole prompts.
    pub context_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
}

impl Written {
    /// Adds other totals.
    pub fn add(&mut self, other: Self) {
        self.sessions += other.sessions;
        self.continuations += other.continuations;
        self.turns += other.turns;
        self.input_tokens += other.input_tokens;
        self.context_tokens += other.context_tokens;
        self.output_tokens += other.output_tokens;
    }

    /// Totals of a batch.
    pub fn of(batch: &RecordBatch) -> Result<Self> {
        let numbers =
            |column: Column| column.required(batch).map(|values| values.as_primitive::<UInt32Type>().values());
        let sum = |column| Ok::<_, TraceError>(numbers(column)?.iter().map(|n| u64::from(*n)).sum());
        let restarts = Column::IsRestart.required(batch)?.as_boolean().values();
        let firsts = numbers(Column::TurnIndex)?.iter().enumerate().filter(|(_, turn)| **turn == 0);
        let (mut sessions, mut continuations) = (0, 0);
        for (row, _) in firsts {
            sessions += 1;
            continuations += u64::from(restarts.value(row));
        }
        Ok(Self {
            sessions,
            continuations,
            turns: batch.num_rows() as u64,
            input_tokens: sum(Column::InputLength)?,
            context_tokens: sum(Column::ContextLength)?,
            output_tokens: sum(Column::OutputLength)?,
        })
    }
}
