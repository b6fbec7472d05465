//! Writes a run directory: all formats and statistics in one pass over the sessions.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use agentgen_core::DatasetSpec;

use crate::batch::BatchBuilder;
use crate::buffers::Buffers;
use crate::encode::Worker;
use crate::error::{Result, TraceError};
use crate::generate::{Chunk, Shard};
use crate::manifest::{Manifest, SCHEMA_VERSION, Written};
use crate::meta::{FORMAT_VERSION, Origin, PROGRAM, TraceMeta};
use crate::observer::{InOrder as _, Observer, RunFacts};
use crate::ordered::{Cancel, Ordered};
pub use crate::run_directory::{JSONL, JSONL_ZSTD, PARQUET};
use crate::run_directory::{NewDirectory, remove_shards};
use crate::schema::{Column, schema};
use crate::sink::file::{PartialFile, sealed};
use crate::sink::parquet;
use crate::sink::parquet::parquet_error;

/// Options of a run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The run directory; created if missing.
    pub directory: PathBuf,
    /// Write `dataset.jsonl`.
    pub jsonl: bool,
    /// Write `dataset.parquet`.
    pub parquet: bool,
    /// Compress the JSONL: `dataset.jsonl.zst`.
    pub zstd: bool,
    /// Shard index and count.
    pub shard: crate::manifest::Shard,
    /// Worker threads.
    pub threads: usize,
    /// Time of creation for the manifest (UTC, RFC 3339).
    pub created: String,
}

/// Generates the sessions of one shard and writes them. `observer` makes one observer per thread; `done` counts the root
/// sessions written.
pub fn write_run<O: Observer>(
    spec: &Arc<DatasetSpec>,
    origin: &Origin,
    options: &RunOptions,
    observer: impl Fn() -> O,
    cancel: &Cancel,
    done: &AtomicU64,
) -> Result<Manifest> {
    let directory = NewDirectory::create(&options.directory)?;
    let meta = TraceMeta {
        layout: spec.layout(),
        block_size: spec.config().block_size,
        linked: spec.is_linked(),
        format_version: Some(FORMAT_VERSION),
        origin: Some(origin.clone()),
    };
    let schema = schema(&Column::ALL, &meta);
    let at = |name: &str| options.directory.join(name);
    let jsonl_name = if options.zstd { JSONL_ZSTD } else { JSONL };
    let buffers = Buffers::default();
    let mut jsonl = options.jsonl.then(|| PartialFile::recycling(&at(jsonl_name), &buffers)).transpose()?;
    let start = || parquet::Writer::start(PartialFile::create(&at(PARQUET))?, &schema);
    let mut parquet = options.parquet.then(start).transpose()?;
    let encoder = parquet.as_ref().map(|(_, encoder)| encoder.clone());

    let shard =
        Arc::new(Shard::new(Arc::clone(spec), options.shard.index, options.shard.count, options.threads, cancel)?);
    let observers: Vec<Arc<Mutex<O>>> = (0..options.threads.max(1)).map(|_| Arc::new(Mutex::new(observer()))).collect();
    let mut next_observer = observers.iter();
    let chunks = Ordered::start(options.threads, options.threads + 1, cancel, shard.chunks(cancel), || {
        let observer = next_observer.next().unwrap_or(&observers[0]);
        let worker = Worker {
            shard: Arc::clone(&shard),
            observer: Arc::clone(observer),
            jsonl: options.jsonl.then_some(options.zstd),
            buffers: buffers.clone(),
            parquet: encoder.clone(),
            directory: options.directory.clone(),
            cancel: cancel.clone(),
        };
        let mut builder = BatchBuilder::new(Arc::clone(&schema));
        move |chunk: Chunk| worker.encode(&chunk, &mut builder)
    });
    let mut written = Written::default();
    let mut in_order = O::in_order(&meta);
    for chunk in chunks {
        let chunk = chunk?;
        in_order.chunk(chunk.notes);
        if let Some(file) = &mut jsonl {
            chunk.jsonl.append_to(file, &buffers).map_err(|e| TraceError::io(file.path(), e))?;
        }
        if let (Some((writer, _)), Some(row_group)) = (&mut parquet, chunk.parquet) {
            writer.append(row_group).map_err(|e| parquet_error(&at(PARQUET), e))?;
        }
        written.add(chunk.written);
        done.fetch_add(chunk.roots, Ordering::Relaxed);
    }

    // All files, the manifest included, are on the disk before any of them gets its name.
    let rows = parquet.map(|(writer, _)| writer.finish().map_err(|e| parquet_error(&at(PARQUET), e))).transpose()?;
    let facts = RunFacts { origin, written, is_part: options.shard.count > 1 };
    let sidecars = merged(observers, observer)?.finish(in_order, spec, &facts)?;
    let mut files = jsonl.into_iter().chain(rows).map(PartialFile::seal).collect::<Result<Vec<_>>>()?;
    for (name, bytes) in sidecars {
        files.push(sealed(&at(name), bytes)?);
    }
    let formats = [("jsonl", options.jsonl), ("parquet", options.parquet)];
    let manifest = Manifest {
        schema_version: SCHEMA_VERSION,
        program: PROGRAM.to_owned(),
        format_version: FORMAT_VERSION,
        created: options.created.clone(),
        layout: spec.layout(),
        block_size: spec.config().block_size,
        linked: spec.is_linked(),
        origin: Some(origin.clone()),
        import: None,
        shard: options.shard,
        formats: formats.iter().filter(|f| f.1).map(|f| f.0.to_owned()).collect(),
        compression: if options.zstd { "zstd" } else { "none" }.to_owned(),
        written,
        effective: effective(spec),
        warnings: spec.warnings().to_vec(),
        files: files.iter().map(|file| file.entry().clone()).collect(),
        parts: Vec::new(),
    };
    files.push(manifest.sealed(&options.directory)?);
    directory.clear()?;
    remove_shards(&options.directory, &[])?;
    for file in files {
        file.publish()?;
    }
    directory.keep();
    Ok(manifest)
}

/// Stated, solved and effective values of every field, by field path.
#[must_use]
pub fn effective(spec: &DatasetSpec) -> serde_json::Value {
    let config = spec.config();
    let (layer1, layer1_5) = config.prefix_blocks();
    let mut fields = serde_json::Map::new();
    fields.insert("max_prompt_tokens".into(), config.max_prompt_tokens.into());
    fields.insert("layer1_tokens".into(), (layer1 * u64::from(config.block_size)).into());
    fields.insert("layer1_5_tokens".into(), (layer1_5 * u64::from(config.block_size)).into());
    for field in spec.resolved() {
        fields.insert(field.path.into(), serde_json::to_value(field).unwrap_or_default());
    }
    fields.into()
}

fn merged<O: Observer>(observers: Vec<Arc<Mutex<O>>>, fresh: impl Fn() -> O) -> Result<O> {
    let mut total = fresh();
    for observer in observers {
        let observer = Arc::into_inner(observer).ok_or_else(|| TraceError::internal("an observer is still in use"))?;
        total.merge(observer.into_inner().unwrap_or_else(PoisonError::into_inner));
    }
    Ok(total)
}
