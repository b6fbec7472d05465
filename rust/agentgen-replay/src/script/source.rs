//! The sessions of a worker, in the order in which they start.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use agentgen_analysis::conversations::{self, Clock, Conversation, Sessions};
use agentgen_core::timeline::TimedSession as _;
use agentgen_trace::source::{self, ReadOptions};
use agentgen_trace::{Cancel, Result, TraceError};
use serde::Serialize;

use super::body::Fields;
use super::hashed::{HashedSession, Stage};
use super::journal::Journal;
use super::words::Words;
use super::{Options, ScriptError};

/// Which of the sessions.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    /// 0-based.
    pub worker: u64,
    /// How many workers there are.
    pub workers: u64,
}

/// A session that others may continue.
#[derive(Debug)]
struct Root {
    /// The number of the session that its line began with: all of the line is one worker's.
    number: u64,
    owners: Vec<(u64, u64)>,
}

/// The sessions of a trace, as a worker replays them. In memory: those that may be continued, a few numbers of each.
pub struct Source {
    sessions: Sessions<'static>,
    share: Share,
    stage: Arc<Stage>,
    roots: HashMap<u64, Root>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("share", &self.share).finish_non_exhaustive()
    }
}

/// Opens a trace for parsing by one thread.
fn open(path: &Path, trace_block_size: Option<u32>) -> Result<(source::Source, Clock, Sessions<'static>)> {
    let stated = ReadOptions { layout: None, block_size: trace_block_size };
    let source = source::resolve(&[path.to_owned()], stated)?;
    let (clock, sessions) = conversations::open(&source, 1, &Cancel::default())?;
    Ok((source, clock, sessions))
}

/// The sessions of a trace in the order in which they start.
pub(crate) fn sessions(path: &Path, trace_block_size: Option<u32>) -> Result<Sessions<'static>> {
    open(path, trace_block_size).map(|(_, _, sessions)| sessions)
}

fn bad(error: &ScriptError) -> TraceError {
    TraceError::Format(error.to_string())
}

impl Source {
    /// Opens a trace.
    pub fn open(path: &Path, options: Options, share: Share) -> Result<Self> {
        let form = options.form().map_err(|error| bad(&error))?;
        let fields = Fields::new(&options).map_err(|error| bad(&error))?;
        let words = Words::new(options.words, &options.salt).map_err(|error| bad(&error))?;
        let (source, _, sessions) = open(path, options.trace_block_size)?;
        let stage = Stage {
            words,
            fields,
            form,
            history: options.history,
            journal: options.journal.map(|directory| Journal::new(&directory)),
            id_tokens: source.meta.block_size,
            continues_once: source.meta.origin.is_some(),
        };
        Ok(Self { sessions, share, stage: Arc::new(stage), roots: HashMap::new() })
    }

    /// The next session of this worker.
    pub fn next_session(&mut self) -> Result<Option<HashedSession>> {
        while let Some(conversation) = self.sessions.next().transpose()? {
            if let Some(session) = self.take(conversation) {
                return Ok(Some(session));
            }
        }
        Ok(None)
    }

    /// A session, if it is this worker's.
    fn take(&mut self, conversation: Conversation) -> Option<HashedSession> {
        let number = conversation.number;
        let key = conversation.name.clone().unwrap_or_else(|| format!("request-{number}"));
        // A parent that starts later cannot be waited for: its heir's rows are then all that is known.
        let parent = conversation.parent().filter(|parent| self.roots.contains_key(parent));
        let mut owners = vec![(number, self.stage.words.owner(&key))];
        let mut root = number;
        if let Some(known) = parent.and_then(|parent| self.roots.get(&parent)) {
            owners.extend(&known.owners);
            root = known.number;
        }
        if let Some(parent) = parent.filter(|_| self.stage.continues_once) {
            self.roots.remove(&parent);
        }
        if conversation.may_be_continued && self.stage.journal.is_some() {
            self.roots.insert(number, Root { number: root, owners: owners.clone() });
        }
        let is_mine = root % self.share.workers == self.share.worker;
        is_mine.then(|| HashedSession::new(self.stage.clone(), conversation, key, parent, owners))
    }
}

/// What a replay of a trace will be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Description {
    /// How its requests are timed.
    pub clock: Clock,
    /// Sessions.
    pub sessions: u64,
    /// Sessions that go on from another's transcript.
    pub continuations: u64,
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
    /// Tokens a hash id stands for.
    pub block_tokens: u32,
}

/// Reads a trace through to tell what a replay will be.
pub fn describe(path: &Path, trace_block_size: Option<u32>) -> Result<Description> {
    let (source, clock, sessions) = open(path, trace_block_size)?;
    let mut told = Description {
        clock,
        sessions: 0,
        continuations: 0,
        requests: 0,
        context_tokens: 0,
        input_tokens: 0,
        output_tokens: 0,
        max_context_tokens: 0,
        max_request_tokens: 0,
        longest_session_ms: 0.0,
        last_arrival_ms: 0.0,
        block_tokens: source.meta.block_size,
    };
    for conversation in sessions {
        let conversation = conversation?;
        told.sessions += 1;
        told.continuations += u64::from(conversation.parent().is_some());
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
