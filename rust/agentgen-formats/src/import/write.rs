//! Writes an import as a run directory.

use std::sync::Arc;

use agentgen_trace::error::{Result, TraceError};
use agentgen_trace::manifest::{Manifest, SCHEMA_VERSION, Shard, Written};
use agentgen_trace::meta::{FORMAT_VERSION, Layout, PROGRAM, TraceMeta};
use agentgen_trace::ordered::{Cancel, Ordered, stream};
use agentgen_trace::run_directory::{CALLS, JSONL, NewDirectory, PARQUET, QUALITY, remove_shards};
use agentgen_trace::schema::{Column, schema};
use agentgen_trace::sink::file::{PartialFile, sealed};
use agentgen_trace::sink::parquet::{Encoder, RowGroup, Writer, parquet_error};
use agentgen_trace::sink::{jsonl, table};

use super::calls;
use super::names::Names;
use super::options::ImportOptions;
use super::rows::{Batch, Rows};
use super::summary::ImportQuality;
use super::trace::Trace;

/// Batches that wait to be encoded.
const WAITING: usize = 2;

/// An encoded batch.
enum Encoded {
    Rows(Vec<u8>, RowGroup, Written),
    Calls(RowGroup),
}

/// Writes a trace; `import` is what the manifest says of its sources.
pub(crate) fn write(
    trace: &Arc<Trace>,
    names: &Arc<Names>,
    import: serde_json::Value,
    options: &ImportOptions,
    cancel: &Cancel,
) -> Result<Manifest> {
    let (directory, threads) = (&*options.directory, options.threads);
    let target = NewDirectory::create(directory)?;
    let meta = TraceMeta {
        layout: Layout::Cumulative,
        block_size: trace.block_tokens,
        linked: true,
        format_version: None,
        origin: None,
    };
    let schema = schema(&Column::ALL, &meta);
    let at = |name: &str| directory.join(name);
    let mut lines = PartialFile::create(&at(JSONL))?;
    let (mut rows, row_encoder) = Writer::start(PartialFile::create(&at(PARQUET))?, &schema)?;
    let (mut calls, call_encoder) = Writer::start(PartialFile::create(&at(CALLS))?, &calls::schema())?;
    let batches = {
        let (trace, names) = (Arc::clone(trace), Arc::clone(names));
        stream(WAITING, move |emit| Rows::new(&trace, &names, schema).write(emit))
    };
    let encoded = Ordered::start(threads, threads + 1, cancel, batches, || {
        let (row_encoder, call_encoder) = (row_encoder.clone(), call_encoder.clone());
        move |batch: Result<Batch>| match batch? {
            Batch::Rows(batch) => {
                table::check(&batch)?;
                let mut text = Vec::new();
                jsonl::write(&batch, Layout::Cumulative, &mut text)?;
                Ok(Encoded::Rows(text, row_group(&row_encoder, &batch)?, Written::of(&batch)?))
            }
            Batch::Calls(batch) => Ok(Encoded::Calls(row_group(&call_encoder, &batch)?)),
        }
    });
    let mut written = Written::default();
    for batch in encoded {
        match batch? {
            Encoded::Rows(text, group, totals) => {
                lines.append(text).map_err(|e| TraceError::io(lines.path(), e))?;
                rows.append(group).map_err(|e| parquet_error(&at(PARQUET), e))?;
                written.add(totals);
            }
            Encoded::Calls(group) => calls.append(group).map_err(|e| parquet_error(&at(CALLS), e))?,
        }
    }
    let rows = rows.finish().map_err(|e| parquet_error(&at(PARQUET), e))?;
    let calls = calls.finish().map_err(|e| parquet_error(&at(CALLS), e))?;
    let mut files = [lines, rows, calls].into_iter().map(PartialFile::seal).collect::<Result<Vec<_>>>()?;
    let mut quality = serde_json::to_vec_pretty(&ImportQuality::of(&trace.summary)).map_err(TraceError::internal)?;
    quality.push(b'\n');
    files.push(sealed(&at(QUALITY), quality)?);
    let manifest = Manifest {
        schema_version: SCHEMA_VERSION,
        program: PROGRAM.to_owned(),
        format_version: FORMAT_VERSION,
        created: options.created.clone(),
        layout: Layout::Cumulative,
        block_size: trace.block_tokens,
        linked: true,
        origin: None,
        import: Some(import),
        shard: Shard { index: 0, count: 1 },
        formats: vec!["jsonl".to_owned(), "parquet".to_owned()],
        compression: "none".to_owned(),
        written,
        effective: serde_json::Value::Null,
        warnings: Vec::new(),
        files: files.iter().map(|file| file.entry().clone()).collect(),
        parts: Vec::new(),
    };
    files.push(manifest.sealed(directory)?);
    target.clear()?;
    remove_shards(directory, &[])?;
    for file in files {
        file.publish()?;
    }
    target.keep();
    Ok(manifest)
}

fn row_group(encoder: &Encoder, batch: &arrow_array::RecordBatch) -> Result<RowGroup> {
    let mut group = encoder.begin()?;
    group.add(batch)?;
    group.finish()
}
