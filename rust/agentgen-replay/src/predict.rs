//! What an infinite cache would have found: the cached tokens that a server can be held against.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use agentgen_engine::kv::{Prompt, RadixTree, TokenSeq};
use agentgen_engine::timeline::TimedSession as _;
use agentgen_trace::session::{self, Session};
use agentgen_trace::{Cancel, Result};

use crate::script::{History, open_hashed};

/// A request as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Number of its session.
    pub session: u64,
    /// 0-based.
    pub turn: u32,
    /// Which server it went to: each has a cache of its own.
    pub server: u32,
    /// ns of a clock that all requests share.
    pub sent_ns: u64,
    /// When its answer was complete; `None` if it failed.
    pub ended_ns: Option<u64>,
    /// Tokens of the answer, as the server counted them.
    pub output_tokens: u64,
}

/// How the prompts were made and what the cache is.
#[derive(Debug, Clone, Copy)]
pub struct Cached {
    /// Whose outputs went into the prompts.
    pub history: History,
    /// Tokens of a block of the cache.
    pub block_tokens: u32,
    /// The trace's block size, if it is to be stated.
    pub trace_block_size: Option<u32>,
}

/// For each request the tokens of its prompt that were in the prompts of requests that its server had completed before it
/// was sent, in whole blocks; with live history in their outputs too. `None` where a request's history is not known.
pub fn predict(trace: &Path, cached: Cached, requests: &[Sent], cancel: &Cancel) -> Result<Vec<Option<u64>>> {
    let replayed: HashSet<u64> = requests.iter().map(|request| request.session).collect();
    let mut lines = HashMap::new();
    let (_, _, sessions) = open_hashed(trace, cached.trace_block_size, session::open, cancel)?;
    for conversation in sessions {
        let conversation = conversation?;
        if replayed.contains(&conversation.number) {
            let stream = TokenSeq::new(conversation.stream(0).id_tokens());
            lines.insert(conversation.number, Line { conversation, stream, context_tokens: 0 });
        }
    }
    // At one time ends come first: what has ended is there for what is sent.
    let mut events: Vec<(u64, bool, usize)> = Vec::with_capacity(requests.len() * 2);
    for (index, request) in requests.iter().enumerate() {
        events.push((request.sent_ns, true, index));
        events.extend(request.ended_ns.map(|ended| (ended, false, index)));
    }
    events.sort_unstable();

    let mut trees = HashMap::new();
    let mut found = vec![None; requests.len()];
    for (_, is_sent, index) in events {
        let request = requests[index];
        let Some(mut line) = lines.remove(&request.session) else { continue };
        let new = || RadixTree::<()>::new(line.stream.id_tokens(), cached.block_tokens);
        let tree = trees.entry(request.server).or_insert_with(new);
        if is_sent {
            found[index] = line.send(request.turn as usize, &lines).map(|prompt_tokens| {
                let prompt = Prompt::new(&line.stream, prompt_tokens, None, cached.block_tokens);
                let blocks = tree.find(prompt.stream, prompt.reusable_blocks).blocks;
                u64::from(blocks) * u64::from(cached.block_tokens)
            });
        } else if found[index].is_some() {
            let output = line.answer(request, cached.history);
            let prompt = Prompt::new(&line.stream, line.context_tokens, output, cached.block_tokens);
            let known = tree.find(prompt.stream, prompt.kept_blocks);
            tree.grow(known, prompt.stream, prompt.kept_blocks, (), true);
        }
        lines.insert(request.session, line);
    }
    Ok(found)
}

/// A session while it is replayed.
#[derive(Debug)]
struct Line {
    conversation: Session,
    /// What was really said.
    stream: TokenSeq,
    /// Tokens of the last prompt.
    context_tokens: u32,
}

impl Line {
    /// Goes on to a turn's prompt and returns its length; `None` if what comes before is not known.
    fn send(&mut self, turn: usize, lines: &HashMap<u64, Self>) -> Option<u32> {
        let Self { conversation, stream, context_tokens } = self;
        let known = if conversation.extends_previous(turn) {
            let last = conversation.turns.get(turn - 1)?;
            u64::from(last.context_tokens) + u64::from(last.output_tokens)
        } else {
            *stream = TokenSeq::new(stream.id_tokens());
            let parent = conversation.parent().filter(|_| turn == 0).and_then(|parent| lines.get(&parent));
            parent.map_or(0, |parent| {
                stream.append(&parent.stream, 0);
                let last = parent.conversation.turns.last();
                last.map_or(0, |last| u64::from(last.context_tokens) + u64::from(last.output_tokens))
            })
        };
        let planned = u64::from(conversation.turns.get(turn)?.context_tokens);
        // A continuation may be cut at the longest prompt.
        let until = (stream.tokens() + planned).saturating_sub(known);
        if planned > known {
            stream.append(conversation.stream(turn), known);
        }
        stream.truncate(until);
        *context_tokens = u32::try_from(until).ok()?;
        Some(*context_tokens)
    }

    /// Takes an answer; returns its length if its KV stays.
    fn answer(&mut self, request: Sent, history: History) -> Option<u32> {
        let Self { conversation, stream, .. } = self;
        if history == History::Live {
            stream.push_own(conversation.number, request.output_tokens);
            return u32::try_from(request.output_tokens).ok();
        }
        let turn = conversation.turns[request.turn as usize];
        let until = stream.tokens() + u64::from(turn.output_tokens);
        stream.append(conversation.stream(request.turn as usize), u64::from(turn.context_tokens));
        stream.truncate(until);
        None
    }
}
