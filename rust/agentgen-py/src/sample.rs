//! The first sessions of a trace, for the simulation page.

use std::path::PathBuf;

use agentgen_analysis::sample::sample;
use agentgen_trace::Cancel;
use pyo3::prelude::*;

use crate::arguments::{Assumptions, json};
use crate::enter::enter;

#[pyfunction]
#[pyo3(signature = (trace, assumptions, *, max_bytes))]
pub(crate) fn simulation_sample(
    py: Python<'_>,
    trace: PathBuf,
    assumptions: Assumptions,
    max_bytes: usize,
) -> PyResult<String> {
    let options = assumptions.options()?;
    let cancel = Cancel::default();
    let work = || sample(&trace, &options, max_bytes, &cancel);
    json(&enter(py, &cancel, |_| Ok(()), work)?)
}
