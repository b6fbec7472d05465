//! Sessions of a trace request by request: the layers of each prompt and their cached tokens, on the reference
//! timeline.
//!
//! The number of turns is bounded: every n-th root session of the file is kept, with its restart sessions. `n` doubles
//! when there are too many turns.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use agentgen_trace::Result;
use agentgen_trace::meta::TraceMeta;
use agentgen_trace::schema::Column;
use arrow_array::cast::AsArray as _;
use arrow_array::types::UInt32Type;
use arrow_array::{Array as _, RecordBatch};
use serde::Serialize;

use crate::reuse::{LAYERS, Seen, SharedLayers, layers_of};
use agentgen_trace::session::{Link, Session, sessions};

/// Layers of a prompt, plus one for the new tokens of a turn after the first.
const PARTS: usize = LAYERS.len() + 1;

/// Some sessions of a trace.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Explored {
    /// Every n-th root session of the file is included, from the first on, with its restart sessions; this is n.
    pub every: u64,
    /// In file order.
    pub sessions: Vec<ExploredSession>,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExploredSession {
    /// Number in file order, 0-based.
    pub number: u64,
    /// Session id; null if the trace names no sessions.
    pub session_id: Option<String>,
    /// L1.5 group; null if unknown.
    pub group_id: Option<u32>,
    /// Whether it is a restart session.
    pub is_continuation: bool,
    /// Number of its parent, if the trace has it.
    pub parent: Option<u64>,
    /// Of a break: tokens of the parent's last prompt that it keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_tokens: Option<u32>,
    /// Of a sub-agent: the parent's turn that started it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_turn: Option<u32>,
    /// Of a sub-agent: the parent's turn that waits for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join_turn: Option<u32>,
    /// End reason, if the trace states it.
    pub end_reason: Option<String>,
    /// Number of turns; `turns` holds the first of them.
    pub turn_count: usize,
    /// Its first turns.
    pub turns: Vec<ExploredTurn>,
}

/// A request, as an array in JSON to keep it short.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ExploredTurn(
    /// Start on the timeline, ms.
    pub f64,
    /// End on the timeline, ms.
    pub f64,
    /// Delay before it, ms.
    pub Option<f64>,
    /// Output tokens.
    pub u32,
    /// Tokens of the prompt by layer: L1, L1.5, L2, carried, history, new.
    pub [u64; PARTS],
    /// Cached tokens by layer.
    pub [u64; PARTS],
);

impl ExploredTurn {
    fn new(shared: SharedLayers, seen: Seen<'_>) -> Self {
        let turn = seen.conversation.turns[seen.turn];
        let parts = layers_of(shared, seen.conversation, turn.context_tokens, seen.hit_tokens);
        let (mut tokens, mut hits) = ([0; PARTS], [0; PARTS]);
        for (part, (in_it, found)) in parts.into_iter().enumerate() {
            (tokens[part], hits[part]) = (in_it, found);
        }
        // The last layer holds the history followed by the new tokens.
        let last = LAYERS.len() - 1;
        if seen.turn > 0 {
            let new = u64::from(turn.input_tokens).min(tokens[last]);
            tokens[last] -= new;
            tokens[last + 1] = new;
            hits[last + 1] = hits[last].saturating_sub(tokens[last]);
            hits[last] -= hits[last + 1];
        }
        let tenth = |ms: f64| (ms * 10.0).round() / 10.0;
        Self(tenth(seen.start_ms), tenth(seen.end_ms), turn.delay_ms, turn.output_tokens, tokens, hits)
    }
}

/// Names of a session.
#[derive(Debug, Default)]
struct Named {
    session_id: Option<String>,
    group_id: Option<u32>,
}

/// Keeps some of the requests of a trace.
#[derive(Debug)]
pub(crate) struct Explorer {
    /// Maximum number of sessions read from the file.
    limit: u64,
    /// Maximum number of turns in the result; up to twice as many are held.
    turns: usize,
    held: usize,
    every: u64,
    /// Kept sessions, by number.
    sessions: BTreeMap<u64, ExploredSession>,
    /// Root session of each restart session, by number.
    roots: HashMap<u64, u64>,
    /// Names of the sessions read so far, by number.
    names: Arc<Mutex<Vec<Named>>>,
    was_cut: Arc<AtomicBool>,
}

impl Explorer {
    pub(crate) fn new(limit: u64, turns: usize) -> Self {
        Self {
            limit,
            turns,
            held: 0,
            every: 1,
            sessions: BTreeMap::new(),
            roots: HashMap::new(),
            names: Arc::default(),
            was_cut: Arc::default(),
        }
    }

