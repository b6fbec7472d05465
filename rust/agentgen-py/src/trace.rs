//! Reading and converting traces.

use std::path::PathBuf;

use agentgen_formats::convert::{Tidy, convert as rewrite, tidy};
use agentgen_trace::Cancel;
use agentgen_trace::schema::schema;
use agentgen_trace::source;
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
    let (options, columns) = (read_options(trace_layout, trace_block_size)?, arguments::columns(columns)?);
    let stream = py.detach(|| {
        let source = source::resolve(&paths, options)?;
        let cancel = Cancel::default();
        let batches = source::open(&source, &columns, arguments::threads(threads), &cancel)?;
        Ok::<_, Failure>(BatchStream::new(&schema(&columns, &source.meta), cancel, batches))
    });
    stream.map_err(Into::into)
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
