//! Time in tools beside time in the model.

use std::path::PathBuf;

use agentgen_formats::tool_times::{self, Frame};
use agentgen_trace::Cancel;
use pyo3::prelude::*;

use crate::arguments::json;
use crate::enter::enter;
use crate::error::bad_argument;
use crate::stream::BatchStream;

#[pyfunction]
pub(crate) fn is_agenttrace(path: PathBuf) -> bool {
    tool_times::is_agenttrace(&path)
}

#[pyfunction]
pub(crate) fn agenttrace_times(py: Python<'_>, paths: Vec<PathBuf>) -> PyResult<String> {
    json(&enter(py, &Cancel::default(), |_| Ok(()), || tool_times::of_agenttrace(&paths))?)
}

#[pyfunction]
pub(crate) fn run_tool_times(py: Python<'_>, directory: PathBuf) -> PyResult<Option<String>> {
    let times = enter(py, &Cancel::default(), |_| Ok(()), || tool_times::of_run(&directory))?;
    times.map(|times| json(&times)).transpose()
}

#[pyfunction]
pub(crate) fn agenttrace_frame(paths: Vec<PathBuf>, name: &str) -> PyResult<BatchStream> {
    let frame = match name {
        "spans" => Frame::Spans,
        "llm_steps" => Frame::Steps,
        _ => return Err(bad_argument(format!("name: found {name:?}, expected spans or llm_steps"))),
    };
    let batches = tool_times::frame(paths, frame);
    Ok(BatchStream::new(&frame.schema(), Cancel::default(), Box::new(batches)))
}
