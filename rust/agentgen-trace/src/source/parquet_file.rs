//! Reads Parquet files of any writer as canonical batches.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, cast::AsArray, new_null_array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};

use super::columns::{BATCH_IDS, BATCH_ROWS, id_lists, record_batch};
use super::guard::guarded;
use crate::diagnostic::Diagnostic;
use crate::error::{Result, TraceError};
use crate::meta::{META_KEY, TraceMeta};
use crate::schema::Column;

/// The trace metadata of a Parquet file; `None` if it has none.
pub(super) fn parquet_meta(path: &Path) -> Result<Option<TraceMeta>> {
    let schema = parquet_metadata(path)?.schema().clone();
    let Some(json) = schema.metadata().get(META_KEY) else { return Ok(None) };
    serde_json::from_str(json).map(Some).map_err(|e| {
        let diagnostic = Diagnostic::unnamed(e.to_string(), format!("metadata `{META_KEY}` of this version"));
        diagnostic.with_help("use the agentgen that wrote the file").in_file(path).into()
    })
}

/// The footer of a Parquet file.
pub(super) fn parquet_metadata(path: &Path) -> Result<ArrowReaderMetadata> {
    let file = open_file(path)?;
    decoded(|| ArrowReaderMetadata::load(&file, ArrowReaderOptions::default())).map_err(|e| e.in_file(path))
}

pub(super) fn open_file(path: &Path) -> Result<File> {
    File::open(path).map_err(|e| TraceError::io(path, e))
}

/// What a decoder makes of a file, which may be corrupt: its errors and panics are one error.
pub(super) fn decoded<T, E: std::fmt::Display>(work: impl FnOnce() -> Result<T, E>) -> Result<T> {
    match guarded(work) {
        Ok(result) => result.map_err(unreadable),
        Err(panic) => Err(unreadable(format!("damaged data ({panic})"))),
    }
}

/// The canonical batches of a file.
pub(super) struct Batches {
    reader: ParquetRecordBatchReader,
    schema: SchemaRef,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = decoded(|| self.reader.next().transpose()).transpose()?;
        Some(batch.and_then(|batch| canonical(&batch, &self.schema)))
    }
}

/// Opens a file for the columns of `schema` that it has.
pub(super) fn open(path: &Path, schema: &SchemaRef) -> Result<Batches> {
    let metadata = parquet_metadata(path)?;
    let has = |column: &Column| metadata.schema().column_with_name(column.name()).is_some();
    let wanted: Vec<Column> = schema.fields().iter().filter_map(|f| Column::named(f.name())).collect();
    if let Some(missing) = wanted.iter().find(|c| !has(c) && !is_optional(**c)) {
        let found: Vec<&str> = metadata.schema().fields().iter().map(|f| f.name().as_str()).collect();
        let (found, expected) = (format!("columns {}", found.join(", ")), format!("{} among them", missing.name()));
        return Err(Diagnostic::new("missing-field", found, expected).with_field(missing.name()).in_file(path).into());
    }
    let file = open_file(path)?;
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone());
    let names = wanted.iter().filter(|c| has(c)).map(|c| c.name());
    let mask = ProjectionMask::columns(builder.parquet_schema(), names);
    let rows = if wanted.contains(&Column::HashIds) { rows_per_batch(&builder) } else { BATCH_ROWS };
    let reader = decoded(|| builder.with_projection(mask).with_batch_size(rows).build());
    Ok(Batches { reader: reader.map_err(|e| e.in_file(path))?, schema: Arc::clone(schema) })
}

/// Rows whose hash ids are about as many as a batch may hold.
fn rows_per_batch(builder: &ParquetRecordBatchReaderBuilder<File>) -> usize {
    let groups = builder.metadata().row_groups();
    let rows: i64 = groups.iter().map(RowGroupMetaData::num_rows).sum();
    let columns = groups.iter().flat_map(RowGroupMetaData::columns);
    let ids: i64 = columns
        .filter(|c| c.column_path().parts()[0] == Column::HashIds.name())
        .map(ColumnChunkMetaData::num_values)
        .sum();
    let average = (ids / rows.max(1)).max(1) as usize;
    (BATCH_IDS / average).clamp(1, BATCH_ROWS)
}

/// Whether a file may lack this column.
fn is_optional(column: Column) -> bool {
    use Column::{DelayMs, EndReason, GroupId, IsRestart, ParentSessionId, SessionId, TimestampMs};
    let of_all =
        matches!(column, SessionId | GroupId | DelayMs | TimestampMs | IsRestart | ParentSessionId | EndReason);
    of_all || column.is_of_links()
}

/// The error of a file that cannot be decoded.
fn unreadable(error: impl std::fmt::Display) -> TraceError {
    Diagnostic::new("parquet", error.to_string(), "a readable Parquet file").into()
}

/// The error of a column that cannot be converted to the canonical type.
fn type_error(column: Column, what: &str, expected: impl Into<String>) -> TraceError {
    Diagnostic::new("type", format!("{} {what}", column.name()), expected).with_field(column.name()).into()
}

/// Converts a batch to the types of the schema: other writers use other types for the same values.
fn canonical(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    record_batch(schema, rows, |column| {
        let field = schema.field_with_name(column.name()).map_err(TraceError::internal)?;
        let Some(found) = batch.column_by_name(column.name()) else {
            return Ok(match column {
                Column::IsRestart => Arc::new(BooleanArray::from(vec![false; rows])),
                _ => new_null_array(field.data_type(), rows),
            });
        };
        if !field.is_nullable() && found.null_count() > 0 {
            return Err(type_error(column, &format!("with {} nulls", found.null_count()), "no null"));
        }
        if column == Column::HashIds {
            return lists(found, schema);
        }
        // `cast` would also turn strings and booleans into numbers.
        if field.data_type().is_numeric() && !found.data_type().is_numeric() {
            return Err(type_error(column, &format!("of type {}", found.data_type()), field.data_type().to_string()));
        }
        checked_cast(column, found, field.data_type())
    })
}

/// A cast that fails where a value does not fit.
fn checked_cast(column: Column, array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if array.data_type() == to {
        return Ok(Arc::clone(array));
    }
    if array.data_type().is_floating() && to.is_integer() {
        return Err(type_error(column, &format!("of type {}", array.data_type()), to.to_string()));
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, to, &options)
        .map_err(|e| type_error(column, &format!("that does not fit ({e})"), to.to_string()))
}

/// Converts `hash_ids` from any list of any integers.
fn lists(array: &ArrayRef, schema: &SchemaRef) -> Result<ArrayRef> {
    let column = Column::HashIds;
    let item = match array.data_type() {
        DataType::LargeList(item) | DataType::List(item) | DataType::ListView(item) => Arc::clone(item),
        other => return Err(type_error(column, &format!("of type {other}"), "a list of integers")),
    };
    let array = checked_cast(column, array, &DataType::LargeList(item))?;
    let list = array.as_list::<i64>();
    // The values of a slice include those of its neighbours.
    let (first, end) = (list.value_offsets()[0], list.value_offsets()[list.len()]);
    let values = list.values().slice(first as usize, (end - first) as usize);
    if values.null_count() > 0 {
        return Err(type_error(column, &format!("with {} null ids", values.null_count()), "no null"));
    }
    if !values.data_type().is_integer() && !values.is_empty() {
        return Err(type_error(column, &format!("of {} values", values.data_type()), "a list of integers"));
    }
    let ids = checked_cast(column, &values, &DataType::Int64)?;
    let offsets = list.value_offsets().iter().map(|o| o - first).collect();
    Ok(Arc::new(id_lists(schema, ids, offsets)?))
}
