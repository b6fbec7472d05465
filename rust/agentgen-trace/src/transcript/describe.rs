//! What replaying a file of conversations will send.

use std::path::Path;

use crate::{Cancel, Result};
use serde::Serialize;

use super::model::{Transcript, estimated_tokens};
use super::read::read;

/// Answers that nobody recorded or limited are taken for this long, tokens.
pub const DEFAULT_OUTPUT_TOKENS: u64 = 128;

/// Totals of a file. Tokens are estimates (see [`estimated_tokens`]) of the recorded history.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Description {
    /// Transcripts.
    pub sessions: u64,
    /// Client turns: rows of the user and of tools.
    pub requests: u64,
    /// Tokens of all prompts.
    pub context_tokens: u64,
    /// Tokens that are new in them.
    pub input_tokens: u64,
    /// Tokens of all answers.
    pub output_tokens: u64,
    /// The longest prompt, tokens.
    pub max_context_tokens: u64,
    /// The longest prompt with its answer, tokens.
    pub max_request_tokens: u64,
    /// The conversation with the longest delays: all of them, ms.
    pub longest_session_ms: f64,
}

/// Reads a file through.
pub fn describe(path: &Path, cancel: &Cancel) -> Result<Description> {
    let mut totals = Description::default();
    for conversation in read(path, cancel) {
        totals.add(&conversation?);
    }
    Ok(totals)
}

impl Description {
    fn add(&mut self, conversation: &Transcript) {
        self.sessions += 1;
        let (mut messages, mut delays) = (conversation.system.as_deref().map_or(0, estimated_tokens), 0.0);
        let mut is_first = true;
        for (at, row) in conversation.rows.iter().enumerate() {
            messages += row.tokens();
            let Some(ask) = row.ask() else { continue };
            let context = messages + conversation.tools_tokens(ask);
            let output = conversation.planned_output(at, ask, None);
            self.requests += 1;
            self.context_tokens += context;
            self.input_tokens += if is_first { context } else { row.tokens() };
            self.output_tokens += output;
            self.max_context_tokens = self.max_context_tokens.max(context);
            self.max_request_tokens = self.max_request_tokens.max(context + output);
            delays += ask.delay_ms;
            is_first = false;
        }
        self.longest_session_ms = self.longest_session_ms.max(delays);
    }
}

impl Transcript {
    /// Estimated tokens of the answer to the row at `at`: the recorded one, else the limit, else a round number.
    #[must_use]
    pub fn planned_output(&self, at: usize, ask: &super::RequestOptions, run_limit: Option<u64>) -> u64 {
        let limit = || ask.parameters.limit().or_else(|| self.parameters()?.limit()).or(run_limit);
        self.recorded_output(at).or_else(limit).unwrap_or(DEFAULT_OUTPUT_TOKENS)
    }
}
