//! Any stream of batches into one file, whose name decides the format.

use std::path::Path;

use agentgen_core::ids::MAX_ID;
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int64Type, UInt32Type};
use arrow_schema::SchemaRef;

use super::file::FileEntry;
use super::file::PartialFile;
use super::parquet::{RowGroup, Writer, parquet_error};
use super::{ZSTD_LEVEL, jsonl};
use crate::diagnostic::Diagnostic;
use crate::error::{Result, TraceError};
use crate::meta::Layout;
use crate::ordered::{Cancel, Ordered};
use crate::row::{TIME, is_time};
use crate::schema::Column;
use crate::written::Written;

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
                let expected = "a name that ends in .jsonl, .jsonl.zst or .parquet";
                Diagnostic::unnamed("a name of no format that can be written", expected).in_file(path).into()
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
            check(&batch)?;
            let written = Written::of(&batch)?;
            if let Some(encoder) = &encoder {
                let mut row_group = encoder.begin()?;
                row_group.add(&batch)?;
                return Ok((Encoded::RowGroup(row_group.finish()?), written));
            }
            let mut lines = Vec::new();
            jsonl::write(&batch, layout, &mut lines)?;
            if format == Format::JsonlZstd {
                lines = zstd::bulk::compress(&lines, ZSTD_LEVEL).map_err(TraceError::internal)?;
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
            _ => return Err(TraceError::internal("encoded for another format")),
        }
    }
    let file = match parquet {
        Some((writer, _)) => Some(writer.finish().map_err(|e| parquet_error(path, e))?),
        None => file,
    };
    let file = file.ok_or_else(|| TraceError::internal("no file"))?;
    Ok((file.seal()?.publish()?, total))
}

/// Whether a reader of what is written will accept it: a table from elsewhere may hold anything its types can.
pub fn check(batch: &RecordBatch) -> Result<()> {
    let refuse = |column: Column, found: String, expected: &str| {
        let diagnostic = Diagnostic::unnamed(found, expected).with_field(column.name());
        Err(diagnostic.with_help("agentgen validate names the row").into())
    };
    for column in [Column::DelayMs, Column::TimestampMs] {
        let times = column.required(batch)?.as_primitive::<Float64Type>();
        if let Some(time) = times.iter().flatten().find(|time| !is_time(*time)) {
            return refuse(column, time.to_string(), TIME);
        }
    }
    let ids = Column::HashIds.required(batch)?.as_list::<i64>().values().as_primitive::<Int64Type>();
    if let Some(id) = ids.values().iter().find(|id| !(0..=MAX_ID as i64).contains(*id)) {
        return refuse(Column::HashIds, id.to_string(), "0 to 2^53 - 1");
    }
    let input = Column::InputLength.required(batch)?.as_primitive::<UInt32Type>();
    if input.values().contains(&0) {
        return refuse(Column::InputLength, "0".to_owned(), "at least 1");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use agentgen_core::config::{Overrides, preset};
    use agentgen_core::{Config, DatasetSpec};
    use arrow_array::Float64Array;

    use super::*;
    use crate::generate::{Shard, batches};
    use crate::meta::TraceMeta;
    use crate::schema::schema;

    #[test]
    fn what_no_reader_would_accept_is_not_written() {
        let config = Config::from_json(preset("default").expect("bundled")).expect("valid");
        let spec = DatasetSpec::new(&config, Overrides::default(), 1, 2, Layout::Incremental).expect("feasible");
        let meta = TraceMeta {
            layout: Layout::Incremental,
            block_size: 512,
            linked: false,
            format_version: None,
            origin: None,
        };
        let schema = schema(&Column::ALL, &meta);
        let cancel = Cancel::default();
        let shard = Arc::new(Shard::new(Arc::new(spec), 0, 1, 1, &cancel).expect("not cancelled"));
        let batch = batches(&shard, &schema, 1, &cancel).next().expect("a batch").expect("generates");
        check(&batch).expect("sound");
        let mut columns = batch.columns().to_vec();
        columns[Column::DelayMs as usize] = Arc::new(Float64Array::from(vec![f64::NAN; batch.num_rows()]));
        let spoilt = RecordBatch::try_new(Arc::clone(&schema), columns).expect("same types");
        let message = check(&spoilt).expect_err("refused").to_string();
        assert_eq!(
            message,
            "delay_ms: found NaN, expected a number of milliseconds from 0 to 2^42 (agentgen validate names the row)"
        );
    }
}
