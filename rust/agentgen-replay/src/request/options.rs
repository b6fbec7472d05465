//! Options of a replay, requests as they are built, and errors about both.

use std::path::PathBuf;

use agentgen_engine::text::counted;
use agentgen_trace::diagnostic::Diagnostic;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use super::selection::Selection;
pub use crate::answer::Endpoint;

/// How a trace is replayed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The API that requests use.
    pub endpoint: Endpoint,
    /// How prompts are sent.
    pub prompt_mode: PromptMode,
    /// Whose answers later prompts hold.
    pub history: History,
    /// Makes the prompts of this run differ from those of runs with another salt.
    pub salt: String,
    /// Words of one token each; common English words if `None`.
    pub words: Option<Vec<String>>,
    /// Name of the model in requests.
    pub model: String,
    /// Whether answers are streamed.
    pub stream: bool,
    /// Fields of every body; those that are null are dropped.
    pub request: Map<String, Value>,
    /// The field that limits the tokens of an answer.
    pub max_tokens_field: MaxTokensField,
    /// Whether any session of the trace is a restart session; if not, nothing is kept of sessions that have ended.
    pub is_linked: bool,
    /// Directory for the transcripts of sessions that may be continued; `None` if no session continues another.
    pub transcripts: Option<PathBuf>,
    /// Block size of the trace, tokens; `None` to infer it.
    pub trace_block_size: Option<u32>,
    /// Which reasoning of earlier answers later prompts hold.
    #[serde(default)]
    pub reasoning: Reasoning,
    /// What is played of the trace.
    #[serde(default)]
    pub selection: Selection,
}

/// Which reasoning of earlier answers later prompts hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reasoning {
    /// None.
    Drop,
    /// All.
    #[default]
    Keep,
    /// That of answers since the user's last message, between which only tools ran.
    InToolTurns,
}

/// The field that limits the tokens of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensField {
    /// The newest name of the endpoint that no given field excludes.
    #[default]
    Auto,
    /// `max_tokens`.
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
    /// Both.
    Both,
    /// No limit.
    None,
}

/// How prompts are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PromptMode {
    /// As text.
    Text,
    /// As token ids: exact lengths with any tokenizer. Completions only.
    TokenIds,
}

/// Whose answers later prompts hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum History {
    /// The server's answers.
    Live,
    /// Recorded answers, or text of the recorded length: every run sends the same prompts.
    Recorded,
}

/// How prompts are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Encoding {
    /// Elements of a JSON array of chat messages.
    Messages,
    /// The inside of a JSON string.
    Text,
    /// Elements of a JSON array of token ids.
    Ids,
}

impl Options {
    /// How prompts are encoded; an error if the options exclude each other.
    pub(super) fn encoding(&self) -> Result<Encoding, RequestError> {
        match (self.endpoint, self.prompt_mode, self.history) {
            (Endpoint::Chat | Endpoint::Responses | Endpoint::Messages, PromptMode::Text, _) => Ok(Encoding::Messages),
            (Endpoint::Completions, PromptMode::Text, _) => Ok(Encoding::Text),
            (Endpoint::Completions, PromptMode::TokenIds, History::Recorded) => Ok(Encoding::Ids),
            (Endpoint::Chat | Endpoint::Responses | Endpoint::Messages, PromptMode::TokenIds, _) => {
                let expected = "the completions endpoint: messages are text";
                Err(RequestError::options("prompt_mode", "token ids for an endpoint with messages", expected))
            }
            (_, PromptMode::TokenIds, History::Live) => {
                let expected = "the recorded history: live answers are text";
                Err(RequestError::options("prompt_mode", "token ids with live history", expected))
            }
        }
    }
}

/// Why a request cannot be built.
#[derive(Debug, Error)]
pub enum RequestError {
    /// Options that exclude each other, or are invalid.
    #[error("{0}")]
    Options(Box<Diagnostic>),
    /// The history of the session's next request is not available: the session fails.
    #[error("session {session}, turn {turn}: {what}")]
    History {
        /// Key of the session.
        session: String,
        /// Turn of the request, from 0.
        turn: usize,
        /// What is missing.
        what: String,
    },
    /// No later prompt can hold the answer: there is nothing in it.
    #[error("session {session}, turn {turn}: {what}")]
    EmptyAnswer {
        /// Key of the session.
        session: String,
        /// Turn of the answer, from 0.
        turn: usize,
        /// What came, and what was expected.
        what: String,
    },
    /// A kept transcript cannot be written or read.
    #[error("{}: {source}", path.display())]
    Store {
        /// Its file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
}

impl RequestError {
    /// The error of an answer without content; `tokens` is its length as the server counted it.
    pub(super) fn empty_answer(session: &str, turn: usize, tokens: Option<u64>) -> Self {
        let counted = tokens.map_or(String::new(), |tokens| format!(" ({} counted)", counted(tokens, "output token")));
        let what = format!(
            "found an answer without text and tool calls{counted}, expected some to send back in the next prompt \
             (--history recorded sends none back)"
        );
        Self::EmptyAnswer { session: session.to_owned(), turn, what }
    }

    /// The error of an option that others exclude.
    pub(crate) fn options(option: &'static str, found: impl Into<String>, expected: &str) -> Self {
        Self::Options(Box::new(Diagnostic::unnamed(found, expected).with_field(option)))
    }
}

/// A request, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The JSON body.
    pub body: Vec<u8>,
    /// Turn of the request in its session, from 0.
    pub turn: usize,
    /// Tokens of the prompt; live answers count as the server counted them. For recorded conversations an estimate.
    pub context_tokens: u64,
    /// Tokens of the prompt that no earlier request of the session had.
    pub input_tokens: u64,
    /// Planned tokens of the answer.
    pub output_tokens: u64,
    /// Whether the response is a stream of events.
    pub stream: bool,
}
