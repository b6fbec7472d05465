//! The first sessions of a trace as input of the page's simulator, limited in size.

use std::collections::HashSet;
use std::path::Path;

use agentgen_engine::kv::{Content, TokenSeq, TokenSpan};
use agentgen_engine::timeline::{SendTime, TimedSession as _};
use agentgen_trace::{Cancel, Result};
use serde::Serialize;

use crate::analyze::{Options, located};
use crate::reuse::SharedLayers;
use agentgen_trace::session::{self, Session, TraceTiming};

/// Sessions in the order of their start, with the settings of a simulation. `docs/simulation-page.md` describes the
/// JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sample {
    /// Tokens per block of the cache.
    pub block_tokens: u32,
    /// Tokens per hash id of the trace.
    pub id_tokens: u32,
    /// Whether the KV of outputs stays in the cache.
    pub cached_outputs: bool,
    /// What determines when requests are sent.
    pub clock: TraceTiming,
    /// L1: tokens shared by all sessions; 0 if unknown.
    pub l1_tokens: u64,
    /// L1.5: tokens shared by the sessions of a group; 0 if unknown.
    pub l1_5_tokens: u64,
    /// Whether the sample has all sessions of the trace.
    pub is_whole: bool,
    /// The first sessions.
    pub sessions: Vec<SampledSession>,
}

/// Consecutive tokens: source (a hash id, or -1 minus the number of the session that produced them), offset in it,
/// count.
pub type Span = (i64, u32, u32);

/// A session.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SampledSession {
    /// Number in file order.
    pub number: u64,
    /// Number of its parent, if the sample has it.
    pub parent: Option<u64>,
    /// Whether it is a restart session.
    pub is_continuation: bool,
    /// Whether the trace names no sessions: content is known by block hash only.
    pub by_ids: bool,
    /// Arrival, ms.
    pub arrival_ms: f64,
    /// Prompt tokens, output tokens, and the delay after the end of the previous turn or the recorded time, ms.
    pub turns: Vec<(u32, u32, f64)>,
    /// Token sequences, each with the first turn that uses it.
    pub streams: Vec<(usize, Vec<Span>)>,
}

impl SampledSession {
    fn new(session: &Session) -> Self {
        let turn = |index: usize| {
            let turn = session.turns[index];
            let ms = match session.turn(index).map(|timed| timed.send) {
                Some(SendTime::After(ms) | SendTime::At(ms)) => ms,
                None => 0.0,
            };
            (turn.context_tokens, turn.output_tokens, ms)
        };
        let shown = |span: TokenSpan| match span.content() {
            Content::Ids { first, offset } => (first as i64, offset, span.tokens()),
            Content::Own { session, position } => (-1 - session as i64, position, span.tokens()),
        };
        let spans = |stream: &TokenSeq| stream.spans(0, stream.tokens()).map(shown).collect();
        Self {
            number: session.number,
            parent: session.parent(),
            is_continuation: session.link.is_restart(),
            by_ids: !session.names_its_session(),
            arrival_ms: session.arrival_ms(),
            turns: (0..session.turns.len()).map(turn).collect(),
            streams: session.streams().map(|(first, stream)| (first, spans(stream))).collect(),
        }
    }

    /// Size of its JSON, bytes.
    fn bytes(&self) -> usize {
        serde_json::to_vec(self).expect("plain data can be written").len()
    }
}

/// The first sessions of a trace, as many as fit in `max_bytes` of JSON, at least one.
pub fn sample(trace: &Path, options: &Options, max_bytes: usize, cancel: &Cancel) -> Result<Sample> {
    let source = options.resolve(&trace.to_path_buf())?;
    let settings = options.settings(&source);
    let SharedLayers { layer1_tokens, layer1_5_tokens } = settings.layers;
    let (clock, mut first, is_whole) = session::open(&source, options.threads, cancel)
        .and_then(|(clock, coming)| first_fitting(coming, max_bytes).map(|(first, is_whole)| (clock, first, is_whole)))
        .map_err(|error| located(trace, error))?;
    let numbers: HashSet<u64> = first.iter().map(|session| session.number).collect();
    for session in &mut first {
        session.parent = session.parent.filter(|parent| numbers.contains(parent));
    }
    Ok(Sample {
        block_tokens: settings.block_tokens,
        id_tokens: settings.id_tokens,
        cached_outputs: settings.cached_outputs,
        clock,
        l1_tokens: layer1_tokens,
        l1_5_tokens: layer1_5_tokens,
        is_whole,
        sessions: first,
    })
}

/// The sessions that fit in `max_bytes`, and whether these are all.
fn first_fitting(
    sessions: impl Iterator<Item = Result<Session>>,
    max_bytes: usize,
) -> Result<(Vec<SampledSession>, bool)> {
    let (mut first, mut bytes) = (Vec::new(), 0);
    for session in sessions {
        let session = SampledSession::new(&session?);
        bytes += session.bytes() + ",".len();
        if bytes > max_bytes && !first.is_empty() {
            return Ok((first, false));
        }
        first.push(session);
    }
    Ok((first, true))
}
