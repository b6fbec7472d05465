//! Reading and converting traces.

use std::path::PathBuf;
use std::sync::Arc;

use agentgen_analysis::reuse::{CACHED_TOKENS, CachedTokens, with_cached_tokens};
use agentgen_formats::convert::{Tidy, convert as rewrite, tidy};
use agentgen_trace::schema::{Column, schema};
use agentgen_trace::{Cancel, Result, TraceError, source};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use pyo3::prelude::*;

use crate::arguments::{self, json, read_options};
use crate::enter::enter;
use crate::error::Failure;
use crate::stream::BatchStream;

#[pyfunction]
#[pyo3(signature = (paths, *, trace_layout=None, trace_block_size=None))]
pub(crate) fn inspect(
    py: Python<'_>,
    paths: Vec<PathBuf>,
    trace_layout: Option<&str>,
    trace_block_size: Option<u32>,
) -> PyResult<String> {
    let options = read_options(trace_layout, trace_block_size)?;
    let source = py.detach(|| source::resolve(&paths, options)).map_err(Failure::from)?;
    let about = serde_json::json!({
        "layout": source.meta.layout,
        "block_size": source.meta.block_size,
        "layout_from": source.layout_from.name(),
        "block_size_from": source.block_size_from.name(),
        "files": source.files.iter().map(|f| f.path.display().to_string()).collect::<Vec<_>>(),
        "origin": source.meta.origin,
    });
    Ok(about.to_string())
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
    let options = read_options(trace_layout, trace_block_size)?;
    let has_cached = columns.iter().flatten().any(|name| name == CACHED_TOKENS);
    let of_table = columns.map(|names| names.into_iter().filter(|name| name != CACHED_TOKENS).collect());
    let columns = arguments::columns(of_table)?;
    let stream = py.detach(|| {
        let source = source::resolve(&paths, options)?;
        let cancel = Cancel::default();
        let of_trace = schema(&columns, &source.meta);
        if !has_cached {
            let batches = source::open(&source, &columns, arguments::threads(threads), &cancel)?;
            return Ok::<_, Failure>(BatchStream::new(&of_trace, cancel, batches));
        }
        let batches = source::open(&source, &Column::ALL, arguments::threads(threads), &cancel)?;
        let target = with_cached_tokens(&of_trace);
        let wanted = Arc::clone(&target);
        let batches = CachedTokens::new(&source.meta, batches).map(move |batch| project(&batch?, &wanted));
        Ok(BatchStream::new(&target, cancel, Box::new(batches)))
    });
    stream.map_err(Into::into)
}

/// The columns of a schema.
fn project(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let places = schema.fields().iter().map(|field| batch.schema_ref().index_of(field.name()));
    let projected = places.collect::<std::result::Result<Vec<_>, _>>().and_then(|places| batch.project(&places));
    projected.map_err(TraceError::internal)
}

#[pyfunction]
#[pyo3(signature = (sources, target, *, trace_layout=None, trace_block_size=None, layout=None, sort=false, group=false, renumber_ids=false, threads=None))]
#[allow(clippy::too_many_arguments)] // each is a keyword of the Python function
pub(crate) fn convert(
    py: Python<'_>,
    sources: Vec<PathBuf>,
    target: PathBuf,
    trace_layout: Option<&str>,
    trace_block_size: Option<u32>,
    layout: Option<&str>,
    sort: bool,
    group: bool,
    renumber_ids: bool,
    threads: Option<usize>,
) -> PyResult<String> {
    let options = read_options(trace_layout, trace_block_size)?;
    let layout = arguments::optional_layout(layout)?;
    let cancel = Cancel::default();
    let converted = enter(
        py,
        &cancel,
        |_| Ok(()),
        || {
            let changes = Tidy { group, renumber_ids };
            let tidied = match &sources[..] {
                [path] if changes != Tidy::default() => Some(tidy(path, changes, &cancel)?),
                _ => None,
            };
            let paths = tidied.as_ref().map_or_else(|| sources.clone(), |tidied| vec![tidied.path().to_owned()]);
            let written = source::resolve(&paths, options)
                .and_then(|source| rewrite(&source, &target, layout, sort, arguments::threads(threads), &cancel));
            written.map_err(|error| match (&tidied, &sources[..]) {
                (Some(tidied), [path]) => tidied.in_source(error, path),
                _ => error,
            })
        },
    )?;
    json(&converted)
}
