//! The embedded server.

use std::sync::{Mutex, PoisonError};

use agentgen_server::{Options, Server as Running, StartError};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

use crate::error::bad_argument;

pub(crate) fn not_started(error: StartError) -> PyErr {
    match error {
        StartError::Listen { host, port, source } if source.raw_os_error().is_some() => {
            PyOSError::new_err((source.raw_os_error(), crate::error::reason(&source), format!("{host}:{port}")))
        }
        StartError::Upstream(problem) => bad_argument(problem),
        error => PyOSError::new_err(error.to_string()),
    }
}

#[pyclass(frozen)]
pub(crate) struct Server {
    running: Mutex<Running>,
    #[pyo3(get)]
    url: String,
    #[pyo3(get)]
    port: u16,
}

#[pymethods]
impl Server {
    #[new]
    #[pyo3(signature = (options="{}"))]
    fn new(py: Python<'_>, options: &str) -> PyResult<Self> {
        let options = Options::from_json(options).map_err(bad_argument)?;
        let running = py.detach(|| Running::start(options)).map_err(not_started)?;
        Ok(Self { url: running.url(), port: running.address().port(), running: Mutex::new(running) })
    }

    fn stats(&self, py: Python<'_>) -> PyResult<String> {
        let stats = py.detach(|| self.running.lock().unwrap_or_else(PoisonError::into_inner).stats());
        serde_json::to_string(&stats).map_err(|error| bad_argument(error.to_string()))
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.running.lock().unwrap_or_else(PoisonError::into_inner).stop());
    }
}
