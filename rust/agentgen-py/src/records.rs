//! Record files of replays, and what is computed from them.

use std::path::PathBuf;

use agentgen_replay::records::{self, Measured, Request, Session};
use agentgen_replay::summary::{self, Run, compare};
use agentgen_trace::{Cancel, TraceError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::answer::Answer;
use crate::arguments::{from_json, json};
use crate::enter::enter;
use crate::error::{Failure, bad_argument};

/// A worker's own record file.
#[pyclass(module = "agentgen._native")]
pub(crate) struct Recorder {
    path: PathBuf,
    /// Nothing once closed.
    file: Option<records::Recorder>,
}

#[pymethods]
impl Recorder {
    #[new]
    fn new(path: PathBuf, worker: u32) -> PyResult<Self> {
        let file = records::Recorder::create(&path, worker).map_err(|error| failed(&path, error))?;
        Ok(Self { path, file: Some(file) })
    }

    fn request(&mut self, record: &Bound<'_, PyDict>, answer: Option<&Answer>) -> PyResult<()> {
        let mut record: Request = fields(record)?;
        if let Some(Answer(answer)) = answer {
            if record.message.is_empty() {
                answer.message().clone_into(&mut record.message);
            }
            record.answer = Some(Measured::from(answer));
        }
        self.write(|file| file.request(record))
    }

    fn session(&mut self, record: &Bound<'_, PyDict>) -> PyResult<()> {
        let record: Session = fields(record)?;
        self.write(|file| file.session(record))
    }

    fn loop_lag(&mut self, late_ns: u64) -> PyResult<()> {
        self.write(|file| {
            file.loop_lag(late_ns);
            Ok(())
        })
    }

    fn flush(&mut self) -> PyResult<()> {
        self.write(records::Recorder::flush)
    }

    fn close(&mut self) -> PyResult<()> {
        self.file.take().map_or(Ok(()), |mut file| file.flush().map_err(|error| failed(&self.path, error)))
    }
}

impl Recorder {
    fn write(&mut self, write: impl FnOnce(&mut records::Recorder) -> std::io::Result<()>) -> PyResult<()> {
        let file = self.file.as_mut().ok_or_else(|| bad_argument("the recorder is closed"))?;
        write(file).map_err(|error| failed(&self.path, error))
    }
}

/// A record from its fields; `agentgen.replay.records` has the same names.
fn fields<T: serde::de::DeserializeOwned>(record: &Bound<'_, PyDict>) -> PyResult<T> {
    pythonize::depythonize(record).map_err(|error| bad_argument(format!("record: {error}")))
}

fn failed(path: &std::path::Path, source: std::io::Error) -> PyErr {
    Failure::from(TraceError::Io { path: path.to_owned(), source }).into()
}

/// Writes `requests.parquet` into a run directory; returns its summary as JSON.
#[pyfunction]
pub(crate) fn summarize(py: Python<'_>, directory: PathBuf, options: &str) -> PyResult<String> {
    let options: summary::Options = from_json(options)?;
    let cancel = Cancel::default();
    let figures = enter(
        py,
        &cancel,
        |_| Ok(()),
        || {
            let run = Run::read(&directory)?;
            let prediction = options.prediction.as_ref();
            let predicted = prediction.map(|from| summary::predicted(&run, from, &cancel)).transpose()?;
            summary::write_requests(&run, predicted.as_deref(), &directory)?;
            Ok(summary::summarize(&run, predicted.as_deref(), &options))
        },
    )?;
    json(&figures)
}

/// Compares run directories; returns JSON.
#[pyfunction]
pub(crate) fn compare_runs(py: Python<'_>, directories: Vec<PathBuf>, options: &str) -> PyResult<String> {
    let options: compare::Options = from_json(options)?;
    json(&enter(py, &Cancel::default(), |_| Ok(()), || compare::compare(&directories, &options))?)
}
