//! Generating: a stream of batches, a run directory, a set of shards.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agentgen_analysis::quality::{Statistics, merge_runs};
use agentgen_core::config::{Config, Overrides};
use agentgen_core::{DatasetSpec, Layout};
use agentgen_trace::generate::{Shard, batches};
use agentgen_trace::manifest::Manifest;
use agentgen_trace::run::{RunOptions, write_run as write};
use agentgen_trace::schema::schema;
use agentgen_trace::sink::file::write_whole;
use agentgen_trace::{Cancel, FORMAT_VERSION, Origin, TraceError, TraceMeta, run_directory};
use pyo3::prelude::*;

use crate::arguments::{self, json};
use crate::enter::{enter, report};
use crate::error::{Failure, named};
use crate::stream::BatchStream;

fn dataset_spec(origin: &Origin, layout: Layout) -> Result<Arc<DatasetSpec>, Failure> {
    Ok(Arc::new(DatasetSpec::new(&origin.config, origin.overrides, origin.seed, origin.sessions, layout)?))
}

#[pyfunction]
#[pyo3(signature = (config, *, seed, sessions, layout="incremental", shard=(0, 1), threads=None, columns=None,
                    max_isl=None, max_osl=None))]
#[allow(clippy::too_many_arguments)] // each is a keyword of the Python function
pub(crate) fn generate(
    py: Python<'_>,
    config: &str,
    seed: u64,
    sessions: u64,
    layout: &str,
    shard: (u64, u64),
    threads: Option<usize>,
    columns: Option<Vec<String>>,
    max_isl: Option<u32>,
    max_osl: Option<u32>,
) -> PyResult<BatchStream> {
    let (layout, shard, columns) = (arguments::layout(layout)?, arguments::shard(shard)?, arguments::columns(columns)?);
    let config = Config::from_json(config).map_err(Failure::from)?;
    let origin = Origin { config, overrides: Overrides { max_isl, max_osl }, seed, sessions };
    let (cancel, threads) = (Cancel::default(), arguments::threads(threads));
    let spec = py.detach(|| dataset_spec(&origin, layout))?;
    let meta = TraceMeta {
        linked: false,
        layout,
        block_size: spec.config().block_size,
        format_version: Some(FORMAT_VERSION),
        origin: Some(origin),
    };
    let schema = schema(&columns, &meta);
    let shard = enter(py, &cancel, |_| Ok(()), || Shard::new(spec, shard.index, shard.count, threads, &cancel))?;
    // The work starts with the first batch.
    let (shard, columns, stop) = (Arc::new(shard), schema.clone(), cancel.clone());
    let made = std::iter::once_with(move || batches(&shard, &columns, threads, &stop)).flatten();
    Ok(BatchStream::new(&schema, cancel, Box::new(made)))
}

#[pyfunction]
#[pyo3(signature = (directory, config, *, seed, sessions, created, layout="incremental", shard=(0, 1), threads=None,
                    formats=vec!["jsonl".to_owned(), "parquet".to_owned()], compression="none", max_isl=None,
                    max_osl=None, progress=None))]
#[allow(clippy::too_many_arguments)] // each is a keyword of the Python function
pub(crate) fn write_run(
    py: Python<'_>,
    directory: PathBuf,
    config: &str,
    seed: u64,
    sessions: u64,
    created: String,
    layout: &str,
    shard: (u64, u64),
    threads: Option<usize>,
    formats: Vec<String>,
    compression: &str,
    max_isl: Option<u32>,
    max_osl: Option<u32>,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let (layout, shard) = (arguments::layout(layout)?, arguments::shard(shard)?);
    let options = RunOptions {
        directory,
        jsonl: formats.iter().any(|f| f == "jsonl"),
        parquet: formats.iter().any(|f| f == "parquet"),
        zstd: compression == "zstd",
        shard,
        threads: arguments::threads(threads),
        created,
    };
    let config = Config::from_json(config).map_err(Failure::from)?;
    let origin = Origin { config, overrides: Overrides { max_isl, max_osl }, seed, sessions };
    let (cancel, done) = (Cancel::default(), AtomicU64::new(0));
    let spec = py.detach(|| dataset_spec(&origin, layout))?;
    let all = spec.shard(shard.index, shard.count);
    let tell = |py: Python<'_>| report(progress.as_ref(), py, done.load(Ordering::Relaxed), all.end - all.start);
    let manifest = enter(py, &cancel, tell, || write(&spec, &origin, &options, Statistics::default, &cancel, &done))?;
    tell(py)?;
    json(&manifest)
}

/// Writes a file that has its name only when it is complete.
#[pyfunction]
pub(crate) fn write_file(py: Python<'_>, path: PathBuf, content: Vec<u8>) -> PyResult<()> {
    py.detach(|| write_whole(&path, content).map(drop).map_err(|e| Failure::from(e).into()))
}

/// Removes the shards of an older set, except those to keep.
#[pyfunction]
pub(crate) fn remove_shards(py: Python<'_>, directory: PathBuf, keep: Vec<PathBuf>) -> PyResult<()> {
    py.detach(|| run_directory::remove_shards(&directory, &keep).map_err(|e| Failure::from(e).into()))
}

#[pyfunction]
pub(crate) fn verify_run(py: Python<'_>, directory: PathBuf) -> PyResult<bool> {
    enter(py, &Cancel::default(), |_| Ok(()), || Ok(Manifest::read(&directory).is_ok_and(|m| m.is_intact(&directory))))
}

#[pyfunction]
#[pyo3(signature = (runs, directory, *, created))]
pub(crate) fn merge(py: Python<'_>, runs: Vec<PathBuf>, directory: PathBuf, created: &str) -> PyResult<String> {
    // A mismatch of runs is a RunError, not a TraceError.
    let cancel = Cancel::default();
    let merged = enter(
        py,
        &cancel,
        |_| Ok(()),
        || match merge_runs(&runs, &directory, created, arguments::threads(None), &cancel) {
            Err(TraceError::Diagnostic(diagnostic)) => Ok(Err(diagnostic.to_string())),
            other => other.map(Ok),
        },
    )?;
    json(&merged.map_err(|message| named("RunError", [message]))?)
}
