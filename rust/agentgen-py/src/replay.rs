//! Sessions that are replayed, one request after the other.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use agentgen_replay::request::{self, Options, RequestError, Share, Source};
use agentgen_trace::Cancel;
use agentgen_trace::transcript::ToolCall;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::answer::Answer;
use crate::arguments::{from_json, json};
use crate::enter::enter;
use crate::error::{Failure, bad_argument, named};

/// The sessions of a trace that one worker replays, in the order in which they start. (Classes must be `Sync`, which
/// what reads files is not.)
#[pyclass(module = "agentgen._native")]
pub(crate) struct ReplaySource(Mutex<Source>);

#[pymethods]
impl ReplaySource {
    #[new]
    #[pyo3(signature = (path, options, worker=0, workers=1))]
    fn new(py: Python<'_>, path: PathBuf, options: &str, worker: u64, workers: u64) -> PyResult<Self> {
        let options: Options = from_json(options)?;
        if worker >= workers {
            return Err(bad_argument(format!("worker: found {worker}, expected less than workers ({workers})")));
        }
        let share = Share { worker, workers };
        let source = py.detach(|| Source::open(&path, options, share, &Cancel::default()));
        Ok(Self(Mutex::new(source.map_err(Failure::from)?)))
    }

    fn next(&mut self, py: Python<'_>) -> PyResult<Option<ReplaySession>> {
        let source = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        let next = py.detach(|| source.next_session()).map_err(Failure::from)?;
        Ok(next.map(ReplaySession))
    }

    #[getter]
    fn has_bundles(&mut self) -> bool {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).has_bundles()
    }

    fn responded(&mut self, number: u64, turn: usize) -> Vec<ReplaySession> {
        let source = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        source.responded(number, turn).into_iter().map(ReplaySession).collect()
    }

    fn may_send(&mut self, number: u64, turn: usize) -> bool {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).may_send(number, turn)
    }

    fn over(&mut self, number: u64, turns: usize, has_failed: bool) -> (Vec<ReplaySession>, Vec<u64>, bool) {
        let source = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        let over = source.over(number, turns, has_failed);
        (over.begins.into_iter().map(ReplaySession).collect(), over.released, over.frees_slot)
    }
}

/// What a replay of a trace will be, as JSON.
#[pyfunction]
#[pyo3(signature = (path, *, trace_block_size=None, selection="{}"))]
pub(crate) fn describe_replay(
    py: Python<'_>,
    path: PathBuf,
    trace_block_size: Option<u32>,
    selection: &str,
) -> PyResult<String> {
    let (selection, cancel) = (from_json(selection)?, Cancel::default());
    json(&enter(py, &cancel, |_| Ok(()), || request::describe(&path, trace_block_size, selection, &cancel))?)
}

/// The body of a short request with the fields of a run.
#[pyfunction]
pub(crate) fn replay_probe(py: Python<'_>, options: &str) -> PyResult<Py<PyBytes>> {
    let body = request::probe(&from_json(options)?).map_err(refused)?;
    Ok(PyBytes::new(py, &body).unbind())
}

/// A session while it is replayed.
#[pyclass(module = "agentgen._native")]
pub(crate) struct ReplaySession(request::ReplaySession);

#[pymethods]
impl ReplaySession {
    #[getter]
    fn key(&self) -> &str {
        self.0.key()
    }

    #[getter]
    fn number(&self) -> u64 {
        self.0.number()
    }

    #[getter]
    fn turns(&self) -> usize {
        self.0.turns()
    }

    #[getter]
    fn start_ms(&self) -> f64 {
        self.0.start_ms()
    }

    #[getter]
    fn parent(&self) -> Option<u64> {
        self.0.parent()
    }

    fn at_ms(&self) -> Option<f64> {
        self.0.at_ms()
    }

    fn delay_ms(&self) -> f64 {
        self.0.delay_ms()
    }

    fn request(&mut self, py: Python<'_>) -> PyResult<ReplayRequest> {
        let made = self.0.request().map_err(refused)?;
        Ok(ReplayRequest {
            body: PyBytes::new(py, &made.body).unbind(),
            turn: made.turn,
            context_tokens: made.context_tokens,
            input_tokens: made.input_tokens,
            output_tokens: made.output_tokens,
            stream: made.stream,
        })
    }

    fn answered(&mut self, answer: PyRef<'_, Answer>) -> PyResult<()> {
        let answer = &answer.0;
        let calls = answer.tool_calls().iter().map(|call| ToolCall {
            id: call.id.clone(),
            name: call.function.name.clone(),
            arguments: call.function.arguments.clone(),
        });
        let calls: Vec<_> = calls.collect();
        let tokens = answer.counts().completion_tokens;
        if !answer.reasoning().is_empty() {
            self.0.name_reasoning(answer.reasoning_field());
        }
        self.0.answered(answer.text(), answer.reasoning(), &calls, tokens).map_err(refused)
    }

    fn over(&mut self) -> PyResult<()> {
        self.0.over().map_err(refused)
    }
}

fn refused(error: RequestError) -> PyErr {
    let is_empty = matches!(error, RequestError::EmptyAnswer { .. });
    named(if is_empty { "EmptyAnswerError" } else { "HistoryError" }, [error.to_string()])
}

/// A request, ready to be sent.
#[pyclass(module = "agentgen._native", frozen)]
pub(crate) struct ReplayRequest {
    #[pyo3(get)]
    body: Py<PyBytes>,
    #[pyo3(get)]
    turn: usize,
    #[pyo3(get)]
    context_tokens: u64,
    #[pyo3(get)]
    input_tokens: u64,
    #[pyo3(get)]
    output_tokens: u64,
    #[pyo3(get)]
    stream: bool,
}
