//! A session of a block-hash trace or of recorded conversations.

use std::borrow::Cow;

use agentgen_engine::timeline::Begin;
use agentgen_trace::transcript::ToolCall;

use super::block_hash::BlockHashSession;
use super::messages::MessagesSession;
use super::options::{Request, RequestError};
use crate::answer::ReasoningField;

/// One session: builds a request, takes its answer, and so on until it ends.
#[derive(Debug)]
pub enum ReplaySession {
    /// Of a block-hash trace.
    BlockHash(Box<BlockHashSession>),
    /// A recorded conversation.
    Messages {
        /// Its number in the order of the file, from 0.
        number: u64,
        /// Its request builder.
        session: Box<MessagesSession>,
    },
}

impl ReplaySession {
    /// Its name in the trace.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::BlockHash(session) => session.key(),
            Self::Messages { session, .. } => session.key(),
        }
    }

    /// Its number in the order of the file.
    #[must_use]
    pub fn number(&self) -> u64 {
        match self {
            Self::BlockHash(session) => session.number(),
            Self::Messages { number, .. } => *number,
        }
    }

    /// Number of its requests.
    #[must_use]
    pub fn turns(&self) -> usize {
        match self {
            Self::BlockHash(session) => session.turns(),
            Self::Messages { session, .. } => session.turns(),
        }
    }

    /// Its arrival, ms since the start of what is played.
    #[must_use]
    pub fn start_ms(&self) -> f64 {
        match self {
            Self::BlockHash(session) => session.start_ms(),
            Self::Messages { .. } => 0.0,
        }
    }

    /// Number of the session that it continues, which must end first: its transcript is sent again.
    #[must_use]
    pub fn parent(&self) -> Option<u64> {
        match self {
            Self::BlockHash(session) => session.parent(),
            Self::Messages { .. } => None,
        }
    }

    /// How it begins.
    pub(super) fn begin_rule(&self) -> Begin {
        match self {
            Self::BlockHash(session) => session.begin_rule(),
            Self::Messages { .. } => Begin::Slot,
        }
    }

    /// Whether sessions that begin in its bundle may follow it.
    pub(super) fn may_have_members(&self) -> bool {
        match self {
            Self::BlockHash(session) => session.may_have_members(),
            Self::Messages { .. } => false,
        }
    }

    /// Recorded time of the next request, ms since the start of what is played; `None` if requests are timed by delays.
    #[must_use]
    pub fn at_ms(&self) -> Option<f64> {
        match self {
            Self::BlockHash(session) => session.at_ms(),
            Self::Messages { .. } => None,
        }
    }

    /// Wait before the next request, ms, from the end of the response before or from the session's start.
    #[must_use]
    pub fn delay_ms(&self) -> f64 {
        match self {
            Self::BlockHash(session) => session.delay_ms(),
            Self::Messages { session, .. } => session.delay_ms(),
        }
    }

    /// Builds the next request.
    pub fn request(&mut self) -> Result<Request, RequestError> {
        match self {
            Self::BlockHash(session) => session.request(),
            Self::Messages { session, .. } => session.request(),
        }
    }

    /// Sends reasoning in the field in which the server writes it.
    pub fn name_reasoning(&mut self, field: ReasoningField) {
        if let Self::Messages { session, .. } = self {
            session.name_reasoning(field);
        }
    }

    /// Takes the answer to the last request; `tokens` is its length as the server reported it.
    pub fn answered(
        &mut self,
        text: &str,
        reasoning: &str,
        tool_calls: &[ToolCall],
        tokens: Option<u64>,
    ) -> Result<(), RequestError> {
        match self {
            Self::BlockHash(session) => session.answered(&said(text, reasoning, tool_calls), tokens),
            Self::Messages { session, .. } => session.answered(text, reasoning, tool_calls, tokens),
        }
    }

    /// Ends the session: keeps its transcript if another session may continue it.
    pub fn over(&mut self) -> Result<(), RequestError> {
        match self {
            Self::BlockHash(session) => session.over(),
            Self::Messages { .. } => Ok(()),
        }
    }
}

/// An answer as the text of a history without tools: its text, and its calls; its reasoning if it has neither.
fn said<'a>(text: &'a str, reasoning: &'a str, tool_calls: &[ToolCall]) -> Cow<'a, str> {
    if tool_calls.is_empty() {
        return if text.is_empty() { reasoning } else { text }.into();
    }
    let calls = tool_calls.iter().flat_map(|call| [call.name.as_str(), call.arguments.as_str()]);
    let parts: Vec<_> = [text].into_iter().chain(calls).filter(|part| !part.is_empty()).collect();
    parts.join(" ").into()
}
