//! Converts the rows of a block to a canonical batch, with the columns that follow from earlier rows of their sessions.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::types::Int8Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int8Array, Int64Array, LargeListArray, RecordBatch,
    RecordBatchOptions, StringArray, UInt32Array,
};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, SchemaRef};

use super::link_columns::LinkColumns;
use super::parsed::ParsedBlock;
use super::sessions::Sessions;
use super::string_column::StringColumn;
use crate::error::{Result, TraceError};
use crate::schema::Column;

/// Maximum rows of a batch.
pub const BATCH_ROWS: usize = 65_536;
/// Maximum hash ids of a batch, unless a single row has more.
pub const BATCH_IDS: usize = 4 << 20;

/// Converts a block's rows to the columns of `schema`. `first_line` is the line number of the block's first line.
pub(super) fn batch(
    parsed: ParsedBlock,
    sessions: &mut Sessions,
    schema: &SchemaRef,
    first_line: u64,
) -> Result<RecordBatch> {
    let wants_parents = schema.column_with_name(Column::ParentSessionId.name()).is_some();
    let mut derived = Vec::with_capacity(parsed.headers.len());
    let mut parents = StringColumn::default();
    let mut links = schema.column_with_name(Column::Link.name()).map(|_| LinkColumns::default());
    for header in &parsed.headers {
        let row = sessions.derive(header, &parsed.text).map_err(|found| found.on_line(first_line + header.line))?;
        if wants_parents {
            parents.push(sessions.parent());
        }
        if let Some(links) = &mut links {
            links.push(row.turn_index == 0, header.links.as_deref(), sessions.links());
        }
        derived.push(row);
    }
    if let Some((line, diagnostic)) = parsed.diagnostic {
        return Err(diagnostic.on_line(first_line + line).into());
    }
    let ParsedBlock { headers, text, hash_ids, offsets, reasons, .. } = parsed;
    let (mut ids, mut parents) = (Some((hash_ids, offsets)), Some(parents));
    let column = |column: Column| -> Result<ArrayRef> {
        Ok(match column {
            Column::SessionId => {
                let mut names = StringColumn::default();
                for header in &headers {
                    names.push(header.session.clone().map(|span| &text[span]));
                }
                Arc::new(names.finish().map_err(TraceError::internal)?)
            }
            Column::TurnIndex => Arc::new(UInt32Array::from_iter_values(derived.iter().map(|d| d.turn_index))),
            Column::GroupId => Arc::new(derived.iter().map(|d| d.group_id).collect::<UInt32Array>()),
            Column::InputLength => Arc::new(UInt32Array::from_iter_values(derived.iter().map(|d| d.input_length))),
            Column::ContextLength => Arc::new(UInt32Array::from_iter_values(derived.iter().map(|d| d.context_length))),
            Column::OutputLength => Arc::new(UInt32Array::from_iter_values(headers.iter().map(|h| h.output_length))),
            Column::DelayMs => Arc::new(derived.iter().map(|d| d.delay).collect::<Float64Array>()),
            Column::TimestampMs => Arc::new(headers.iter().map(|h| h.timestamp).collect::<Float64Array>()),
            Column::HashIds => {
                let (ids, offsets) = ids.take().unwrap_or_default();
                Arc::new(id_lists(schema, Arc::new(Int64Array::from(ids)), offsets.into())?)
            }
            Column::IsRestart => Arc::new(derived.iter().map(|d| Some(d.is_restart)).collect::<BooleanArray>()),
            Column::ParentSessionId => {
                Arc::new(parents.take().unwrap_or_default().finish().map_err(TraceError::internal)?)
            }
            Column::EndReason => {
                let keys: Int8Array = headers.iter().map(|h| h.end_reason).collect();
                let words = Arc::new(StringArray::from(reasons.clone()));
                Arc::new(DictionaryArray::<Int8Type>::try_new(keys, words).map_err(TraceError::internal)?)
            }
            of_links => links.as_mut().ok_or_else(|| TraceError::internal("a trace without links"))?.take(of_links)?,
        })
    };
    record_batch(schema, headers.len(), column)
}

/// A batch of the schema's columns; `column` builds each of them.
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

/// The column `hash_ids`, with the item field of the schema.
pub fn id_lists(schema: &SchemaRef, ids: ArrayRef, offsets: ScalarBuffer<i64>) -> Result<LargeListArray> {
    let field = schema.field_with_name(Column::HashIds.name()).map_err(TraceError::internal)?;
    let DataType::LargeList(item) = field.data_type() else {
        return Err(TraceError::internal("hash_ids is not a list"));
    };
    LargeListArray::try_new(Arc::clone(item), OffsetBuffer::new(offsets), ids, None).map_err(TraceError::internal)
}

/// Splits a batch that exceeds [`BATCH_ROWS`] or [`BATCH_IDS`].
pub(super) fn split(batch: &RecordBatch) -> Vec<RecordBatch> {
    let lists = batch.column_by_name(Column::HashIds.name());
    let offsets = lists.and_then(|l| l.as_any().downcast_ref::<LargeListArray>()).map(LargeListArray::value_offsets);
    let ids = |rows: Range<usize>| offsets.map_or(0, |o| (o[rows.end] - o[rows.start]) as usize);
    let (mut batches, mut start) = (Vec::new(), 0);
    while start < batch.num_rows() {
        let mut end = batch.num_rows().min(start + BATCH_ROWS);
        while end > start + 1 && ids(start..end) > BATCH_IDS {
            end = start + (end - start) / 2;
        }
        batches.push(batch.slice(start, end - start));
        start = end;
    }
    batches
}
