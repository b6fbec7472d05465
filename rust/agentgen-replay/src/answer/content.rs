//! The content of an answer, event by event.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::frame::{MAX_TOOL_CALLS, Timings, Usage};
use super::pattern::Part;
use super::{Counts, Failure, Read, ReasoningField, ToolCall};
use crate::secrets::Secrets;

/// Longest id of an answer that is kept, bytes.
const MAX_ID_BYTES: usize = 256;
/// Most characters kept of a finish reason.
const MAX_REASON_CHARS: usize = 64;

/// Content of the answer so far.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub text: String,
    pub reasoning: String,
    /// The name under which it came.
    pub reasoning_field: ReasoningField,
    pub tool_calls: Vec<ToolCall>,
    pub finish_reason: Option<String>,
    pub id: Option<String>,
    /// The last event of the answer has come.
    pub end_mark: bool,
    pub counts: Counts,
    /// Bytes of ids, names and arguments of tool calls.
    pub(super) arguments: usize,
    pub failure: Option<(Failure, String)>,
    /// Kept out of messages and the finish reason.
    pub secrets: Arc<Secrets>,
}

impl Content {
    /// Bytes of the answer so far.
    pub fn held(&self) -> usize {
        self.text.len() + self.reasoning.len() + self.arguments
    }

    /// Why the answer ended, in the server's words.
    pub(super) fn end_reason(&mut self, reason: &str) {
        self.finish_reason = Some(self.secrets.redact(reason).chars().take(MAX_REASON_CHARS).collect());
        if matches!(reason, "error" | "abort" | "failed") {
            self.fail(Failure::ServerError, format!("the server ended the answer with finish_reason {reason}"));
        }
    }

    /// The server's id of the answer; the first one counts.
    pub(super) fn identify(&mut self, id: Option<&RawValue>) {
        if self.id.is_none()
            && let Some(id) = id.filter(|id| id.get().len() <= MAX_ID_BYTES)
        {
            self.id = serde_json::from_str(id.get()).ok();
        }
    }

    pub(super) fn too_many_calls(&mut self) {
        let message = format!("found more than {MAX_TOOL_CALLS} tool calls, expected at most as many");
        self.fail(Failure::TooLarge, message);
    }

    pub(super) fn output(&mut self, part: Part, string: &str, read: &mut Read) {
        if string.is_empty() {
            return;
        }
        match part {
            Part::Text => self.text.push_str(string),
            Part::Reasoning => self.reasoning.push_str(string),
        }
        self.outputs(read, part == Part::Text);
    }

    pub(super) fn outputs(&mut self, read: &mut Read, answer: bool) {
        self.counts.output_events += 1;
        read.output = true;
        read.answer |= answer;
    }

    /// Later counts replace earlier ones, because some servers send counts with every chunk.
    pub(super) fn count(&mut self, usage: Option<Usage>, timings: Option<Timings>) {
        let counts = &mut self.counts;
        if let Some(usage) = usage {
            counts.prompt_tokens = usage.prompt_tokens.0.or(counts.prompt_tokens);
            counts.completion_tokens = usage.completion_tokens.0.or(counts.completion_tokens);
            counts.cached_tokens = usage.cached().or(counts.cached_tokens);
            counts.reasoning_tokens = usage.reasoning().or(counts.reasoning_tokens);
        }
        if let Some(timings) = timings {
            let prompt = timings.cache_n.0.zip(timings.prompt_n.0).map(|(cached, new)| cached + new);
            counts.prompt_tokens = counts.prompt_tokens.or(prompt);
            counts.completion_tokens = counts.completion_tokens.or(timings.predicted_n.0);
            counts.cached_tokens = counts.cached_tokens.or(timings.cache_n.0);
        }
    }

    /// Keeps the first error: later ones follow from it.
    pub fn fail(&mut self, failure: Failure, message: String) {
        self.failure.get_or_insert((failure, message));
    }
}
