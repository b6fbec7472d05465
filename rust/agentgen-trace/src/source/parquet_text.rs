//! Columns of any Parquet file as text, for files that are no traces of this program.

use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_cast::cast;
use arrow_schema::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::parquet_file::{decoded, open_file, parquet_metadata};
use crate::error::{Result, TraceError};

/// Rows read at once: a value may be large.
const BATCH_ROWS: usize = 64;

/// The names of a file's columns.
pub fn column_names(path: &Path) -> Result<Vec<String>> {
    let metadata = parquet_metadata(path)?;
    Ok(metadata.schema().fields().iter().map(|field| field.name().clone()).collect())
}

/// Some columns of a file, batch by batch; those that the file lacks are missing.
pub struct ColumnBatches(ParquetRecordBatchReader);

impl ColumnBatches {
    /// Opens a file.
    pub fn open(path: &Path, columns: &[&str]) -> Result<Self> {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(open_file(path)?, parquet_metadata(path)?);
        let known = columns.iter().filter(|name| builder.schema().column_with_name(name).is_some());
        let mask = ProjectionMask::columns(builder.parquet_schema(), known.copied());
        let reader = decoded(|| builder.with_projection(mask).with_batch_size(BATCH_ROWS).build());
        Ok(Self(reader.map_err(|e| e.in_file(path))?))
    }
}

impl std::fmt::Debug for ColumnBatches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ColumnBatches").finish_non_exhaustive()
    }
}

impl Iterator for ColumnBatches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        decoded(|| self.0.next().transpose()).transpose()
    }
}

/// The rows of a file: the text of each column in `columns`; `None` for nulls and for columns that the file lacks.
pub struct TextRows {
    batches: ColumnBatches,
    columns: Vec<String>,
}

impl TextRows {
    /// Opens a file.
    pub fn open(path: &Path, columns: &[&str]) -> Result<Self> {
        let names = columns.iter().map(|name| (*name).to_owned()).collect();
        Ok(Self { batches: ColumnBatches::open(path, columns)?, columns: names })
    }

    fn rows(&self, batch: &RecordBatch) -> Result<Vec<Vec<Option<String>>>> {
        let mut rows = vec![Vec::with_capacity(self.columns.len()); batch.num_rows()];
        for name in &self.columns {
            let column = batch.column_by_name(name).map(|column| cast(column, &DataType::Utf8)).transpose();
            let column = column.map_err(TraceError::internal)?;
            let texts = column.as_ref().map(AsArray::as_string::<i32>);
            for (at, row) in rows.iter_mut().enumerate() {
                row.push(texts.filter(|texts| texts.is_valid(at)).map(|texts| texts.value(at).to_owned()));
            }
        }
        Ok(rows)
    }
}

impl Iterator for TextRows {
    type Item = Result<Vec<Vec<Option<String>>>>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batches.next()?;
        Some(batch.and_then(|batch| decoded(|| self.rows(&batch))))
    }
}
