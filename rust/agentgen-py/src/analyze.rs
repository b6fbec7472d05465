//! Analysing traces, planning memory, and KV sizes of models.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use agentgen_analysis::analyze as analysis;
use agentgen_analysis::analyze::PlanOptions;
use agentgen_analysis::schemas;
use agentgen_engine::kv;
use agentgen_engine::models::{self, Geometry, KvDtype};
use agentgen_trace::{Cancel, Result};
use pyo3::prelude::*;

use crate::arguments::{Assumptions, json};
use crate::enter::{enter, report};
use crate::error::{bad_argument, named};

#[pyfunction]
#[pyo3(signature = (traces, assumptions, *, progress=None))]
pub(crate) fn analyze(
    py: Python<'_>,
    traces: Vec<PathBuf>,
    assumptions: Assumptions,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let options = assumptions.options()?;
    json(&watched(py, progress, |cancel, done| analysis::analyze(&traces, &options, cancel, done))?)
}

#[pyfunction]
#[pyo3(signature = (trace, assumptions, *, target_hit_rate, kv_bytes_per_token, kv_bytes_per_session=0,
                    replica_bytes=None, model=None, kv_dtype=None, progress=None))]
#[allow(clippy::too_many_arguments)] // each is a keyword of the Python function
pub(crate) fn plan(
    py: Python<'_>,
    trace: PathBuf,
    assumptions: Assumptions,
    target_hit_rate: f64,
    kv_bytes_per_token: u64,
    kv_bytes_per_session: u64,
    replica_bytes: Option<u64>,
    model: Option<String>,
    kv_dtype: Option<String>,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let options = assumptions.options()?;
    let target =
        PlanOptions { target_hit_rate, kv_bytes_per_token, kv_bytes_per_session, replica_bytes, model, kv_dtype };
    let planned = watched(py, progress, |cancel, done| analysis::plan(&trace, &options, &target, cancel, done))?;
    json(&planned.map_err(|impossible| named("PlanError", [impossible.0]))?)
}

/// Runs long work that reports the number of sessions done.
pub(crate) fn watched<T: Send>(
    py: Python<'_>,
    progress: Option<Py<PyAny>>,
    work: impl FnOnce(&Cancel, &AtomicU64) -> Result<T> + Send,
) -> PyResult<T> {
    let (cancel, done) = (Cancel::default(), AtomicU64::new(0));
    let tell = |py: Python<'_>| report(progress.as_ref(), py, done.load(Ordering::Relaxed), 0);
    enter(py, &cancel, tell, || work(&cancel, &done))
}

/// The JSON Schema of what `analyze`, `plan`, `summarize` (`replay`) or `compare_runs` (`comparison`) returns.
#[pyfunction]
pub(crate) fn schema(name: &str) -> PyResult<String> {
    let schema = schemas::schema(name).or_else(|| agentgen_replay::summary::schema(name));
    let schema = schema.or_else(|| agentgen_formats::schema(name));
    schema.ok_or_else(|| bad_argument(format!("no schema named {name}")))
}

#[pyfunction]
pub(crate) fn model_names() -> Vec<&'static str> {
    models::names().collect()
}

/// KV memory in blocks.
#[pyfunction]
pub(crate) fn capacity_blocks(bytes: u64, kv_bytes_per_token: u64, block_tokens: u32) -> PyResult<u64> {
    kv::capacity_blocks(bytes, kv_bytes_per_token, block_tokens).map_err(|less| bad_argument(less.to_string()))
}

/// A model of the catalogue by its name, or one by the text of its `config.json`.
#[pyfunction]
#[pyo3(signature = (*, name=None, config_json=None, kv_dtype="bf16"))]
pub(crate) fn model(name: Option<&str>, config_json: Option<&str>, kv_dtype: &str) -> PyResult<String> {
    let refused = |error: models::ModelError| named("ModelError", [error.to_string()]);
    let dtype: KvDtype = kv_dtype.parse().map_err(refused)?;
    let (source, geometry) = match (name, config_json) {
        (Some(name), None) => {
            let model = models::find(name).ok_or_else(|| bad_argument(format!("no model named {name}")))?;
            (Some(model.source), model.geometry)
        }
        (None, Some(text)) => (None, Geometry::from_config_json(text).map_err(refused)?),
        _ => return Err(bad_argument("one of name and config_json")),
    };
    let size = serde_json::json!({
        "source": source,
        "kv_dtype": dtype.to_string(),
        "kv_bytes_per_token": geometry.bytes_per_token(dtype),
        "kv_bytes_per_session": geometry.bytes_per_sequence(dtype),
    });
    Ok(size.to_string())
}
