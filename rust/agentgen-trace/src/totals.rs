//! Totals of the requests that a replay of a trace sends.

use serde::Serialize;

/// Totals over sessions and their requests.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Sessions.
    pub sessions: u64,
    /// Requests.
    pub requests: u64,
    /// Tokens of all prompts.
    pub context_tokens: u64,
    /// New tokens of all prompts: those after their history.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Tokens of the longest prompt.
    pub max_context_tokens: u64,
    /// Tokens of the longest prompt and its output.
    pub max_request_tokens: u64,
    /// The longest sum of a session's delays, ms.
    pub longest_session_ms: f64,
}

/// The size of a request, and the delay before it.
#[derive(Debug, Clone, Copy)]
pub struct RequestSize {
    /// Tokens of the prompt.
    pub context_tokens: u64,
    /// New tokens of the prompt.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Delay before the request, ms.
    pub delay_ms: f64,
}

impl Totals {
    /// Adds a session with its requests.
    pub fn add_session(&mut self, requests: impl IntoIterator<Item = RequestSize>) {
        let mut delays_ms = 0.0;
        for RequestSize { context_tokens, input_tokens, output_tokens, delay_ms } in requests {
            self.requests += 1;
            self.context_tokens += context_tokens;
            self.input_tokens += input_tokens;
            self.output_tokens += output_tokens;
            self.max_context_tokens = self.max_context_tokens.max(context_tokens);
            self.max_request_tokens = self.max_request_tokens.max(context_tokens + output_tokens);
            delays_ms += delay_ms;
        }
        self.sessions += 1;
        self.longest_session_ms = self.longest_session_ms.max(delays_ms);
    }
}
