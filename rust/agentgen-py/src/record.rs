//! The recorder of model calls.

use std::sync::{Mutex, MutexGuard, PoisonError};

use agentgen_record::{RecordError, RecordOptions, Recorder};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

use crate::arguments::json;
use crate::error::{bad_argument, reason};
use crate::server::not_started;

#[pyclass(frozen)]
pub(crate) struct RecordingProxy {
    running: Mutex<Recorder>,
    #[pyo3(get)]
    url: String,
    #[pyo3(get)]
    port: u16,
}

impl RecordingProxy {
    fn running(&self) -> MutexGuard<'_, Recorder> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl RecordingProxy {
    #[new]
    fn new(py: Python<'_>, options: &str) -> PyResult<Self> {
        let options = RecordOptions::from_json(options).map_err(bad_argument)?;
        let running = py.detach(|| Recorder::start(options)).map_err(|error| match error {
            RecordError::Proxy(error) => not_started(error),
            RecordError::File { path, source } => {
                PyOSError::new_err((source.raw_os_error(), reason(&source), path.display().to_string()))
            }
        })?;
        let address = running.address();
        Ok(Self { url: format!("http://{address}"), port: address.port(), running: Mutex::new(running) })
    }

    fn stats(&self, py: Python<'_>) -> PyResult<String> {
        json(&py.detach(|| self.running().stats()))
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.running().close());
    }

    fn is_over(&self, py: Python<'_>) -> bool {
        py.detach(|| self.running().is_over())
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.running().stop());
    }
}
