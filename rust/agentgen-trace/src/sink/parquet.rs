//! Rows of the canonical table as Parquet: an encoding for each column, zstd, one row group a chunk of sessions.
//!
//! Row groups are encoded where their rows are made, on any thread, and appended in order.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

use crate::diagnostic::Diagnostic;
use crate::error::{Result, TraceError};
use crate::meta::{META_KEY, PROGRAM};
use crate::schema::Column;

/// The properties of every Parquet file we write.
fn properties(schema: &Schema) -> WriterProperties {
    let meta = schema.metadata().get(META_KEY).map(|json| KeyValue::new(META_KEY.to_owned(), json.clone()));
    let mut properties = WriterProperties::builder()
        .set_created_by(PROGRAM.to_owned())
        .set_key_value_metadata(meta.map(|m| vec![m]))
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        // Says where pages are; without statistics of pages no reader asks. All of the footer stays in memory until the end.
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(None);
    for column in Column::ALL {
        let path = match column {
            Column::HashIds => ColumnPath::from(vec!["hash_ids".to_owned(), "list".to_owned(), "item".to_owned()]),
            _ => ColumnPath::from(column.name()),
        };
        // Session ids are random, ids lie in a list, reasons are the same everywhere: their least and greatest values let
        // no reader skip a row group, and take memory for every one.
        if matches!(column, Column::SessionId | Column::HashIds | Column::EndReason) {
            properties = properties.set_column_statistics_enabled(path.clone(), EnabledStatistics::None);
        }
        properties = match column {
            // Runs of consecutive numbers, or numbers that fill their range: differences pack best.
            Column::HashIds
            | Column::TurnIndex
            | Column::InputLength
            | Column::ContextLength
            | Column::OutputLength
            | Column::KeptLength
            | Column::ReturnedLength => properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
            // Tenths of a millisecond: the bytes of a float's exponent repeat, those of its fraction do not.
            Column::DelayMs | Column::TimestampMs => properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::BYTE_STREAM_SPLIT),
            // A value a session, repeated on its rows, or one of a few words.
            _ => properties,
        };
    }
    properties.build()
}

/// Encodes row groups; one for each thread.
#[derive(Clone)]
pub struct Encoder {
    schema: SchemaRef,
    factory: Arc<ArrowRowGroupWriterFactory>,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// The encoded columns of one row group.
pub type RowGroup = Vec<ArrowColumnChunk>;

impl Encoder {
    /// Begins a row group.
    pub fn begin(&self) -> Result<RowGroupBuilder> {
        // The index only matters to encryption and to page order bookkeeping, neither of which is used.
        let columns = self.factory.create_column_writers(0).map_err(TraceError::internal)?;
        Ok(RowGroupBuilder { schema: Arc::clone(&self.schema), columns })
    }
}

/// A row group that batches are added to; what has been added is held encoded.
pub struct RowGroupBuilder {
    schema: SchemaRef,
    columns: Vec<ArrowColumnWriter>,
}

impl RowGroupBuilder {
    /// Encodes the rows of a batch.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut writers = self.columns.iter_mut();
        for (field, array) in self.schema.fields().iter().zip(batch.columns()) {
            for leaf in compute_leaves(field, array).map_err(TraceError::internal)? {
                let writer = writers.next().ok_or_else(|| TraceError::internal("more leaves than columns"))?;
                writer.write(&leaf).map_err(TraceError::internal)?;
            }
        }
        Ok(())
    }

    /// The row group.
    pub fn finish(self) -> Result<RowGroup> {
        self.columns.into_iter().map(|column| column.close().map_err(TraceError::internal)).collect()
    }
}

impl std::fmt::Debug for RowGroupBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowGroupBuilder").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// A Parquet file that row groups are appended to.
pub struct Writer<W: Write + Send>(SerializedFileWriter<W>);

impl<W: Write + Send> std::fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl<W: Write + Send> Writer<W> {
    /// Starts a file; row groups come from the encoder.
    pub fn start(file: W, schema: &SchemaRef) -> Result<(Self, Encoder)> {
        let writer =
            ArrowWriter::try_new(file, Arc::clone(schema), Some(properties(schema))).map_err(TraceError::internal)?;
        let (writer, factory) = writer.into_serialized_writer().map_err(TraceError::internal)?;
        Ok((Self(writer), Encoder { schema: Arc::clone(schema), factory: Arc::new(factory) }))
    }

    /// Appends a row group.
    pub fn append(&mut self, row_group: RowGroup) -> parquet::errors::Result<()> {
        let mut target = self.0.next_row_group()?;
        for column in row_group {
            column.append_to_row_group(&mut target)?;
        }
        target.close().map(drop)
    }

    /// Writes the footer and returns the file.
    pub fn finish(self) -> parquet::errors::Result<W> {
        self.0.into_inner()
    }
}

/// The operating system's reason, where there is one.
#[must_use]
pub fn parquet_error(path: &Path, error: ParquetError) -> TraceError {
    match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(source) => TraceError::io(path, *source),
            Err(source) => TraceError::io(path, std::io::Error::other(source)),
        },
        other => Diagnostic::unnamed(other.to_string(), "a Parquet file that can be written").in_file(path).into(),
    }
}
