//! Counts of a recorder so far.

use std::collections::HashSet;

use agentgen_formats::import::journal::{Entry, Outcome};
use serde::Serialize;

use crate::known::Prompt;

/// Counts of a recorder so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Calls that are passing.
    pub open: u64,
    /// Calls that have ended.
    pub calls: u64,
    /// Of them, those without a complete answer.
    pub failed: u64,
    /// Of them, those whose request could not be read.
    pub unread: u64,
    /// Sessions: by the ids of clients, else prompts of one message, or that begin with another one than all before.
    pub sessions: u64,
    /// Requests that are no calls of a model.
    pub other_requests: u64,
    /// Tokens of prompts, as counted by the server.
    pub prompt_tokens: u64,
    /// Of them, those from the cache, as counted by the server.
    pub cached_tokens: u64,
    /// Tokens of outputs, as counted by the server.
    pub output_tokens: u64,
    /// Tokens of prompts, by estimate.
    pub estimated_tokens: u64,
    /// Of them, those that an infinite cache would have found.
    pub known_tokens: u64,
    /// Conversations that were written with their texts.
    pub conversations: u64,
    /// Why the journal, or the file of texts, could not be written.
    pub error: Option<String>,
}

/// Counts calls.
#[derive(Debug, Default)]
pub struct Counted {
    pub stats: Stats,
    clients: HashSet<u64>,
}

impl Counted {
    /// Counts a call; `client` is the hash of its session's id.
    pub fn add(&mut self, entry: &Entry, prompt: Option<&Prompt>, client: Option<u64>) {
        let stats = &mut self.stats;
        stats.calls += 1;
        stats.failed += u64::from(entry.outcome != Outcome::Answered);
        stats.prompt_tokens += entry.usage.prompt.unwrap_or(0);
        stats.cached_tokens += entry.usage.cached.unwrap_or(0);
        stats.output_tokens += entry.usage.output.unwrap_or(0);
        let Some(prompt) = prompt else {
            stats.unread += 1;
            return;
        };
        let begins = match client {
            Some(client) => self.clients.insert(client),
            None => prompt.length == prompt.head[1] || prompt.after.is_none_or(|after| after.1 < prompt.head[1]),
        };
        stats.sessions += u64::from(begins);
        // Of an error nothing was computed.
        if entry.outcome == Outcome::Answered {
            stats.estimated_tokens += prompt.tokens;
            stats.known_tokens += prompt.known_tokens;
        }
    }
}
