//! Parsers of server answers.

use agentgen_replay::answer::{self, Endpoint, Failure};
use pyo3::prelude::*;

use crate::arguments::json;
use crate::error::bad_argument;

/// Parser of one answer: takes the reads of its body, and its end once.
#[pyclass(module = "agentgen._native")]
pub(crate) struct Answer(pub(crate) answer::Answer);

#[pymethods]
impl Answer {
    #[new]
    fn new(endpoint: &str, stream: bool) -> PyResult<Self> {
        let endpoint = match endpoint {
            "chat" => Endpoint::Chat,
            "completions" => Endpoint::Completions,
            _ => return Err(bad_argument(format!("endpoint: found {endpoint:?}, expected chat or completions"))),
        };
        Ok(Self(answer::Answer::new(endpoint, stream)))
    }

    fn feed(&mut self, data: &[u8], stamp_ns: i64) {
        self.0.feed(data, stamp_ns);
    }

    fn end(&mut self, complete: bool, stamp_ns: i64) {
        self.0.end(complete, stamp_ns);
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
