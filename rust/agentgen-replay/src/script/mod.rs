//! What a session sends: prompts, histories, bodies.
//!
//! `words` (the text of a token) → `transcript` (a conversation as it goes over the wire, encoded once) → `body` (the
//! request around it) → `hashed` (a session of a trace whose content is known by hash ids); or `messages` (a recorded
//! conversation in text) → `session` (either) → `source` (the sessions of a worker, in the order in which they start).
//! `journal` keeps transcripts for those who continue them.

mod body;
mod describe;
mod hashed;
mod journal;
pub mod messages;
mod session;
mod source;
mod transcript;
mod words;

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;

pub use body::Fields;
pub use describe::{Description, Kind, describe};
pub use session::ReplaySession;
pub(crate) use source::open_hashed;
pub use source::{Share, Source};
pub use transcript::Form;

/// How a trace is replayed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Which of the two APIs.
    pub endpoint: Endpoint,
    /// How prompts of completions are sent.
    pub prompt_mode: PromptMode,
    /// Whose answers go into the next prompt.
    pub history: History,
    /// What tells this run's prompts from those of other runs.
    pub salt: String,
    /// Words of one token each; common English words if `None`.
    pub words: Option<Vec<String>>,
    /// The model's name on the wire.
    pub model: String,
    /// Whether answers are streamed.
    pub stream: bool,
    /// Merged into every body.
    pub request: Map<String, Value>,
    /// Whether any session says that it continues another; if not, nothing is kept of sessions that are over.
    pub is_linked: bool,
    /// Where transcripts of sessions that will be continued are kept; `None` where no session continues another.
    pub journal: Option<PathBuf>,
    /// The trace's block size, if it is to be stated.
    pub trace_block_size: Option<u32>,
}

/// Which of the two APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Endpoint {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/completions`.
    Completions,
}

/// How prompts of completions are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PromptMode {
    /// Words.
    Text,
    /// Numbers: exact whatever the tokenizer.
    TokenIds,
}

/// Whose answers go into the next prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum History {
    /// The server's.
    Live,
    /// Recorded answers, or text of the recorded length: the same prompts in every run.
    Recorded,
}

impl Options {
    /// How conversations are encoded; an error if what is asked for cannot be together.
    pub fn form(&self) -> Result<Form, ScriptError> {
        match (self.endpoint, self.prompt_mode, self.history) {
            (Endpoint::Chat, PromptMode::Text, _) => Ok(Form::Messages),
            (Endpoint::Completions, PromptMode::Text, _) => Ok(Form::Text),
            (Endpoint::Completions, PromptMode::TokenIds, History::Recorded) => Ok(Form::Ids),
            (Endpoint::Chat, PromptMode::TokenIds, _) => Err(ScriptError::Options(
                "prompts of token ids: chat messages are text; use the completions endpoint".to_owned(),
            )),
            (_, PromptMode::TokenIds, History::Live) => Err(ScriptError::Options(
                "prompts of token ids with live history: answers are text; use the recorded history".to_owned(),
            )),
        }
    }
}

/// Why a session cannot be replayed, or go on.
#[derive(Debug, Error)]
pub enum ScriptError {
    /// Settings that exclude one another.
    #[error("{0}")]
    Options(String),
    /// The history that the next request needs is not there: this session fails.
    #[error("session {session}, turn {turn}: {what}")]
    History {
        /// Its key.
        session: String,
        /// 0-based.
        turn: usize,
        /// What is missing.
        what: String,
    },
    /// The journal cannot be written or read.
    #[error("{}: {source}", path.display())]
    Journal {
        /// File.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// A request, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// JSON.
    pub body: Vec<u8>,
    /// 0-based.
    pub turn: usize,
    /// Tokens of the prompt, as far as they are known: answers count as the server counted them. Of messages they are
    /// estimates.
    pub context_tokens: u64,
    /// Those that no request of the session had before.
    pub input_tokens: u64,
    /// Output tokens asked for, or recorded.
    pub output_tokens: u64,
    /// Whether it asks for a stream of events.
    pub stream: bool,
}
