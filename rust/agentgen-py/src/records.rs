//! Record files of replays, and what is computed from them.

use std::path::PathBuf;

use agentgen_replay::records::{self, Measured, Request, Session, named};
use agentgen_replay::summary::{self, Run, compare};
use agentgen_trace::{Cancel, TraceError};
use pyo3::prelude::*;

use crate::answer::Answer;
use crate::enter::enter;
use crate::error::{Failure, bad_argument};
use crate::generate::json;

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

    #[pyo3(signature = (session, key, turn, phase, url, planned_ns, intended_ns, sent_ns, context_tokens, input_tokens,
                        output_tokens, outcome, status, retries, answer, message=""))]
    #[allow(clippy::too_many_arguments)] // each is an argument of the Python method
    fn request(
        &mut self,
        session: u64,
        key: String,
        turn: u32,
        phase: &str,
        url: u32,
        planned_ns: i64,
        intended_ns: i64,
        sent_ns: Option<i64>,
        context_tokens: u64,
        input_tokens: u64,
        output_tokens: u64,
        outcome: &str,
        status: u16,
        retries: u32,
        answer: Option<&Answer>,
        message: &str,
    ) -> PyResult<()> {
        let message = if message.is_empty() { answer.map_or("", |answer| answer.0.message()) } else { message };
        let record = Request {
            session,
            key,
            turn,
            phase: named(phase).map_err(bad_argument)?,
            url,
            planned_ns,
            intended_ns,
            sent_ns: sent_ns.filter(|&stamp| stamp > 0),
            context_tokens,
            input_tokens,
            output_tokens,
            outcome: named(outcome).map_err(bad_argument)?,
            status,
            retries,
            message: message.to_owned(),
            answer: answer.map(|answer| Measured::from(&answer.0)),
        };
        self.write(|file| file.request(record))
    }

    #[allow(clippy::too_many_arguments)] // each is an argument of the Python method
    fn session(
        &mut self,
        session: u64,
        key: String,
        phase: &str,
        planned: u32,
        opened_ns: i64,
        closed_ns: i64,
        skipped: u32,
        cancelled: u32,
        never_issued: u32,
    ) -> PyResult<()> {
        let phase = named(phase).map_err(bad_argument)?;
        let record = Session { session, key, phase, planned, opened_ns, closed_ns, skipped, cancelled, never_issued };
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

fn failed(path: &std::path::Path, source: std::io::Error) -> PyErr {
    Failure::from(TraceError::Io { path: path.to_owned(), source }).into()
}

/// Writes `requests.parquet` into a run directory; returns its summary as JSON.
#[pyfunction]
pub(crate) fn summarize(py: Python<'_>, directory: PathBuf, options: &str) -> PyResult<String> {
    let options: summary::Options = read(options)?;
    let cancel = Cancel::default();
    let told = enter(
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
    json(&told)
}

/// Compares run directories; returns JSON.
#[pyfunction]
pub(crate) fn compare_runs(py: Python<'_>, directories: Vec<PathBuf>, options: &str) -> PyResult<String> {
    let options: compare::Options = read(options)?;
    json(&enter(py, &Cancel::default(), |_| Ok(()), || compare::compare(&directories, &options))?)
}

fn read<T: serde::de::DeserializeOwned>(options: &str) -> PyResult<T> {
    serde_json::from_str(options).map_err(|error| bad_argument(format!("options: {error}")))
}
