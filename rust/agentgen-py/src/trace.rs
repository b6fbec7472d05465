//! Reading any supported trace, and rewriting it.

use std::path::PathBuf;

use agentgen_core::Layout;
use agentgen_formats::convert::convert as rewrite;
use agentgen_trace::Cancel;
use agentgen_trace::schema::schema;
use agentgen_trace::source::{self, ReadOptions};
use pyo3::prelude::*;

use crate::enter::{enter, threads as thread_count};
use crate::error::{Failure, bad_argument};
use crate::generate::{columns, layout};
use crate::stream::BatchStream;

fn options(layout_name: Option<&str>, block_size: Option<u32>) -> PyResult<ReadOptions> {
    Ok(ReadOptions { layout: layout_name.map(layout).transpose()?, block_size })
}

#[pyfunction]
#[pyo3(signature = (paths, *, trace_layout=None, trace_block_size=None))]
pub(crate) fn inspect(
    py: Python<'_>,
    paths: Vec<PathBuf>,
    trace_layout: Option<&str>,
    trace_block_size: Option<u32>,
) -> PyResult<String> {
    let options = options(trace_layout, trace_block_size)?;
    let source = py.detach(|| source::resolve(&paths, options)).map_err(Failure::from)?;
    let told = serde_json::json!({
        "layout": source.meta.layout,
        "block_size": source.meta.block_size,
        "layout_from": source.layout_from.name(),
        "block_size_from": source.block_size_from.name(),
        "files": source.files.iter().map(|f| f.path.display().to_string()).collect::<Vec<_>>(),
        "origin": source.meta.origin,
    });
    Ok(told.to_string())
}

#[pyfunction]
#[pyo3(signature = (paths, *, trace_layout=None, trace_block_size=None, columns=None, threads=None))]
pub(crate) fn read(
    py: Python<'_>,
    paths: Vec<PathBuf>,
    trace_layout: Option<&str>,
    trace_block_size: Option<u32>,
    columns: Option<Vec<String>>,
    threads: Option<usize>,
) -> PyResult<BatchStream> {
    let (options, columns) = (options(trace_layout, trace_block_size)?, self::columns(columns)?);
    let stream = py.detach(|| {
        let source = source::resolve(&paths, options)?;
        let cancel = Cancel::default();
        let batches = source::open(&source, &columns, thread_count(threads), &cancel)?;
        Ok::<_, Failure>(BatchStream::new(schema(&columns, &source.meta), cancel, batches))
    });
    stream.map_err(Into::into)
}

#[pyfunction]
#[pyo3(signature = (sources, target, *, trace_layout=None, trace_block_size=None, layout=None, sort=false, threads=None))]
#[allow(clippy::too_many_arguments)] // each is a keyword of the Python function
pub(crate) fn convert(
    py: Python<'_>,
    sources: Vec<PathBuf>,
    target: PathBuf,
    trace_layout: Option<&str>,
    trace_block_size: Option<u32>,
    layout: Option<&str>,
    sort: bool,
    threads: Option<usize>,
) -> PyResult<String> {
    let options = options(trace_layout, trace_block_size)?;
    let layout: Option<Layout> = layout.map(self::layout).transpose()?;
    let cancel = Cancel::default();
    let converted = enter(
        py,
        &cancel,
        |_| Ok(()),
        || {
            let source = source::resolve(&sources, options)?;
            rewrite(&source, &target, layout, sort, thread_count(threads), &cancel)
        },
    )?;
    serde_json::to_string(&converted).map_err(|e| bad_argument(e.to_string()))
}
