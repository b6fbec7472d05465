//! Batches of any schema as a Parquet file that has its name once it is whole.

use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::file::FileEntry;
use super::file::PartialFile;
use super::parquet::{Encoder, Writer, parquet_error};
use crate::error::Result;

/// A Parquet file that batches are appended to, each as a row group. Dropped before it is finished, it is removed.
#[derive(Debug)]
pub struct BatchFile {
    path: PathBuf,
    writer: Writer<PartialFile>,
    encoder: Encoder,
}

impl BatchFile {
    /// Starts a file that will be called `path`.
    pub fn create(path: &Path, schema: &SchemaRef) -> Result<Self> {
        let (writer, encoder) = Writer::start(PartialFile::create(path)?, schema)?;
        Ok(Self { path: path.to_owned(), writer, encoder })
    }

    /// Appends the rows of a batch.
    pub fn append(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut row_group = self.encoder.begin()?;
        row_group.add(batch)?;
        self.writer.append(row_group.finish()?).map_err(|error| parquet_error(&self.path, error))
    }

    /// Completes the file and gives it its name.
    pub fn finish(self) -> Result<FileEntry> {
        let path = self.path;
        self.writer.finish().map_err(|error| parquet_error(&path, error))?.seal()?.publish()
    }
}
