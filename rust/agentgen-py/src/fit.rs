//! Fitting a configuration to a trace, and distances between traces.

use std::path::PathBuf;

use agentgen_analysis::{distance, fit as fitting};
use agentgen_trace::Cancel;
use pyo3::prelude::*;

use crate::arguments::{Assumptions, json};
use crate::enter::enter;

/// How far a trace is from its source: traces that it should look like. `odd`: the half of the source that is compared; None for all of it.
#[pyfunction]
#[pyo3(signature = (source, generated, assumptions, *, odd=None))]
pub(crate) fn compare_traces(
    py: Python<'_>,
    source: Vec<PathBuf>,
    generated: PathBuf,
    assumptions: Assumptions,
    odd: Option<bool>,
) -> PyResult<String> {
    let options = assumptions.options()?;
    let cancel = Cancel::default();
    let work = || distance::compare(&source, &generated, odd, &options, &cancel);
    json(&enter(py, &cancel, |_| Ok(()), work)?)
}

/// A configuration estimated from traces. `odd`: the half of its sessions that is used; None for all of them.
#[pyfunction]
#[pyo3(signature = (runs, assumptions, *, odd=None))]
pub(crate) fn fit(py: Python<'_>, runs: Vec<PathBuf>, assumptions: Assumptions, odd: Option<bool>) -> PyResult<String> {
    let options = assumptions.options()?;
    let cancel = Cancel::default();
    let work = || fitting::fit(&runs, odd, &options, &cancel);
    json(&enter(py, &cancel, |_| Ok(()), work)?)
}
