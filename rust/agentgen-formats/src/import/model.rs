//! A recorded session as a list of model calls, whatever format it comes from.
//!
//! Readers of all formats build [`RecordedSession`]s and state only what the source says; what is missing stays `None`.
//! Estimates, links, block ids and new names are made afterwards, in one place each. No text is kept: content is a hash
//! and a length.

use std::collections::BTreeMap;
use std::fmt;

use xxhash_rust::xxh3::Xxh3;

/// A session of one agent: the calls that share a growing history, in the order in which they were sent.
#[derive(Debug, Clone)]
pub struct RecordedSession {
    /// Name of the session in its source, unique among all sessions of an import.
    pub key: String,
    /// The program that recorded it.
    pub client: Client,
    /// What sessions of one project have in common: its path or remote. Sessions without are on their own.
    pub project: Option<String>,
    /// The agent that sent the calls.
    pub agent: Agent,
    /// An earlier session whose history this one begins with (resumed, forked), if the source says so.
    pub continues: Option<String>,
    /// Capacity of the model's context in tokens.
    pub context_window: Option<u64>,
    /// Recorded durations of the user's requests, ms, by [`Call::human_turn_index`]; shorter if the last ones are unknown.
    pub human_turn_ms: Vec<Option<f64>>,
    /// At least one.
    pub calls: Vec<Call>,
}

/// The program that recorded a session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Client {
    /// Name of the format, such as `claude-code`.
    pub format: String,
    /// Version of the program, as the source names it.
    pub version: Option<String>,
}

/// The agent that sent the calls of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agent {
    /// The main agent.
    Main,
    /// A sub-agent.
    Sub {
        /// Kind of agent, as the source names it.
        kind: Option<String>,
        /// [`RecordedSession::key`] of the session that started it.
        parent: String,
        /// Index of the parent's call whose answer started it; `None`: found by time.
        spawned_by: Option<usize>,
        /// Index of the parent's call that waits for its result; `None`: it runs in the background, or the source does not
        /// say.
        joined_by: Option<usize>,
    },
}

/// One model call.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// Id of the call in its source (message or response id), which repeated records share.
    pub id: Option<String>,
    /// The model, as the source names it.
    pub model: Option<String>,
    /// What caused the call.
    pub trigger: Option<Trigger>,
    /// Number of the user's request that the call works on, from 0 in its session.
    pub human_turn_index: u32,
    /// What the source says of the history before this call; `None`: it grew, or the source does not say.
    pub rewrite: Option<Rewrite>,
    /// Tokens as counted by the provider.
    pub usage: Usage,
    /// What the prompt holds.
    pub prompt: Prompt,
    /// When the last input was complete (user text, tool result), ms since the Unix epoch: the request was sent then.
    pub sent_ms: Option<f64>,
    /// Whether the source states [`Self::sent_ms`] as the time of the request; else it is the time of the latest input.
    pub sent_is_recorded: bool,
    /// When the first part of the answer came, ms since the Unix epoch.
    pub first_output_ms: Option<f64>,
    /// When the answer was complete, ms since the Unix epoch.
    pub end_ms: Option<f64>,
    /// Recorded delay before the call, from the end of the answer before it, ms, for sources that state it directly.
    pub delay_ms: Option<f64>,
    /// Length of the text, in bytes, that the prompt has after the answer before it: text of the user, results of tools. Of
    /// a first call: what the source has of the prompt.
    pub input_bytes: Option<u64>,
    /// Length of the answer's text in bytes, reasoning and arguments of tool calls included.
    pub output_bytes: Option<u64>,
    /// Tools that the answer called.
    pub tools: Vec<ToolUse>,
}

/// What caused a model call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// New text of the user.
    Human,
    /// Results of tools.
    Tool,
    /// The agent compacts its history.
    Compaction,
    /// A notification: a background task has ended.
    Notification,
}

/// Why a prompt does not extend the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewrite {
    /// Compaction that the user asked for.
    ManualCompaction,
    /// Compaction by the agent, near the limit of the context.
    AutoCompaction,
    /// The user began anew.
    Clear,
    /// The user went back to an earlier point.
    Rollback,
}

/// Tokens of a call, as the provider counted them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The whole prompt: cached, written to the cache, and the rest.
    pub prompt_tokens: Option<u64>,
    /// Prompt tokens that came from the cache.
    pub cached_tokens: Option<u64>,
    /// Prompt tokens that were written to the cache.
    pub cache_written_tokens: Option<u64>,
    /// The whole output, reasoning included.
    pub output_tokens: Option<u64>,
    /// Output tokens of reasoning.
    pub reasoning_tokens: Option<u64>,
}

