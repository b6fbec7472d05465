//! Cached tokens that an infinite prefix cache would find: the reference for those that a server reports.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use agentgen_engine::kv::{Prompt, RadixTree, TokenSeq};
use agentgen_engine::timeline::TimedSession as _;
use agentgen_trace::session::{self, Session};
use agentgen_trace::{Cancel, Result};

use crate::request::{History, open_block_hash, returned_of};

/// Numbers of sessions have fewer bits.
const MOVED: u32 = 40;

/// A request as it was sent, with its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Number of its session.
    pub session: u64,
    /// 0-based.
    pub turn: u32,
    /// Index of the server, each of which has its own cache.
    pub server: u32,
    /// When it was sent, ns of a clock that all requests share.
    pub sent_ns: u64,
    /// When its answer was complete, ns; `None` if it failed.
    pub ended_ns: Option<u64>,
    /// Tokens of the answer, as the server counted them.
    pub output_tokens: u64,
}

/// How prompts were built, and the block size of the cache.
#[derive(Debug, Clone, Copy)]
pub struct Cached {
    /// Whose answers later prompts hold.
    pub history: History,
    /// Block size of the cache, tokens.
    pub block_tokens: u32,
    /// Block size of the trace, tokens; `None` to infer it.
    pub trace_block_size: Option<u32>,
}

/// Predicts, for each request, how many tokens of its prompt are in the prompts of requests that its server had completed
/// before it was sent (with live history also in their outputs), in whole blocks. `None` if a request's history is
/// unknown.
pub fn predict(trace: &Path, cached: Cached, requests: &[Sent], cancel: &Cancel) -> Result<Vec<Option<u64>>> {
    let replayed: HashSet<u64> = requests.iter().map(|request| request.session).collect();
    let mut active = HashMap::new();
    let (_, _, sessions) = open_block_hash(trace, cached.trace_block_size, session::open, cancel)?;
    for session in sessions {
        let session = session?;
        if replayed.contains(&session.number) {
            let stream = TokenSeq::new(session.stream(0).id_tokens());
            active.insert(session.number, ActiveSession { session, stream, context_tokens: 0 });
        }
    }
    // At the same time, ends come before sends: a completed prompt is cached for a request sent then.
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
        let Some(mut current) = active.remove(&request.session) else { continue };
        let new = || RadixTree::<()>::new(current.stream.id_tokens(), cached.block_tokens);
        let tree = trees.entry(request.server).or_insert_with(new);
        if is_sent {
            found[index] = current.send(request.turn as usize, &active).map(|prompt_tokens| {
                let prompt = Prompt::new(&current.stream, prompt_tokens, None, cached.block_tokens);
                let blocks = tree.find(prompt.stream, prompt.reusable_blocks).blocks;
                u64::from(blocks) * u64::from(cached.block_tokens)
            });
        } else if found[index].is_some() {
            let output = current.answer(request, cached.history);
            let prompt = Prompt::new(&current.stream, current.context_tokens, output, cached.block_tokens);
            let known = tree.find(prompt.stream, prompt.kept_blocks);
            tree.grow(known, prompt.stream, prompt.kept_blocks, (), true);
        }
        active.insert(request.session, current);
    }
    Ok(found)
}

/// A session while it is replayed.
#[derive(Debug)]
struct ActiveSession {
    session: Session,
    /// The tokens of its prompts and answers as sent.
    stream: TokenSeq,
    /// Tokens of the last prompt.
    context_tokens: u32,
}

impl ActiveSession {
    /// Moves to a turn's prompt and returns its tokens; `None` if its history is unknown.
    fn send(&mut self, turn: usize, active: &HashMap<u64, Self>) -> Option<u32> {
        let Self { session, stream, context_tokens } = self;
        let known = if session.extends_previous(turn) {
            let last = session.turns.get(turn - 1)?;
            u64::from(last.context_tokens) + u64::from(last.output_tokens)
        } else if let Some(returned) = session.returned_tokens(turn) {
            let last = session.turns.get(turn - 1)?;
            let answer_tokens = stream.tokens() - u64::from(*context_tokens);
            stream.truncate(u64::from(*context_tokens));
            // The tail of the answer after other tokens than in the cache is other content.
            let moved = session.number | (turn as u64) << MOVED;
            stream.push_own(moved, returned_of(answer_tokens, last.output_tokens, returned));
            u64::from(last.context_tokens) + u64::from(returned)
        } else {
            *stream = TokenSeq::new(stream.id_tokens());
            let parent = session.parent().filter(|_| turn == 0).and_then(|parent| active.get(&parent));
            parent.map_or(0, |parent| {
                stream.append(&parent.stream, 0);
                let last = parent.session.turns.last();
                last.map_or(0, |last| u64::from(last.context_tokens) + u64::from(last.output_tokens))
            })
        };
        let planned = u64::from(session.turns.get(turn)?.context_tokens);
        // The first prompt of a restart session may be truncated to the longest prompt.
        let until = (stream.tokens() + planned).saturating_sub(known);
        if planned > known {
            stream.append(session.stream(turn), known);
        }
        stream.truncate(until);
        *context_tokens = u32::try_from(until).ok()?;
        Some(*context_tokens)
    }

    /// Appends an answer; returns its tokens if they stay in the cache.
    fn answer(&mut self, request: Sent, history: History) -> Option<u32> {
        let Self { session, stream, .. } = self;
        if history == History::Live {
            stream.push_own(session.number, request.output_tokens);
            return u32::try_from(request.output_tokens).ok();
        }
        let turn = session.turns[request.turn as usize];
        let until = stream.tokens() + u64::from(turn.output_tokens);
        stream.append(session.stream(request.turn as usize), u64::from(turn.context_tokens));
        stream.truncate(until);
        None
    }
}
