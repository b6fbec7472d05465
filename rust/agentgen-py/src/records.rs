//! Record files of replays, and what is computed from them.

use std::path::PathBuf;

use agentgen_replay::records::{self, Measured, Request, Session};
use agentgen_replay::summary::{self, Run, compare};
use agentgen_trace::{Cancel, TraceError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};

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
        let mut record = request(record)?;
        if let Some(Answer(answer)) = answer {
            if record.message.is_empty() {
                answer.message().clone_into(&mut record.message);
            }
            record.answer = Some(Measured::from(answer));
        }
        self.write(|file| file.request(record))
    }

    fn session(&mut self, record: &Bound<'_, PyDict>) -> PyResult<()> {
        let record = session(record)?;
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

/// Reads a record from a dict by its interned names, without an intermediate tree: there is one for each request.
/// `agentgen.replay.records` has the same names.
macro_rules! record {
    ($type:ident from $dict:ident { $($field:ident),* } { $($named:ident),* } $($rest:tt)*) => {
        $type {
            $($field: item($dict, intern!($dict.py(), stringify!($field)))?.extract()?,)*
            $($named: name(item($dict, intern!($dict.py(), stringify!($named)))?.cast::<PyString>()?.to_str()?)?,)*
            $($rest)*
        }
    };
}

fn request(dict: &Bound<'_, PyDict>) -> PyResult<Request> {
    let message = dict.get_item(intern!(dict.py(), "message"))?;
    Ok(record!(Request from dict {
        session, key, turn, url, scheduled_ns, intended_ns, sent_ns, context_tokens, input_tokens, output_tokens, status,
        retries
    } { phase, outcome }
        message: message.map_or(Ok(String::new()), |message| message.extract())?,
        answer: None,
    ))
}

fn session(dict: &Bound<'_, PyDict>) -> PyResult<Session> {
    Ok(record!(Session from dict {
        session, key, planned, opened_ns, closed_ns, skipped, cancelled, never_issued
    } { phase }))
}

fn item<'py>(dict: &Bound<'py, PyDict>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
    dict.get_item(name)?.ok_or_else(|| bad_argument(format!("record: found no {name}, expected all fields")))
}

/// A phase or an outcome by its name.
fn name<'de, T: Deserialize<'de>>(name: &'de str) -> PyResult<T> {
    let deserializer: StrDeserializer<'de, Error> = name.into_deserializer();
    T::deserialize(deserializer).map_err(|error| bad_argument(format!("record: {error}")))
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