/// What a source tells of a prompt's content.
#[derive(Debug, Clone, Default)]
pub enum Prompt {
    /// Nothing but counts: what prompts share follows from the counts.
    #[default]
    Counted,
    /// The block ids of the whole prompt. Only equal ids of one scope are the same content.
    Blocks {
        /// Ids mean the same in all sessions with this scope; `None`: in this session only.
        scope: Option<String>,
        /// Tokens of a block.
        block_tokens: u32,
        /// One for each block, in order; the last may be partial, or be missing if the source has full blocks only.
        ids: Vec<u64>,
    },
    /// The whole prompt as parts in order (tools, system prompt, messages).
    Parts(Vec<Part>),
    /// The prompt of the call before it in its session, then these parts, which include what it returns of the answer. Long
    /// sessions take memory for each part once, not once a call. Of a
    /// first call: the whole prompt.
    Appended(Vec<Part>),
}

/// A part of a prompt: a message, the system prompt, the tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Hash of role and content.
    pub hash: u128,
    /// Length of its text in bytes. A source that counts the tokens of each part gives tokens; then
    /// [`Usage::prompt_tokens`] is their sum.
    pub bytes: u64,
}

/// A tool call that an answer made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ToolUse {
    /// Name of the tool.
    pub name: String,
    /// From the answer to the result, ms. Includes the time in which a person was asked.
    pub wall_ms: Option<f64>,
    /// Duration that the tool itself reported, ms.
    pub internal_ms: Option<f64>,
    /// Whether the tool failed.
    pub is_error: Option<bool>,
    /// Whether the result is a person's answer (a question, the approval of a plan): the wait is human time.
    pub asks_person: bool,
}

/// A sub-agent as the log of the session that started it tells of it; [`Agent::Sub`] gets it when all files are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spawn {
    /// [`RecordedSession::key`] of the sub-agent; or what the keys of several begin with, before a slash. `None`: it is
    /// known by the tool call alone.
    pub agent: Option<String>,
    /// Id of the tool call that started it.
    pub tool_call: Option<String>,
    /// [`RecordedSession::key`] of the session that started it.
    pub parent: String,
    /// Kind of agent.
    pub kind: Option<String>,
    /// Index of the parent's call whose answer started it.
    pub spawned_by: usize,
    /// Index of the parent's call that has its result; `None`: none has.
    pub joined_by: Option<usize>,
}

/// What readers of a file found, beside its sessions.
#[derive(Debug, Default)]
pub struct Recording {
    /// The sessions, in the order of the source.
    pub sessions: Vec<RecordedSession>,
    /// Sub-agents that these sessions started. Sessions of sub-agents may be in other files.
    pub spawns: Vec<Spawn>,
    /// The ids of the tool calls that started sub-agents, by the keys of these, where the source says so.
    pub started_by: BTreeMap<String, String>,
    /// Lines, rows or files that could not be used.
    pub problems: Vec<Problem>,
    /// What was left out on purpose, counted by reason (repeated rows, copied history, messages of the client itself).
    pub left_out: BTreeMap<&'static str, u64>,
}

/// A part of a source that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: std::path::PathBuf,
    /// The line, from 1; `None` for the whole file.
    pub line: Option<u64>,
    /// What is wrong with it. Holds no text of the source.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl RecordedSession {
    /// A session of the main agent that nothing else is known of.
    #[must_use]
    pub fn new(key: String, format: &str, calls: Vec<Call>) -> Self {
        Self {
            key,
            client: Client { format: format.to_owned(), version: None },
            project: None,
            agent: Agent::Main,
            continues: None,
            context_window: None,
            human_turn_ms: Vec::new(),
            calls,
        }
    }
}

impl Recording {
    /// Adds `count` to what was left out for a reason.
    pub fn leave_out(&mut self, reason: &'static str, count: u64) {
        if count > 0 {
            *self.left_out.entry(reason).or_default() += count;
        }
    }

    /// Adds what another file holds.
    pub fn append(&mut self, mut other: Self) {
        self.sessions.append(&mut other.sessions);
        self.spawns.append(&mut other.spawns);
        self.started_by.append(&mut other.started_by);
        self.problems.append(&mut other.problems);
        for (reason, count) in other.left_out {
            self.leave_out(reason, count);
        }
    }
}

impl Part {
    /// A part with a role and text.
    #[must_use]
    pub fn new(role: &str, text: &str) -> Self {
        let mut hasher = Xxh3::new();
        hasher.update(role.as_bytes());
        hasher.update(&[0]);
        hasher.update(text.as_bytes());
        Self { hash: hasher.digest128(), bytes: text.len() as u64 }
    }
}

impl Usage {
    /// Whether the provider counted prompt and output.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.prompt_tokens.is_some() && self.output_tokens.is_some()
    }
}
