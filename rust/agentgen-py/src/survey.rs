//! Data of the report pages.

use std::path::PathBuf;

use agentgen_analysis::analyze as analysis;
use pyo3::prelude::*;

use crate::analyze::watched;
use crate::arguments::{Assumptions, json};

/// The analysis of the first sessions of each trace, and some sessions of the first one request by request.
#[pyfunction]
#[pyo3(signature = (traces, assumptions, *, sessions, turns, progress=None))]
pub(crate) fn survey(
    py: Python<'_>,
    traces: Vec<PathBuf>,
    assumptions: Assumptions,
    sessions: u64,
    turns: usize,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let options = assumptions.options()?;
    json(&watched(py, progress, |cancel, done| analysis::survey(&traces, &options, sessions, turns, cancel, done))?)
}
