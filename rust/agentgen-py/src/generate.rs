//! Generating: a stream of batches, a run directory, a set of shards.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agentgen_analysis::quality::{Statistics, merge_runs};
use agentgen_core::config::{Config, Overrides};
use agentgen_core::{DatasetSpec, Layout};
use agentgen_trace::generate::{Shard, batches};
use agentgen_trace::manifest::{self, Manifest};
use agentgen_trace::run::{RunOptions, write_run as write};
use agentgen_trace::schema::{Column, schema};
use agentgen_trace::{Cancel, FORMAT_VERSION, Origin, TraceError, TraceMeta};
use pyo3::prelude::*;
use serde::Serialize;

use crate::enter::{enter, report, threads as thread_count};
use crate::error::{Failure, bad_argument, named};
use crate::stream::BatchStream;

/// Columns by name, all by default.
pub(crate) fn columns(names: Option<Vec<String>>) -> PyResult<Vec<Column>> {
    let Some(names) = names else { return Ok(Column::ALL.to_vec()) };
    let column = |name: &String| Column::named(name).ok_or_else(|| bad_argument(format!("no column {name:?}")));
    names.iter().map(column).collect()
}

pub(crate) fn layout(name: &str) -> PyResult<Layout> {
    Layout::named(name).ok_or_else(|| bad_argument(format!("layout {name:?}: expected incremental or cumulative")))
}

fn checked_shard((index, count): (u64, u64)) -> PyResult<manifest::Shard> {
    if index < count {
        return Ok(manifest::Shard { index, count });
    }
    Err(bad_argument(format!("shard {index}/{count}: expected an index below the count")))
}

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
    let (layout, shard, columns) = (self::layout(layout)?, checked_shard(shard)?, self::columns(columns)?);
    let config = Config::from_json(config).map_err(Failure::from)?;
    let origin = Origin { config, overrides: Overrides { max_isl, max_osl }, seed, sessions };
    let (cancel, threads) = (Cancel::default(), thread_count(threads));
    let spec = py.detach(|| dataset_spec(&origin, layout))?;
    let meta = TraceMeta {
        layout,
        block_size: spec.config().block_size,
        format_version: Some(FORMAT_VERSION),
        origin: Some(origin),
    };
    let schema = schema(&columns, &meta);
    let shard = enter(py, &cancel, |_| Ok(()), || Shard::new(spec, shard.index, shard.count, threads, &cancel))?;
    // The work starts with the first batch that is asked for.
    let (shard, columns, stop) = (Arc::new(shard), schema.clone(), cancel.clone());
    let made = std::iter::once_with(move || batches(&shard, &columns, threads, &stop)).flatten();
    Ok(BatchStream::new(schema, cancel, Box::new(made)))
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
    let (layout, shard) = (self::layout(layout)?, checked_shard(shard)?);
    let options = RunOptions {
        directory,
        jsonl: formats.iter().any(|f| f == "jsonl"),
        parquet: formats.iter().any(|f| f == "parquet"),
        zstd: compression == "zstd",
        shard,
        threads: thread_count(threads),
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

/// A structured value on its way to Python.
pub(crate) fn json(value: &impl Serialize) -> PyResult<String> {
    serde_json::to_string(value).map_err(|e| bad_argument(e.to_string()))
}

#[pyfunction]
pub(crate) fn verify_run(py: Python<'_>, directory: PathBuf) -> PyResult<bool> {
    enter(py, &Cancel::default(), |_| Ok(()), || Ok(Manifest::read(&directory).is_ok_and(|m| m.is_intact(&directory))))
}

#[pyfunction]
#[pyo3(signature = (runs, directory, *, created))]
pub(crate) fn merge(py: Python<'_>, runs: Vec<PathBuf>, directory: PathBuf, created: &str) -> PyResult<String> {
    // What does not belong together is an error about runs, not about a trace.
    let cancel = Cancel::default();
    let merged = enter(
        py,
        &cancel,
        |_| Ok(()),
        || match merge_runs(&runs, &directory, created, thread_count(None), &cancel) {
            Err(TraceError::Format(message)) => Ok(Err(message)),
            other => other.map(Ok),
        },
    )?;
    json(&merged.map_err(|message| named("RunError", [message]))?)
}
