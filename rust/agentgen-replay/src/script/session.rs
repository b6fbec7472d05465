//! A session of either kind.

use agentgen_trace::transcript::ToolCall;

use super::hashed::HashedSession;
use super::messages::MessagesSession;
use super::{Request, ScriptError};

/// One session: gives a request, takes the answer, and so on until it is over.
#[derive(Debug)]
pub enum ReplaySession {
    /// Of a trace whose content is known by hash ids.
    Hashed(Box<HashedSession>),
    /// A recorded conversation in text.
    Messages {
        /// Its number in the order of the file.
        number: u64,
        /// What it sends.
        session: Box<MessagesSession>,
    },
}

impl ReplaySession {
    /// What the trace calls it.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Hashed(session) => session.key(),
            Self::Messages { session, .. } => session.key(),
        }
    }

    /// Its number in the order of the file.
    #[must_use]
    pub fn number(&self) -> u64 {
        match self {
            Self::Hashed(session) => session.number(),
            Self::Messages { number, .. } => *number,
        }
    }

    /// How many requests it makes.
    #[must_use]
    pub fn turns(&self) -> usize {
        match self {
            Self::Hashed(session) => session.turns(),
            Self::Messages { session, .. } => session.turns(),
        }
    }

    /// When it arrives, ms.
    #[must_use]
    pub fn start_ms(&self) -> f64 {
        match self {
            Self::Hashed(session) => session.start_ms(),
            Self::Messages { .. } => 0.0,
        }
    }

    /// The session that it continues: that one's transcript is resent, so it must be over.
    #[must_use]
    pub fn parent(&self) -> Option<u64> {
        match self {
            Self::Hashed(session) => session.parent(),
            Self::Messages { .. } => None,
        }
    }

    /// The recorded time of the next request, ms on the clock of [`Self::start_ms`], in a trace where each has its own.
    #[must_use]
    pub fn at_ms(&self) -> Option<f64> {
        match self {
            Self::Hashed(session) => session.at_ms(),
            Self::Messages { .. } => None,
        }
    }

    /// ms from the end of the response before, or the session's start, to the next request.
    #[must_use]
    pub fn delay_ms(&self) -> f64 {
        match self {
            Self::Hashed(session) => session.delay_ms(),
            Self::Messages { session, .. } => session.delay_ms(),
        }
    }

    /// The next request.
    pub fn request(&mut self) -> Result<Request, ScriptError> {
        match self {
            Self::Hashed(session) => session.request(),
            Self::Messages { session, .. } => session.request(),
        }
    }

    /// Takes the answer to the last request; `tokens` is its length, where the server says.
    pub fn answered(
        &mut self,
        text: &str,
        reasoning: &str,
        tool_calls: &[ToolCall],
        tokens: Option<u64>,
    ) -> Result<(), ScriptError> {
        match self {
            Self::Hashed(session) => {
                session.answered(text, tokens);
                Ok(())
            }
            Self::Messages { session, .. } => session.answered(text, reasoning, tool_calls),
        }
    }

    /// The session is over: its transcript is kept if another session goes on from it.
    pub fn over(&mut self) -> Result<(), ScriptError> {
        match self {
            Self::Hashed(session) => session.over(),
            Self::Messages { .. } => Ok(()),
        }
    }
}
