//! Totals of a trace before it is replayed.

use std::path::Path;

use agentgen_engine::timeline::{Begin, TimedSession as _};
use agentgen_trace::diagnostic::Diagnostic;
use agentgen_trace::manifest::FileEntry;
use agentgen_trace::session::{self, Link, TraceTiming};
use agentgen_trace::sink::file::digest;
use agentgen_trace::totals::{RequestSize, Totals};
use agentgen_trace::transcript::{self, flat};
use agentgen_trace::{Cancel, Result};
use serde::Serialize;

use super::selection::{LeftOut, Selection, Selector};
use super::source::open_block_hash;

/// Kinds of traces that can be replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A block-hash trace: lengths and hash ids, for which the replay generates text.
    #[serde(rename = "block-hash")]
    BlockHash,
    /// Recorded conversations with text; tokens are estimates.
    Messages,
}

/// The requests that a replay of a trace will send.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Description {
    /// Kind of the trace.
    pub kind: Kind,
    /// Its files in order, with digests.
    pub files: Vec<FileEntry>,
    /// How its requests are timed.
    pub clock: TraceTiming,
    /// Totals of its requests.
    #[serde(flatten)]
    pub totals: Totals,
    /// Restart sessions whose parent the trace holds.
    pub continuations: u64,
    /// Whether any session is linked to another, in the trace or not.
    pub is_linked: bool,
    /// Time of the trace from which played times count, ms.
    pub origin_ms: f64,
    /// Arrival of the last session, ms since then.
    pub last_arrival_ms: f64,
    /// Sessions of an open loop that state no arrival: they start at once.
    pub sessions_without_time: u64,
    /// What is left out.
    pub left_out: LeftOut,
    /// Block size of the trace, tokens; `None` for recorded conversations.
    pub block_tokens: Option<u32>,
}

/// Reads a whole trace and totals what a replay will send.
pub fn describe(
    path: &Path,
    trace_block_size: Option<u32>,
    selection: Selection,
    cancel: &Cancel,
) -> Result<Description> {
    let selector = Selector::new(selection);
    let description = if transcript::is_messages(path)? {
        of_messages(path, selector, cancel)?
    } else {
        of_block_hash(path, trace_block_size, selector, cancel)?
    };
    if description.totals.requests == 0 && description.left_out == LeftOut::default() {
        return Err(Diagnostic::new("empty", "no requests", "at least one request").in_file(path).into());
    }
    Ok(description)
}

fn of_messages(path: &Path, mut selector: Selector, cancel: &Cancel) -> Result<Description> {
    let played = flat::read(path, cancel).filter_map(|transcript| match transcript {
        Ok(mut transcript) => selector.take_transcript(&mut transcript).then_some(Ok(transcript)),
        error => Some(error),
    });
    let totals = transcript::describe(played)?;
    Ok(Description {
        kind: Kind::Messages,
        files: vec![digest(path)?],
        clock: TraceTiming::Closed,
        totals,
        continuations: 0,
        is_linked: false,
        origin_ms: 0.0,
        last_arrival_ms: 0.0,
        sessions_without_time: 0,
        left_out: selector.left_out,
        block_tokens: None,
    })
}

fn of_block_hash(
    path: &Path,
    trace_block_size: Option<u32>,
    mut selector: Selector,
    cancel: &Cancel,
) -> Result<Description> {
    let (source, clock, sessions) = open_block_hash(path, trace_block_size, session::open, cancel)?;
    let mut description = Description {
        kind: Kind::BlockHash,
        files: source.files.iter().map(|file| digest(&file.path)).collect::<Result<_>>()?,
        clock,
        totals: Totals::default(),
        continuations: 0,
        is_linked: false,
        origin_ms: 0.0,
        last_arrival_ms: 0.0,
        sessions_without_time: 0,
        left_out: LeftOut::default(),
        block_tokens: Some(source.meta.block_size),
    };
    for session in sessions {
        let mut session = session?;
        if !selector.take(&mut session) {
            continue;
        }
        description.continuations += u64::from(session.parent().is_some());
        description.is_linked |= session.link != Link::Root;
        if session.begin() == Begin::Slot {
            let arrival_ms = session.arrival_ms() - selector.origin_ms();
            description.last_arrival_ms = description.last_arrival_ms.max(arrival_ms);
            let is_untimed = clock != TraceTiming::Closed && session.turns[0].timestamp_ms.is_none();
            description.sessions_without_time += u64::from(is_untimed);
        }
        description.totals.add_session(session.turns.iter().map(|turn| RequestSize {
            context_tokens: turn.context_tokens.into(),
            input_tokens: turn.input_tokens.into(),
            output_tokens: turn.output_tokens.into(),
            delay_ms: turn.delay_ms.unwrap_or(0.0),
        }));
    }
    (description.origin_ms, description.left_out) = (selector.origin_ms(), selector.left_out);
    Ok(description)
}
