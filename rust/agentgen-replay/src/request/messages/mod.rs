//! Requests of a recorded conversation: the body of the next one, and what its answer changes in the history.
//!
//! Each message is encoded once: the session keeps the JSON text of its `messages` array, so a prompt that continues
//! another begins with it, byte for byte.

mod body;
mod history;
mod options;
mod render;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use agentgen_trace::transcript::{History as Begins, Part, ToolCall, Transcript};

pub use self::options::MessagesOptions;
use self::render::Array;
use super::options::{History, Reasoning, Request, RequestError};
use crate::answer::ReasoningField;

/// A conversation that is being replayed.
#[derive(Debug)]
pub struct MessagesSession {
    options: Arc<MessagesOptions>,
    /// With a live history, the server's answers replace the recorded ones.
    transcript: Transcript,
    /// Requests made so far.
    requested: usize,
    /// Whether the last request has no answer yet.
    is_waiting: bool,
    array: Array,
    /// Why no further request can be made.
    failed: Option<String>,
}

impl MessagesSession {
    /// Starts a conversation.
    #[must_use]
    pub fn new(mut transcript: Transcript, options: &Arc<MessagesOptions>) -> Self {
        add_salt(&mut transcript, &options.salt);
        let options = Arc::clone(options);
        let array = Array::new(options.reasoning);
        Self { options, transcript, requested: 0, is_waiting: false, array, failed: None }
    }

    /// Name of the conversation, valid as the value of an HTTP header.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.transcript.id
    }

    /// Number of requests of the whole conversation.
    #[must_use]
    pub fn turns(&self) -> usize {
        self.transcript.requests.len()
    }

    /// Wait before the next request, from the end of the answer before (of the first: from the session's start), ms.
    /// Zero for a session that has failed, so that the failure is reported at once.
    #[must_use]
    pub fn delay_ms(&self) -> f64 {
        let next = self.transcript.requests.get(self.requested).filter(|_| self.failed.is_none());
        next.and_then(|request| request.delay_ms).unwrap_or(0.0)
    }

    /// The next request. An error ends the session.
    pub fn request(&mut self) -> Result<Request, RequestError> {
        if let Some(failed) = &self.failed {
            return Err(self.error(failed));
        }
        let turn = self.requested;
        let Some(request) = self.transcript.requests.get(turn) else {
            return Err(self.error("no turn is left to request"));
        };
        if self.is_waiting && self.options.history == History::Live {
            return Err(self.error("the turn before has no answer yet"));
        }
        self.array.set(&self.transcript.prompt(turn)).map_err(|what| self.error(&what))?;
        let output_tokens = self.transcript.planned_output(turn, self.options.limit());
        let context_tokens = self.array.tokens() + self.transcript.tools_tokens(turn);
        let (body, stream) = body::body(&self.options, &self.transcript, request, &self.array, output_tokens);
        let input_tokens = if request.history.after().is_none() { context_tokens } else { request.new_tokens() };
        self.requested += 1;
        self.is_waiting = true;
        Ok(Request { body, turn, context_tokens, input_tokens, output_tokens, stream })
    }

    /// Takes the answer to the last request. With a live history it becomes part of the next prompt; if the next prompt
    /// cannot follow it, the next [`Self::request`] fails.
    pub fn answered(
        &mut self,
        text: &str,
        reasoning: &str,
        tool_calls: &[ToolCall],
        tokens: Option<u64>,
    ) -> Result<(), RequestError> {
        if !self.is_waiting {
            return Err(self.error("an answer without a request"));
        }
        self.is_waiting = false;
        if self.options.history == History::Live {
            let last = self.requested - 1;
            let is_reasoning = !reasoning.is_empty() && self.options.reasoning == Reasoning::Keep;
            let is_empty = text.is_empty() && tool_calls.is_empty() && !is_reasoning;
            if is_empty && self.transcript.next_after(last).is_some() {
                return Err(RequestError::empty_answer(self.key(), last, tokens));
            }
            self.failed = history::take_answer(&mut self.transcript, last, text, reasoning, tool_calls).err();
        }
        Ok(())
    }

    /// Sends reasoning in this field from now on. A recorded history is the same for every server.
    pub fn name_reasoning(&mut self, field: ReasoningField) {
        if self.options.history == History::Live {
            self.array.reasoning_field = field;
        }
    }

    fn error(&self, what: &str) -> RequestError {
        RequestError::History { session: self.key().to_owned(), turn: self.requested, what: what.to_owned() }
    }
}

/// Puts the salt on a line of its own before the first text of every prompt.
fn add_salt(transcript: &mut Transcript, salt: &str) {
    if salt.is_empty() {
        return;
    }
    let begins_anew = |history: &Begins| matches!(history, Begins::Spawn { .. } | Begins::Break { kept: 0, .. });
    for request in transcript.requests.iter_mut().filter(|request| begins_anew(&request.history)) {
        let first = request.messages.first_mut().and_then(|message| message.parts.first_mut());
        if let Some(Part::Text(text)) = first {
            text.insert_str(0, &format!("{salt}\n"));
        }
    }
}
