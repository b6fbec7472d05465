//! Importing recorded sessions.

use std::collections::BTreeSet;
use std::path::PathBuf;

use agentgen_formats::import::{ImportOptions, NameOptions, Progress, formats, import};
use agentgen_trace::Cancel;
use pyo3::prelude::*;

use crate::arguments::{json, threads as thread_count};
use crate::enter::{enter, report};

#[pyfunction]
pub(crate) fn import_formats() -> Vec<(&'static str, &'static str)> {
    formats::FORMATS.iter().map(|format| (format.name, format.title)).collect()
}

#[pyfunction]
#[pyo3(signature = (sources, directory, *, created, format=None, block_size=None, keep=Vec::new(), hide=Vec::new(),
                    strict=false, threads=None, progress=None))]
#[allow(clippy::too_many_arguments)] // each is a keyword of the Python function
pub(crate) fn import_sessions(
    py: Python<'_>,
    sources: Vec<PathBuf>,
    directory: PathBuf,
    created: String,
    format: Option<String>,
    block_size: Option<u32>,
    keep: Vec<String>,
    hide: Vec<String>,
    strict: bool,
    threads: Option<usize>,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let hides = |kind: &str| hide.iter().any(|hidden| hidden == kind);
    let names = NameOptions {
        keep: keep.into_iter().collect::<BTreeSet<_>>(),
        hide_tools: hides("tools"),
        hide_agents: hides("agents"),
        hide_models: hides("models"),
    };
    let threads = thread_count(threads);
    let options = ImportOptions { sources, format, directory, block_size, names, strict, threads, created };
    let (cancel, read) = (Cancel::default(), Progress::default());
    let tell = |py: Python<'_>| {
        let (done, total) = read.bytes();
        report(progress.as_ref(), py, done, total)
    };
    json(&enter(py, &cancel, tell, || import(&options, &read, &cancel))?)
}
