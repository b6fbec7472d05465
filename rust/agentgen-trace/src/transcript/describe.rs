//! Totals of what a replay of recorded conversations sends.

use serde::Serialize;

use super::model::{Message, Transcript};
use crate::Result;

/// Totals of conversations. Tokens are estimates of the recorded history.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Description {
    /// Conversations.
    pub sessions: u64,
    /// Requests.
    pub requests: u64,
    /// Tokens of all prompts.
    pub context_tokens: u64,
    /// New tokens of all prompts: those after their history.
    pub input_tokens: u64,
    /// Tokens of all answers.
    pub output_tokens: u64,
    /// The longest prompt, tokens.
    pub max_context_tokens: u64,
    /// The longest prompt with its answer, tokens.
    pub max_request_tokens: u64,
    /// The longest sum of a conversation's delays, ms.
    pub longest_session_ms: f64,
}

/// Adds up conversations; the first that cannot be read is the error.
pub fn describe(transcripts: impl IntoIterator<Item = Result<Transcript>>) -> Result<Description> {
    let mut totals = Description::default();
    for transcript in transcripts {
        totals.add(&transcript?);
    }
    Ok(totals)
}

impl Description {
    fn add(&mut self, transcript: &Transcript) {
        self.sessions += 1;
        let mut delays_ms = 0.0;
        for (at, request) in transcript.requests.iter().enumerate() {
            let messages: u64 = transcript.prompt(at).into_iter().map(|(_, message)| Message::tokens(message)).sum();
            let context = messages + transcript.tools_tokens(at);
            let output = transcript.planned_output(at, None);
            self.requests += 1;
            self.context_tokens += context;
            self.input_tokens += if request.history.after().is_none() { context } else { request.new_tokens() };
            self.output_tokens += output;
            self.max_context_tokens = self.max_context_tokens.max(context);
            self.max_request_tokens = self.max_request_tokens.max(context + output);
            delays_ms += request.delay_ms.unwrap_or(0.0);
        }
        self.longest_session_ms = self.longest_session_ms.max(delays_ms);
    }
}
