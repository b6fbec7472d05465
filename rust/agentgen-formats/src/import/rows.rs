//! The rows of an import, session by session.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use agentgen_trace::error::Result;
use agentgen_trace::row::RowLinks;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::calls::{CallRow, CallTable, canonical_trigger};
use super::content::Content;
use super::identity::Numbering;
use super::model::{Agent, RecordedSession};
use super::names::Names;
use super::table::{Row, Table};
use super::trace::Trace;
use super::tree::{Link, Session};

/// Rows of a batch of calls: a row group.
const CALL_ROWS: usize = 65_536;

/// Rows of one of the two tables.
#[derive(Debug)]
pub(crate) enum Batch {
    Rows(RecordBatch),
    Calls(RecordBatch),
}

/// What the next session of a line begins with.
#[derive(Debug, Default)]
struct LineState {
    /// Full blocks of the last prompt.
    chain: Vec<i64>,
    /// Its length.
    context: u32,
    content: Content,
    /// Calls whose prompts `content` has followed.
    read: usize,
    turns: usize,
}

/// Makes all rows.
pub(crate) struct Rows<'a> {
    trace: &'a Trace,
    names: &'a Names,
    table: Table,
    calls: CallTable,
    numbering: Numbering,
    lines: HashMap<usize, LineState>,
    /// Lines that others continue: their last blocks are kept.
    continued: HashSet<usize>,
    session_names: Vec<Arc<str>>,
    depths: Vec<u32>,
    roots: u64,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(trace: &'a Trace, names: &'a Names, schema: SchemaRef) -> Self {
        Self {
            trace,
            names,
            table: Table::new(schema),
            calls: CallTable::new(),
            numbering: Numbering::new(trace.block_tokens),
            lines: HashMap::new(),
            continued: trace.tree.continues.iter().copied().flatten().collect(),
            session_names: Vec::new(),
            depths: Vec::new(),
            roots: 0,
        }
    }

    /// Passes all batches to `emit`.
    pub(crate) fn write(mut self, emit: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()> {
        for session in &self.trace.tree.sessions {
            self.session(session, emit)?;
        }
        if !self.table.is_empty() {
            emit(Batch::Rows(self.table.finish()?))?;
        }
        if self.calls.len() > 0 {
            emit(Batch::Calls(self.calls.finish()?))?;
        }
        Ok(())
    }

    fn session(&mut self, session: &Session, emit: &mut dyn FnMut(Batch) -> Result<()>) -> Result<()> {
        let trace = self.trace;
        let recorded = &trace.recorded[session.line];
        let line = &trace.lines[session.line];
        let segment = &line[session.segment];
        let links = self.begin(session);
        let names = self.session_names.len() - 1;
        let (name, root) = (Arc::clone(&self.session_names[names]), Arc::clone(&self.session_names[session.root]));
        let parent = match session.link {
            Link::Root => None,
            Link::Break { parent } | Link::Subagent { parent, .. } => Some(Arc::clone(&self.session_names[parent])),
        };
        let group = match (&recorded.project, &recorded.agent) {
            (Some(project), Agent::Main) => self.names.project(project),
            _ => None,
        };
        let mut state = self.lines.remove(&session.line).unwrap_or_default();
        self.first_blocks(session, &mut state);
        let is_last = session.segment + 1 == line.len();
        for (index, turn) in segment.turns.iter().enumerate() {
            let call = &recorded.calls[turn.lengths.call];
            for read in &recorded.calls[state.read..=turn.lengths.call] {
                state.content.follow(&read.prompt, &trace.estimator);
            }
            state.read = turn.lengths.call + 1;
            let prompt = turn.lengths.prompt;
            let partial = self.numbering.extend(&mut state.chain, call, prompt, session.line, &state.content);
            let time = trace.times.turns[session.line][state.turns];
            let is_arrival = index == 0 && session.link == Link::Root;
            let delay_ms = (!is_arrival).then_some(time.delay as f64 / 10.0);
            let trigger = match (index, session.link) {
                (0, Link::Subagent { .. }) => None,
                (0, Link::Root) => Some(call.trigger.and_then(canonical_trigger).unwrap_or("human")),
                _ => call.trigger.and_then(canonical_trigger),
            };
            self.table.push(&Row {
                session: &name,
                turn: index as u32,
                group,
                input: turn.new,
                context: prompt,
                output: turn.lengths.output,
                delay_ms,
                timestamp_ms: time.timestamp as f64 / 10.0,
                ids: (&state.chain, partial),
                parent: parent.as_deref(),
                ends_with_break: !is_last && index + 1 == segment.turns.len(),
                links: &links,
                own: RowLinks {
                    returned_length: turn.returned,
                    trigger: trigger.map(str::to_owned),
                    ..RowLinks::default()
                },
            });
            let row = CallRow {
                session: &name,
                root: &root,
                agent: links.agent.as_deref().unwrap_or_default(),
                depth: self.depths[names],
                turn_index: index as u32,
                turn,
                call,
                origins: trace.times.origins,
                wait_ms: delay_ms,
                before: turn.lengths.call.checked_sub(1).map(|before| &recorded.calls[before]),
                human_turn_ms: human_turn_ms(recorded, turn.lengths.call),
            };
            self.calls.push(&row, self.names)?;
            (state.context, state.turns) = (prompt, state.turns + 1);
            if self.table.is_full() {
                emit(Batch::Rows(self.table.finish()?))?;
            }
            if self.calls.len() >= CALL_ROWS {
                emit(Batch::Calls(self.calls.finish()?))?;
            }
        }
        if !is_last || self.continued.contains(&session.line) {
            self.lines.insert(session.line, state);
        }
        Ok(())
    }

    /// Names a session; the fields of its rows.
    fn begin(&mut self, session: &Session) -> RowLinks {
        let recorded = &self.trace.recorded[session.line];
        self.roots += u64::from(session.link == Link::Root);
        let root = format!("sess-{:06}", self.roots);
        let name = if session.number == 0 { root.clone() } else { format!("{root}.{}", session.number) };
        self.session_names.push(name.into());
        let (parent, nested) = match session.link {
            Link::Root => (None, 0),
            Link::Break { parent } => (Some(parent), 0),
            Link::Subagent { parent, .. } => (Some(parent), 1),
        };
        self.depths.push(parent.map_or(0, |parent| self.depths[parent]) + nested);
        let agent = self.names.agent(&recorded.agent);
        let mut links = RowLinks { agent: Some(agent.to_owned()), root_session_id: Some(root), ..RowLinks::default() };
        match session.link {
            Link::Root => {}
            Link::Break { .. } => {
                let begins = self.trace.lines[session.line][session.segment].begins;
                links.link = Some("break".to_owned());
                links.kept_length = begins.map(|begins| begins.kept);
                links.break_kind = begins.map(|begins| begins.kind.name().to_owned());
            }
            Link::Subagent { parent_turn, join_turn, .. } => {
                links.link = Some("subagent".to_owned());
                (links.parent_turn, links.join_turn) = (Some(parent_turn), join_turn);
            }
        }
        links
    }

    /// Sets the blocks that a session's first prompt shares with others.
    fn first_blocks(&mut self, session: &Session, state: &mut LineState) {
        let trace = self.trace;
        let segment = &trace.lines[session.line][session.segment];
        if let Some(begins) = segment.begins {
            state.chain.truncate((begins.kept / trace.block_tokens) as usize);
            return;
        }
        // Content tells what is shared; here only counts do.
        let Some(prefix) = trace.prefixes[session.line] else { return };
        let first = &segment.turns[0].lengths;
        state.chain = self.numbering.prefix(prefix, first.prompt);
        let earlier = trace.tree.continues[session.line].and_then(|line| self.lines.get(&line));
        if let Some(earlier) = earlier {
            // It holds the whole history if it is long enough; else the cache tells how much.
            let cached = trace.recorded[session.line].calls[first.call].usage.cached_tokens.unwrap_or(0);
            let shared = if first.prompt > earlier.context { u64::from(earlier.context) } else { cached };
            let shared = shared.min(u64::from(earlier.context)).min(u64::from(first.prompt));
            let blocks = (shared / u64::from(trace.block_tokens)) as usize;
            if blocks > state.chain.len() {
                state.chain = earlier.chain[..blocks].to_vec();
            }
        }
    }
}

/// The recorded duration of the user's request that a call is the first one of.
fn human_turn_ms(recorded: &RecordedSession, call: usize) -> Option<f64> {
    let turn = recorded.calls[call].human_turn_index;
    let is_first = call.checked_sub(1).is_none_or(|before| recorded.calls[before].human_turn_index != turn);
    recorded.human_turn_ms.get(turn as usize).copied().flatten().filter(|_| is_first)
}
