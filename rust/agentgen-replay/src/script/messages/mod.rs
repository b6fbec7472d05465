//! The script of a recorded conversation: the body of its next request, and what becomes of the answer.
//!
//! What was said once is encoded once: the session keeps the JSON text of its `messages` array, which only grows, so
//! each prompt begins with the one before it, byte for byte.

mod body;
mod history;
mod options;
mod render;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use agentgen_trace::transcript::{Message, Row, ToolCall, Transcript};

pub use self::options::MessagesOptions;
use self::render::Array;
use super::{History, Request, ScriptError};

/// A conversation that is being replayed.
#[derive(Debug)]
pub struct MessagesSession {
    options: Arc<MessagesOptions>,
    conversation: Transcript,
    /// Places of the rows that cause requests.
    client_rows: Vec<usize>,
    /// Client turns requested so far.
    requested: usize,
    /// The history is behind: the last request has no answer yet.
    is_waiting: bool,
    /// Rows that the array has.
    rows: usize,
    array: Array,
    /// Live ids of the calls whose results come next, by the recorded ids.
    ids: HashMap<String, String>,
    /// Why it cannot go on.
    failed: Option<String>,
}

impl MessagesSession {
    /// Starts a conversation.
    #[must_use]
    pub fn new(mut conversation: Transcript, options: &Arc<MessagesOptions>) -> Self {
        salt(&mut conversation, &options.salt);
        let mut array = Array::default();
        if let Some(system) = &conversation.system {
            array.system(system);
        }
        Self {
            options: Arc::clone(options),
            client_rows: conversation.client_rows().map(|(at, _)| at).collect(),
            conversation,
            requested: 0,
            is_waiting: false,
            rows: 0,
            array,
            ids: HashMap::new(),
            failed: None,
        }
    }

    /// Name of the conversation, which can be the value of an HTTP header.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.conversation.id
    }

    /// Requests of the whole conversation.
    #[must_use]
    pub fn turns(&self) -> usize {
        self.client_rows.len()
    }

    /// Wait before the next request, from the end of the answer before (of the first: from the session's start), ms.
    /// None for a session that cannot go on: that need not wait to be said.
    #[must_use]
    pub fn delay_ms(&self) -> f64 {
        let row = self.client_rows.get(self.requested).and_then(|at| self.conversation.rows[*at].ask());
        row.filter(|_| self.failed.is_none()).map_or(0.0, |ask| ask.delay_ms)
    }

    /// The next request. An error where it cannot be made, which ends the session.
    pub fn request(&mut self) -> Result<Request, ScriptError> {
        if let Some(failed) = &self.failed {
            return Err(self.error(failed));
        }
        let Some(at) = self.client_rows.get(self.requested).copied() else {
            return Err(self.error("no turn is left to request"));
        };
        if self.is_waiting && self.options.history == History::Live {
            return Err(self.error("the turn before has no answer yet"));
        }
        if self.options.history == History::Trace {
            for row in &self.conversation.rows[self.rows..at] {
                self.array.row(row, &self.ids);
            }
        }
        let row = &self.conversation.rows[at];
        self.array.row(row, &self.ids);
        self.rows = at + 1;
        let Some(ask) = row.ask() else { return Err(self.error("the row causes no request")) };
        let run_limit = self.options.limit();
        let output_tokens = self.conversation.planned_output(at, ask, run_limit);
        let context_tokens = self.array.tokens() + self.conversation.tools_tokens(ask);
        let (body, stream) = body::body(&self.options, &self.conversation, ask, &self.array, output_tokens);
        let turn = self.requested;
        self.requested += 1;
        self.is_waiting = true;
        let input_tokens = if turn == 0 { context_tokens } else { row.tokens() };
        Ok(Request { body, turn, context_tokens, input_tokens, output_tokens, stream })
    }

    /// Takes the answer to the last request. With a live history it becomes part of the next prompt; if that cannot be
    /// made from it, the next [`Self::request`] says so, because it is that turn which fails.
    pub fn answered(&mut self, text: &str, reasoning: &str, tool_calls: &[ToolCall]) -> Result<(), ScriptError> {
        if !self.is_waiting {
            return Err(self.error("an answer without a request"));
        }
        self.is_waiting = false;
        let Some(next) = self.client_rows.get(self.requested) else { return Ok(()) };
        if self.options.history == History::Trace {
            return Ok(());
        }
        match history::renamed(&self.conversation, *next, tool_calls) {
            Ok(ids) => {
                self.ids = ids;
                self.array.answer(text, reasoning, tool_calls);
            }
            Err(reason) => self.failed = Some(reason),
        }
        Ok(())
    }

    fn error(&self, what: &str) -> ScriptError {
        ScriptError::History { session: self.key().to_owned(), turn: self.requested, what: what.to_owned() }
    }
}

/// Puts the salt on a line of its own before everything else that the conversation says.
fn salt(conversation: &mut Transcript, salt: &str) {
    if salt.is_empty() {
        return;
    }
    let salted = |text: &str| format!("{salt}\n{text}");
    if let Some(system) = &mut conversation.system {
        *system = salted(system);
    } else if let Some(Row { message: Message::User { content, .. }, .. }) = conversation.rows.first_mut() {
        *content = salted(content);
    }
}
