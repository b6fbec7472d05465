//! Rows of the canonical table.

use std::sync::Arc;

use agentgen_trace::error::{Result, TraceError};
use agentgen_trace::row::RowLinks;
use agentgen_trace::schema::Column;
use agentgen_trace::source::LinkColumns;
use agentgen_trace::source::columns::{BATCH_IDS, BATCH_ROWS, id_lists, record_batch};
use arrow_array::builder::StringViewBuilder;
use arrow_array::types::Int8Type;
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int8Array, Int64Array, RecordBatch, StringArray, UInt32Array,
};
use arrow_schema::SchemaRef;

/// Why a session ends that another one continues after a break.
const BREAK: &str = "break";

/// A request.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub session: &'a str,
    pub turn: u32,
    pub group: Option<u32>,
    pub input: u32,
    pub context: u32,
    pub output: u32,
    pub delay_ms: Option<f64>,
    pub timestamp_ms: f64,
    /// Ids of the full blocks, and of the partial one at the end.
    pub ids: (&'a [i64], Option<i64>),
    pub parent: Option<&'a str>,
    /// Whether a break follows it.
    pub ends_with_break: bool,
    /// The session's, and those of the row alone.
    pub links: &'a RowLinks,
    pub own: RowLinks,
}

/// Builds batches of rows.
#[derive(Default)]
pub(crate) struct Table {
    schema: Option<SchemaRef>,
    sessions: StringViewBuilder,
    turns: Vec<u32>,
    groups: Vec<Option<u32>>,
    inputs: Vec<u32>,
    contexts: Vec<u32>,
    outputs: Vec<u32>,
    delays: Vec<Option<f64>>,
    timestamps: Vec<f64>,
    ids: Vec<i64>,
    offsets: Vec<i64>,
    parents: StringViewBuilder,
    ends: Vec<Option<i8>>,
    links: LinkColumns,
}

impl Table {
    pub(crate) fn new(schema: SchemaRef) -> Self {
        Self { schema: Some(schema), offsets: vec![0], ..Self::default() }
    }

    pub(crate) fn push(&mut self, row: &Row) {
        self.sessions.append_value(row.session);
        self.turns.push(row.turn);
        self.groups.push(row.group);
        self.inputs.push(row.input);
        self.contexts.push(row.context);
        self.outputs.push(row.output);
        self.delays.push(row.delay_ms);
        self.timestamps.push(row.timestamp_ms);
        self.ids.extend_from_slice(row.ids.0);
        self.ids.extend(row.ids.1);
        self.offsets.push(self.ids.len() as i64);
        self.parents.append_option(row.parent);
        self.ends.push(row.ends_with_break.then_some(0));
        self.links.push(row.turn == 0, Some(&row.own), Some(row.links));
    }

    /// Whether the rows make a batch.
    pub(crate) fn is_full(&self) -> bool {
        self.turns.len() >= BATCH_ROWS || self.ids.len() >= BATCH_IDS
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// The rows so far.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch> {
        let schema = self.schema.clone().ok_or_else(|| TraceError::internal("a table without a schema"))?;
        let mut rows = std::mem::replace(self, Self::new(Arc::clone(&schema)));
        let count = rows.turns.len();
        let numbers = |values: &mut Vec<u32>| Arc::new(UInt32Array::from(std::mem::take(values))) as ArrayRef;
        record_batch(&schema, count, |column| {
            Ok(match column {
                Column::SessionId => Arc::new(rows.sessions.finish()) as ArrayRef,
                Column::TurnIndex => numbers(&mut rows.turns),
                Column::GroupId => Arc::new(UInt32Array::from(std::mem::take(&mut rows.groups))),
                Column::InputLength => numbers(&mut rows.inputs),
                Column::ContextLength => numbers(&mut rows.contexts),
                Column::OutputLength => numbers(&mut rows.outputs),
                Column::DelayMs => Arc::new(Float64Array::from(std::mem::take(&mut rows.delays))),
                Column::TimestampMs => Arc::new(Float64Array::from(std::mem::take(&mut rows.timestamps))),
                Column::HashIds => {
                    let ids = Arc::new(Int64Array::from(std::mem::take(&mut rows.ids)));
                    Arc::new(id_lists(&schema, ids, std::mem::take(&mut rows.offsets).into())?)
                }
                Column::IsRestart => Arc::new(BooleanArray::from(vec![false; count])),
                Column::ParentSessionId => Arc::new(rows.parents.finish()),
                Column::EndReason => {
                    let keys = Int8Array::from(std::mem::take(&mut rows.ends));
                    let words = Arc::new(StringArray::from(vec![BREAK]));
                    Arc::new(DictionaryArray::<Int8Type>::try_new(keys, words).map_err(TraceError::internal)?)
                }
                links => rows.links.take(links)?,
            })
        })
    }
}
