//! Simulating traces on serving replicas.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agentgen_analysis::analyze::{self as analysis, SimulateOptions};
use agentgen_trace::Cancel;
use pyo3::prelude::*;

use crate::arguments::{self, Assumptions, json};
use crate::enter::{enter, report};

#[pyfunction]
#[pyo3(signature = (trace, assumptions, *, capacities, unit="bytes", kv_bytes_per_token=None, replicas=1,
                    routing="sticky", ttl_ms=None, belady_bound=false, slo=None,
                    requests=None, model=None, kv_dtype=None, progress=None))]
#[allow(clippy::too_many_arguments)] // each is a keyword of the Python function
pub(crate) fn simulate(
    py: Python<'_>,
    trace: PathBuf,
    assumptions: Assumptions,
    capacities: Vec<u64>,
    unit: &str,
    kv_bytes_per_token: Option<u64>,
    replicas: u32,
    routing: &str,
    ttl_ms: Option<f64>,
    belady_bound: bool,
    slo: Option<Vec<(String, String, f64)>>,
    requests: Option<PathBuf>,
    model: Option<String>,
    kv_dtype: Option<String>,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let options = assumptions.options()?;
    let system = SimulateOptions {
        capacities: arguments::capacities(capacities, unit)?,
        kv_bytes_per_token,
        model,
        kv_dtype,
        replicas,
        routing: arguments::routing(routing)?,
        ttl_ms,
        belady_bound,
        slo: slo.iter().flatten().map(arguments::target).collect::<PyResult<_>>()?,
        requests,
    };
    let (cancel, done) = (Cancel::default(), Arc::new(AtomicU64::new(0)));
    let tell = |py: Python<'_>| report(progress.as_ref(), py, done.load(Ordering::Relaxed), 0);
    json(&enter(py, &cancel, tell, || analysis::simulate(&trace, &options, &system, &cancel, &done))?)
}
