//! What a replay of a trace will be.

use std::path::Path;

use agentgen_engine::timeline::TimedSession as _;
use agentgen_trace::manifest::FileEntry;
use agentgen_trace::session::{self, Clock};
use agentgen_trace::sink::file::digest;
use agentgen_trace::transcript::{self, flat};
use agentgen_trace::{Cancel, Result, TraceError};
use serde::Serialize;

use super::source::open_hashed;

/// What a trace holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Lengths and hash ids: the replay makes the text.
    Hashed,
    /// Conversations in text; their tokens are estimates.
    Messages,
}

/// What a replay of a trace will be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Description {
    /// What it holds.
    pub kind: Kind,
    /// Its files, in order: their digests tell traces apart.
    pub files: Vec<FileEntry>,
    /// How its requests are timed.
    pub clock: Clock,
    /// Sessions.
    pub sessions: u64,
    /// Sessions that go on from another's transcript.
    pub continuations: u64,
    /// Whether any session says that it continues another, in the trace or not.
    pub is_linked: bool,
    /// Requests.
    pub requests: u64,
    /// Tokens of all prompts.
    pub context_tokens: u64,
    /// New tokens of all prompts.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Tokens of the longest prompt.
    pub max_context_tokens: u64,
    /// Tokens of the longest prompt and its output.
    pub max_request_tokens: u64,
    /// ms of delays in the session that has most.
    pub longest_session_ms: f64,
    /// ms until the last session arrives.
    pub last_arrival_ms: f64,
    /// Tokens a hash id stands for; `None` of messages.
    pub block_tokens: Option<u32>,
}

impl Description {
    fn new<'a>(
        kind: Kind,
        files: impl IntoIterator<Item = &'a Path>,
        clock: Clock,
        block_tokens: Option<u32>,
    ) -> Result<Self> {
        Ok(Self {
            kind,
            files: files.into_iter().map(digest).collect::<Result<_>>()?,
            clock,
            sessions: 0,
            continuations: 0,
            is_linked: false,
            requests: 0,
            context_tokens: 0,
            input_tokens: 0,
            output_tokens: 0,
            max_context_tokens: 0,
            max_request_tokens: 0,
            longest_session_ms: 0.0,
            last_arrival_ms: 0.0,
            block_tokens,
        })
    }
}

/// Reads a trace through to tell what a replay will be.
pub fn describe(path: &Path, trace_block_size: Option<u32>, cancel: &Cancel) -> Result<Description> {
    let told = if transcript::is_messages(path)? {
        of_messages(path, &transcript::describe(flat::read(path, cancel))?)?
    } else {
        of_hashed(path, trace_block_size, cancel)?
    };
    if told.requests == 0 {
        return Err(TraceError::Format(format!("{}: no requests", path.display())));
    }
    Ok(told)
}

fn of_messages(path: &Path, of: &transcript::Description) -> Result<Description> {
    Ok(Description {
        sessions: of.sessions,
        requests: of.requests,
        context_tokens: of.context_tokens,
        input_tokens: of.input_tokens,
        output_tokens: of.output_tokens,
        max_context_tokens: of.max_context_tokens,
        max_request_tokens: of.max_request_tokens,
        longest_session_ms: of.longest_session_ms,
        ..Description::new(Kind::Messages, [path], Clock::Closed, None)?
    })
}

fn of_hashed(path: &Path, trace_block_size: Option<u32>, cancel: &Cancel) -> Result<Description> {
    let (source, clock, sessions) = open_hashed(path, trace_block_size, session::open, cancel)?;
    let files = source.files.iter().map(|file| file.path.as_path());
    let mut told = Description::new(Kind::Hashed, files, clock, Some(source.meta.block_size))?;
    for conversation in sessions {
        let conversation = conversation?;
        told.sessions += 1;
        told.continuations += u64::from(conversation.parent().is_some());
        told.is_linked |= conversation.link.is_restart();
        told.last_arrival_ms = told.last_arrival_ms.max(conversation.arrival_ms());
        let mut delays_ms = 0.0;
        for turn in &conversation.turns {
            let (context, output) = (u64::from(turn.context_tokens), u64::from(turn.output_tokens));
            told.requests += 1;
            told.context_tokens += context;
            told.input_tokens += u64::from(turn.input_tokens);
            told.output_tokens += output;
            told.max_context_tokens = told.max_context_tokens.max(context);
            told.max_request_tokens = told.max_request_tokens.max(context + output);
            delays_ms += turn.delay_ms.unwrap_or(0.0);
        }
        told.longest_session_ms = told.longest_session_ms.max(delays_ms);
    }
    Ok(told)
}
