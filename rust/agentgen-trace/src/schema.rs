//! The canonical table: one row per request.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};

use crate::error::{Result, TraceError};
use crate::meta::{META_KEY, TraceMeta};

/// A column of the canonical table, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // the names of the columns; `docs/trace-format.md` describes them
pub enum Column {
    SessionId,
    TurnIndex,
    GroupId,
    InputLength,
    ContextLength,
    OutputLength,
    DelayMs,
    TimestampMs,
    HashIds,
    IsRestart,
    ParentSessionId,
    EndReason,
    Link,
    ParentTurn,
    JoinTurn,
    KeptLength,
    ReturnedLength,
    Agent,
    Trigger,
    RootSessionId,
    BreakKind,
}

impl Column {
    /// All columns; only traces with links have those from [`Self::Link`] on.
    pub const ALL: [Self; 21] = [
        Self::SessionId,
        Self::TurnIndex,
        Self::GroupId,
        Self::InputLength,
        Self::ContextLength,
        Self::OutputLength,
        Self::DelayMs,
        Self::TimestampMs,
        Self::HashIds,
        Self::IsRestart,
        Self::ParentSessionId,
        Self::EndReason,
        Self::Link,
        Self::ParentTurn,
        Self::JoinTurn,
        Self::KeptLength,
        Self::ReturnedLength,
        Self::Agent,
        Self::Trigger,
        Self::RootSessionId,
        Self::BreakKind,
    ];

    /// Whether only traces with links have the column ([`TraceMeta::linked`]).
    #[must_use]
    pub fn is_of_links(self) -> bool {
        self >= Self::Link
    }

    /// The column's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        FIELDS[self as usize].name()
    }

    /// The column with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.name() == name)
    }

    /// This column of a batch, found by name; `None` if the batch lacks it.
    #[must_use]
    pub fn of(self, batch: &RecordBatch) -> Option<&ArrayRef> {
        batch.column_by_name(self.name())
    }

    /// Like [`Self::of`], for batches that must have the column.
    ///
    /// # Errors
    /// If the batch lacks it.
    pub fn required(self, batch: &RecordBatch) -> Result<&ArrayRef> {
        self.of(batch).ok_or_else(|| TraceError::internal(format!("no column {}", self.name())))
    }
}

static FIELDS: LazyLock<Fields> = LazyLock::new(|| {
    let id = Arc::new(Field::new("item", DataType::Int64, false));
    Fields::from(vec![
        // Null where a trace does not say which requests belong together.
        Field::new("session_id", DataType::Utf8View, true),
        Field::new("turn_index", DataType::UInt32, false),
        Field::new("group_id", DataType::UInt32, true),
        Field::new("input_length", DataType::UInt32, false),
        Field::new("context_length", DataType::UInt32, false),
        Field::new("output_length", DataType::UInt32, false),
        Field::new("delay_ms", DataType::Float64, true),
        Field::new("timestamp_ms", DataType::Float64, true),
        Field::new("hash_ids", DataType::LargeList(id), false),
        Field::new("is_restart", DataType::Boolean, false),
        Field::new("parent_session_id", DataType::Utf8View, true),
        Field::new("end_reason", DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8)), true),
        Field::new("link", DataType::Utf8View, true),
        Field::new("parent_turn", DataType::UInt32, true),
        Field::new("join_turn", DataType::UInt32, true),
        Field::new("kept_length", DataType::UInt32, true),
        Field::new("returned_length", DataType::UInt32, true),
        Field::new("agent", DataType::Utf8View, true),
        Field::new("trigger", DataType::Utf8View, true),
        Field::new("root_session_id", DataType::Utf8View, true),
        Field::new("break_kind", DataType::Utf8View, true),
    ])
});

/// The schema of the given columns, in canonical order, with the trace's metadata. Columns of links are left out of a trace
/// that has none.
///
/// # Panics
/// Never: metadata is plain data.
#[must_use]
pub fn schema(columns: &[Column], meta: &TraceMeta) -> SchemaRef {
    let has = |column: &&Column| columns.contains(column) && (meta.linked || !column.is_of_links());
    let fields: Fields = Column::ALL.iter().filter(has).map(|c| FIELDS[*c as usize].clone()).collect();
    let json = serde_json::to_string(meta).expect("metadata is plain data");
    Arc::new(Schema::new_with_metadata(fields, HashMap::from([(META_KEY.to_owned(), json)])))
}
