//! The rows of a block, with what their sessions say about them, as a canonical batch.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::make_view;
use arrow_array::types::Int8Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int8Array, Int64Array, LargeListArray, RecordBatch,
    RecordBatchOptions, StringArray, StringViewArray, UInt32Array,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, SchemaRef};

use super::parsed::Parsed;
use super::sessions::Sessions;
use crate::error::{Result, TraceError};
use crate::schema::Column;

/// A batch holds at most so many rows and, unless a single row has more, ids.
pub const BATCH_ROWS: usize = 65_536;
/// Ids of a batch, at most.
pub const BATCH_IDS: usize = 4 << 20;

/// Follows a block's rows through their sessions and makes the schema's columns of them. `first_line`: that of the block.
pub(super) fn batch(
    parsed: Parsed,
    sessions: &mut Sessions,
    schema: &SchemaRef,
    first_line: u64,
) -> Result<RecordBatch> {
    let wants_parents = schema.column_with_name(Column::ParentSessionId.name()).is_some();
    let mut derived = Vec::with_capacity(parsed.heads.len());
    let mut parents = Names::default();
    for head in &parsed.heads {
        derived.push(sessions.derive(head, &parsed.text).map_err(|found| found.on_line(first_line + head.line))?);
        if wants_parents {
            parents.push(sessions.parent());
        }
    }
    if let Some((line, diagnostic)) = parsed.diagnostic {
        return Err(diagnostic.on_line(first_line + line).into());
    }
    let Parsed { heads, text, hash_ids, offsets, reasons, .. } = parsed;
    let (mut ids, mut parents) = (Some((hash_ids, offsets)), Some(parents));
    let column = |column: Column| -> Result<ArrayRef> {
        Ok(match column {
            Column::SessionId => {
                let mut names = Names::default();
                for head in &heads {
                    names.push(head.session.clone().map(|span| &text[span]));
                }
                Arc::new(names.finish().map_err(TraceError::internal)?)
            }
            Column::TurnIndex => Arc::new(UInt32Array::from_iter_values(derived.iter().map(|d| d.turn_index))),
            Column::GroupId => Arc::new(derived.iter().map(|d| d.group_id).collect::<UInt32Array>()),
            Column::InputLength => Arc::new(UInt32Array::from_iter_values(derived.iter().map(|d| d.input_length))),
            Column::ContextLength => Arc::new(UInt32Array::from_iter_values(derived.iter().map(|d| d.context_length))),
            Column::OutputLength => Arc::new(UInt32Array::from_iter_values(heads.iter().map(|h| h.output_length))),
            Column::DelayMs => Arc::new(derived.iter().map(|d| d.delay).collect::<Float64Array>()),
            Column::TimestampMs => Arc::new(heads.iter().map(|h| h.timestamp).collect::<Float64Array>()),
            Column::HashIds => {
                let (ids, offsets) = ids.take().unwrap_or_default();
                Arc::new(id_lists(schema, Arc::new(Int64Array::from(ids)), offsets.into())?)
            }
            Column::IsRestart => Arc::new(derived.iter().map(|d| Some(d.is_restart)).collect::<BooleanArray>()),
            Column::ParentSessionId => {
                Arc::new(parents.take().unwrap_or_default().finish().map_err(TraceError::internal)?)
            }
            Column::EndReason => {
                let keys: Int8Array = heads.iter().map(|h| h.end_reason).collect();
                let words = Arc::new(StringArray::from(reasons.clone()));
                Arc::new(DictionaryArray::<Int8Type>::try_new(keys, words).map_err(TraceError::internal)?)
            }
        })
    };
    record_batch(schema, heads.len(), column)
}

/// A batch of the schema's columns, each made by `column`.
pub fn record_batch(
    schema: &SchemaRef,
    rows: usize,
    column: impl FnMut(Column) -> Result<ArrayRef>,
) -> Result<RecordBatch> {
    let columns = schema.fields().iter().filter_map(|f| Column::named(f.name())).map(column);
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(TraceError::internal)
}

/// `hash_ids` from its parts, with the item field of the schema.
pub fn id_lists(schema: &SchemaRef, ids: ArrayRef, offsets: ScalarBuffer<i64>) -> Result<LargeListArray> {
    let field = schema.field_with_name(Column::HashIds.name()).map_err(TraceError::internal)?;
    let DataType::LargeList(item) = field.data_type() else {
        return Err(TraceError::internal("hash_ids is not a list"));
    };
    LargeListArray::try_new(Arc::clone(item), OffsetBuffer::new(offsets), ids, None).map_err(TraceError::internal)
}

/// Cuts a batch that is too large.
pub(super) fn cut(batch: &RecordBatch) -> Vec<RecordBatch> {
    let lists = batch.column_by_name(Column::HashIds.name());
    let offsets = lists.and_then(|l| l.as_any().downcast_ref::<LargeListArray>()).map(LargeListArray::value_offsets);
    let ids = |rows: Range<usize>| offsets.map_or(0, |o| (o[rows.end] - o[rows.start]) as usize);
    let (mut pieces, mut start) = (Vec::new(), 0);
    while start < batch.num_rows() {
        let mut end = batch.num_rows().min(start + BATCH_ROWS);
        while end > start + 1 && ids(start..end) > BATCH_IDS {
            end = start + (end - start) / 2;
        }
        pieces.push(batch.slice(start, end - start));
        start = end;
    }
    pieces
}

/// A column of strings, of which neighbours are often equal: those are stored once.
#[derive(Default)]
pub(crate) struct Names {
    bytes: Vec<u8>,
    views: Vec<u128>,
    valid: Vec<bool>,
    last: Range<usize>,
}

impl Names {
    pub(crate) fn push(&mut self, name: Option<&str>) {
        self.valid.push(name.is_some());
        let Some(name) = name else { return self.views.push(0) };
        if self.bytes[self.last.clone()] != *name.as_bytes() {
            self.last = self.bytes.len()..self.bytes.len() + name.len();
            self.bytes.extend_from_slice(name.as_bytes());
        }
        self.views.push(make_view(name.as_bytes(), 0, self.last.start as u32));
    }

    pub(crate) fn finish(self) -> Result<StringViewArray, ArrowError> {
        let nulls = Some(NullBuffer::from(self.valid)).filter(|nulls| nulls.null_count() > 0);
        let buffers: Arc<[Buffer]> = Arc::new([Buffer::from_vec(self.bytes)]);
        StringViewArray::try_new(ScalarBuffer::from(self.views), buffers, nulls)
    }
}
