//! Totals of a trace before it is replayed.

use std::path::Path;

use agentgen_engine::timeline::TimedSession as _;
use agentgen_trace::diagnostic::Diagnostic;
use agentgen_trace::manifest::FileEntry;
use agentgen_trace::session::{self, TraceTiming};
use agentgen_trace::sink::file::digest;
use agentgen_trace::transcript::{self, flat};
use agentgen_trace::{Cancel, Result};
use serde::Serialize;

use super::source::open_block_hash;

/// Kinds of traces that can be replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A block-hash trace: lengths and hash ids, for which the replay generates text.
    #[serde(rename = "hashed")]
    BlockHash,
    /// Recorded conversations with text; tokens are estimates.
    Messages,
}

/// What a replay of a trace will send.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Description {
    /// Kind of the trace.
    pub kind: Kind,
    /// Its files in order, with digests.
    pub files: Vec<FileEntry>,
    /// What times its requests.
    pub clock: TraceTiming,
    /// Sessions.
    pub sessions: u64,
    /// Restart sessions whose parent the trace holds.
    pub continuations: u64,
    /// Whether any session is a restart session, its parent in the trace or not.
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
    /// The longest sum of a session's delays, ms.
    pub longest_session_ms: f64,
    /// Arrival of the last session, ms since the start of the trace.
    pub last_arrival_ms: f64,
    /// Block size of the trace, tokens; `None` for recorded conversations.
    pub block_tokens: Option<u32>,
}

impl Description {
    fn new<'a>(
        kind: Kind,
        files: impl IntoIterator<Item = &'a Path>,
        clock: TraceTiming,
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

/// Reads a whole trace and totals what a replay will send.
pub fn describe(path: &Path, trace_block_size: Option<u32>, cancel: &Cancel) -> Result<Description> {
    let description = if transcript::is_messages(path)? {
        of_messages(path, &transcript::describe(flat::read(path, cancel))?)?
    } else {
        of_block_hash(path, trace_block_size, cancel)?
    };
    if description.requests == 0 {
        return Err(Diagnostic::new("empty", "no requests", "at least one request").in_file(path).into());
    }
    Ok(description)
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
        ..Description::new(Kind::Messages, [path], TraceTiming::Closed, None)?
    })
}

fn of_block_hash(path: &Path, trace_block_size: Option<u32>, cancel: &Cancel) -> Result<Description> {
    let (source, clock, sessions) = open_block_hash(path, trace_block_size, session::open, cancel)?;
    let files = source.files.iter().map(|file| file.path.as_path());
    let mut totals = Description::new(Kind::BlockHash, files, clock, Some(source.meta.block_size))?;
    for session in sessions {
        let session = session?;
        totals.sessions += 1;
        totals.continuations += u64::from(session.parent().is_some());
        totals.is_linked |= session.link.is_restart();
        totals.last_arrival_ms = totals.last_arrival_ms.max(session.arrival_ms());
        let mut delays_ms = 0.0;
        for turn in &session.turns {
            let (context, output) = (u64::from(turn.context_tokens), u64::from(turn.output_tokens));
            totals.requests += 1;
            totals.context_tokens += context;
            totals.input_tokens += u64::from(turn.input_tokens);
            totals.output_tokens += output;
            totals.max_context_tokens = totals.max_context_tokens.max(context);
            totals.max_request_tokens = totals.max_request_tokens.max(context + output);
            delays_ms += turn.delay_ms.unwrap_or(0.0);
        }
        totals.longest_session_ms = totals.longest_session_ms.max(delays_ms);
    }
    Ok(totals)
}
