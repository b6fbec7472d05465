//! Any stream of batches into one file, whose name decides the format.

use std::path::Path;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::file::PartialFile;
use super::parquet::{RowGroup, Writer};
use super::{ZSTD_LEVEL, jsonl};
use crate::batch::internal;
use crate::error::{Result, TraceError};
use crate::manifest::{FileEntry, Written};
use crate::meta::Layout;
use crate::ordered::{Cancel, Ordered};
use crate::run::parquet_error;

/// A format that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Lines of JSON.
    Jsonl,
    /// The same, compressed.
    JsonlZstd,
    /// Parquet.
    Parquet,
}

impl Format {
    /// The format a file name asks for.
    pub fn of(path: &Path) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        [(".jsonl", Self::Jsonl), (".jsonl.zst", Self::JsonlZstd), (".parquet", Self::Parquet)]
            .into_iter()
            .find_map(|(ending, format)| name.ends_with(ending).then_some(format))
            .ok_or_else(|| {
                let expected = "expected a name that ends in .jsonl, .jsonl.zst or .parquet";
                TraceError::Format(format!("{}: cannot tell the format to write; {expected}", path.display()))
            })
    }
}

/// An encoded batch.
enum Encoded {
    Lines(Vec<u8>),
    RowGroup(RowGroup),
}

/// Writes batches with all columns to `path`; they are encoded on several threads, written in order.
pub fn write_table(
    batches: impl Iterator<Item = Result<RecordBatch>> + Send + 'static,
    schema: &SchemaRef,
    layout: Layout,
    path: &Path,
    threads: usize,
    cancel: &Cancel,
) -> Result<(FileEntry, Written)> {
    let format = Format::of(path)?;
    let mut file = Some(PartialFile::create(path)?);
    let mut parquet = None;
    if format == Format::Parquet {
        parquet = file.take().map(|file| Writer::start(file, schema)).transpose()?;
    }
    let encoder = parquet.as_ref().map(|(_, encoder)| encoder.clone());
    let encoded = Ordered::start(threads, threads + 1, cancel, batches, || {
        let encoder = encoder.clone();
        move |batch: Result<RecordBatch>| {
            let batch = batch?;
            let written = Written::of(&batch);
            if let Some(encoder) = &encoder {
                return Ok((Encoded::RowGroup(encoder.encode([&batch])?), written));
            }
            let mut lines = Vec::new();
            jsonl::write(&batch, layout, &mut lines)?;
            if format == Format::JsonlZstd {
                lines = zstd::bulk::compress(&lines, ZSTD_LEVEL).map_err(internal)?;
            }
            Ok((Encoded::Lines(lines), written))
        }
    });
    let mut total = Written::default();
    for batch in encoded {
        let (encoded, written) = batch?;
        total.add(written);
        match (encoded, &mut file, &mut parquet) {
            (Encoded::Lines(lines), Some(file), _) => file.append(lines).map_err(|e| TraceError::io(path, e))?,
            (Encoded::RowGroup(group), _, Some((writer, _))) => {
                writer.append(group).map_err(|e| parquet_error(path, e))?;
            }
            _ => return Err(internal("encoded for another format")),
        }
    }
    let file = match parquet {
        Some((writer, _)) => Some(writer.finish().map_err(|e| parquet_error(path, e))?),
        None => file,
    };
    let file = file.ok_or_else(|| internal("no file"))?;
    Ok((file.complete()?, total))
}
