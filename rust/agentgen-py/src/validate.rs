//! Validating traces.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use agentgen_analysis::validate::{Options, validate as check};
use agentgen_trace::{Cancel, source};
use pyo3::prelude::*;

use crate::arguments::{json, optional_layout, threads as thread_count};
use crate::enter::{enter, report};

/// Refuses a file that differs from its entry in the manifest beside it.
#[pyfunction]
pub(crate) fn check_listed(py: Python<'_>, path: PathBuf) -> PyResult<()> {
    enter(py, &Cancel::default(), |_| Ok(()), || source::check_listed(&path))
}

#[pyfunction]
#[pyo3(signature = (paths, *, trace_layout=None, trace_block_size=None, max_errors=20, threads=None, progress=None))]
#[allow(clippy::too_many_arguments)] // each is a keyword of the Python function
pub(crate) fn validate(
    py: Python<'_>,
    paths: Vec<PathBuf>,
    trace_layout: Option<&str>,
    trace_block_size: Option<u32>,
    max_errors: usize,
    threads: Option<usize>,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let trace_layout = optional_layout(trace_layout)?;
    let options = Options { trace_layout, trace_block_size, max_errors, threads: thread_count(threads) };
    let (cancel, done, total) = (Cancel::default(), AtomicU64::new(0), AtomicU64::new(0));
    let tell =
        |py: Python<'_>| report(progress.as_ref(), py, done.load(Ordering::Relaxed), total.load(Ordering::Relaxed));
    let found = enter(py, &cancel, tell, || {
        check(&paths, &options, &cancel, &mut |bytes, of| {
            done.store(bytes, Ordering::Relaxed);
            total.store(of, Ordering::Relaxed);
        })
    })?;
    json(&found)
}
