//! Parsers of server answers.

use std::sync::Arc;

use agentgen_replay::answer::{self, End, Endpoint, Failure, MAX_BODY_BYTES};
use agentgen_replay::secrets;
use pyo3::prelude::*;

use crate::arguments::json;
use crate::error::bad_argument;

/// Header values that are kept out of everything of a server's that is stored or shown.
#[pyclass(module = "agentgen._native", frozen)]
pub(crate) struct Secrets(Arc<secrets::Secrets>);

#[pymethods]
impl Secrets {
    #[new]
    fn new(values: Vec<String>) -> Self {
        Self(Arc::new(secrets::Secrets::new(values.iter().map(String::as_str))))
    }

    fn line(&self, text: &str) -> String {
        self.0.line(text)
    }
}

/// Parser of one answer: takes the reads of its body, and its end once.
#[pyclass(module = "agentgen._native")]
pub(crate) struct Answer(pub(crate) answer::Answer);

#[pymethods]
impl Answer {
    #[new]
    #[pyo3(signature = (endpoint, stream, *, max_bytes=MAX_BODY_BYTES, secrets=None))]
    fn new(endpoint: &str, stream: bool, max_bytes: u64, secrets: Option<&Secrets>) -> PyResult<Self> {
        let Some(endpoint) = Endpoint::of_name(endpoint) else {
            let expected = "chat, completions, responses or messages";
            return Err(bad_argument(format!("endpoint: found {endpoint:?}, expected {expected}")));
        };
        let answer = answer::Answer::new(endpoint, stream).with_max_bytes(max_bytes);
        Ok(Self(match secrets {
            Some(secrets) => answer.without(secrets.0.clone()),
            None => answer,
        }))
    }

    fn feed(&mut self, data: &[u8], stamp_ns: i64) -> bool {
        self.0.feed(data, stamp_ns)
    }

    fn end(&mut self, end: &str, stamp_ns: i64) -> PyResult<()> {
        let end = match end {
            "complete" => End::Complete,
            "closed" => End::Closed,
            "lost" => End::Lost,
            "refused" => End::Refused,
            _ => return Err(bad_argument(format!("end: found {end:?}, expected complete, closed, lost or refused"))),
        };
        self.0.end(end, stamp_ns);
        Ok(())
    }

    #[getter]
    fn failure(&self) -> Option<&'static str> {
        self.0.failure().map(Failure::name)
    }

    #[getter]
    fn message(&self) -> &str {
        self.0.message()
    }

    #[getter]
    fn first_byte_ns(&self) -> Option<i64> {
        self.0.stamps().first_byte_ns
    }

    #[getter]
    fn first_token_ns(&self) -> Option<i64> {
        self.0.stamps().first_token_ns
    }

    #[getter]
    fn first_answer_ns(&self) -> Option<i64> {
        self.0.stamps().first_answer_ns
    }

    #[getter]
    fn last_token_ns(&self) -> Option<i64> {
        self.0.stamps().last_token_ns
    }

    #[getter]
    fn last_byte_ns(&self) -> Option<i64> {
        self.0.stamps().last_byte_ns
    }

    #[getter]
    fn ended_ns(&self) -> Option<i64> {
        self.0.stamps().ended_ns
    }

    #[getter]
    fn prompt_tokens(&self) -> Option<u64> {
        self.0.counts().prompt_tokens
    }

    #[getter]
    fn completion_tokens(&self) -> Option<u64> {
        self.0.counts().completion_tokens
    }

    #[getter]
    fn cached_tokens(&self) -> Option<u64> {
        self.0.counts().cached_tokens
    }

    #[getter]
    fn output_events(&self) -> u64 {
        self.0.counts().output_events
    }

    #[getter]
    fn malformed_events(&self) -> u64 {
        self.0.counts().malformed_events
    }

    #[getter]
    fn finish_reason(&self) -> Option<&str> {
        self.0.finish_reason()
    }

    #[getter]
    fn text(&self) -> &str {
        self.0.text()
    }

    #[getter]
    fn reasoning(&self) -> &str {
        self.0.reasoning()
    }

    #[getter]
    fn tool_calls(&self) -> PyResult<String> {
        json(&self.0.tool_calls())
    }
}