    /// The first sessions of a trace; records their names.
    pub(crate) fn watched<B>(&self, meta: &TraceMeta, batches: B) -> impl Iterator<Item = Result<Session>> + use<B>
    where
        B: Iterator<Item = Result<RecordBatch>>,
    {
        let (names, was_cut, limit) = (Arc::clone(&self.names), Arc::clone(&self.was_cut), self.limit);
        let noted = batches.map(move |batch| {
            let batch = batch?;
            note(&mut names.lock().unwrap_or_else(PoisonError::into_inner), &batch, limit)?;
            Ok(batch)
        });
        let mut left = limit;
        sessions(meta, noted).take_while(move |conversation| {
            if conversation.is_ok() && left == 0 {
                was_cut.store(true, Ordering::Relaxed);
                return false;
            }
            left = left.saturating_sub(1);
            true
        })
    }

    /// Whether the trace has more sessions than the limit.
    pub(crate) fn was_cut(&self) -> bool {
        self.was_cut.load(Ordering::Relaxed)
    }

    /// Processes a request.
    pub(crate) fn request(&mut self, shared: SharedLayers, seen: Seen<'_>) {
        let Session { number, link, ref end, .. } = *seen.conversation;
        let root = match link.parent() {
            None => number,
            Some(parent) if seen.turn == 0 => {
                let root = self.roots.get(&parent).copied().unwrap_or(parent);
                self.roots.insert(number, root);
                root
            }
            Some(_) => self.roots.get(&number).copied().unwrap_or(number),
        };
        if !root.is_multiple_of(self.every) {
            return;
        }
        let (mut kept_tokens, mut parent_turn, mut join_turn) = (None, None, None);
        match link {
            Link::Root | Link::Restart { .. } => {}
            Link::Break { kept_tokens: kept, .. } => kept_tokens = Some(kept),
            Link::SubAgent { parent_turn: turn, join_turn: join, .. } => (parent_turn, join_turn) = (Some(turn), join),
        }
        let session = self.sessions.entry(number).or_insert_with(|| ExploredSession {
            number,
            session_id: None,
            group_id: None,
            is_continuation: link.is_restart(),
            parent: link.parent(),
            kept_tokens,
            parent_turn,
            join_turn,
            end_reason: end.as_ref().map(|end| end.name().to_owned()),
            turn_count: seen.conversation.turns.len(),
            turns: Vec::new(),
        });
        // A single root session and its restart sessions may exceed the limit.
        if self.held < 2 * self.turns {
            session.turns.push(ExploredTurn::new(shared, seen));
            self.held += 1;
        }
        while self.held >= 2 * self.turns && self.thin() {}
    }

    /// Keeps every second root session with its restart sessions; false if only one is left.
    fn thin(&mut self) -> bool {
        let root_of = |number: &u64| *self.roots.get(number).unwrap_or(number);
        if self.sessions.keys().all(|number| root_of(number) == 0) {
            return false;
        }
        self.every *= 2;
        let every = self.every;
        self.sessions.retain(|number, _| root_of(number).is_multiple_of(every));
        self.held = self.sessions.values().map(|session| session.turns.len()).sum();
        true
    }

    pub(crate) fn finish(mut self) -> Explored {
        while self.held > self.turns && self.thin() {}
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sessions: Vec<ExploredSession> = self.sessions.into_values().collect();
        for session in &mut sessions {
            if let Some(named) = names.get_mut(session.number as usize) {
                session.session_id = named.session_id.take();
                session.group_id = named.group_id;
            }
        }
        Explored { every: self.every, sessions }
    }
}

/// Records the names of the sessions that start in a batch.
fn note(names: &mut Vec<Named>, batch: &RecordBatch, limit: u64) -> Result<()> {
    let sessions = Column::SessionId.required(batch)?.as_string_view();
    let turns = Column::TurnIndex.required(batch)?.as_primitive::<UInt32Type>();
    let groups = Column::GroupId.required(batch)?.as_primitive::<UInt32Type>();
    for row in 0..batch.num_rows() {
        let is_named = sessions.is_valid(row);
        if names.len() as u64 >= limit {
            break;
        }
        if !is_named || turns.value(row) == 0 {
            names.push(Named {
                session_id: is_named.then(|| sessions.value(row).to_owned()),
                group_id: groups.is_valid(row).then(|| groups.value(row)),
            });
        }
    }
    Ok(())
}
