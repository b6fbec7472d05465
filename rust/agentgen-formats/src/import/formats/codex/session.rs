//! The calls of a thread: what came since the token count before, in the order of time.

use std::collections::HashMap;
use std::path::Path;

use super::output::ToolResult;
use super::replay;
use super::row::{Counts, Meta, Row, START, Use, What};
use crate::import::formats::ASK_A_PERSON;
use crate::import::model::{Agent, Call, RecordedSession, Recording, Rewrite, Spawn, ToolUse, Trigger};
use crate::import::time::elapsed;

/// Why token counts are left out.
const REPEATED: &str = "repeated token counts";

/// Why calls are left out that another thread made.
const REPLAYED: &str = "calls of a copied history";

/// Why a session is left out.
const EMPTY: &str = "sessions without a model call";

/// Builds the session of a file.
pub fn build(path: &Path, mut rows: Vec<Row>, recording: &mut Recording) {
    let replayed = replay::remove(&mut rows);
    recording.leave_out(REPLAYED, replayed);
    let stem = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut builder = Builder::new(stem.split('.').next().unwrap_or_default(), &rows);
    sort(&mut rows);
    for row in rows {
        builder.add(row);
    }
    builder.close();
    recording.leave_out(REPEATED, builder.repeated);
    if builder.session.calls.is_empty() {
        recording.leave_out(EMPTY, 1);
    } else {
        recording.sessions.push(builder.session);
        recording.spawns.append(&mut builder.spawns);
    }
}

/// By time; rows without a time stay behind the one before them.
fn sort(rows: &mut [Row]) {
    let mut last = None;
    for row in rows.iter_mut() {
        row.time_ms = row.time_ms.or(last);
        last = row.time_ms;
    }
    let rank = |row: &Row| row.time_ms.unwrap_or(f64::NEG_INFINITY);
    rows.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
}

/// The input since the answer before.
#[derive(Debug, Default)]
struct Pending {
    trigger: Option<Trigger>,
    is_human: bool,
    latest_ms: Option<f64>,
    bytes: u64,
    rewrite: Option<Rewrite>,
    joins: Vec<usize>,
}

/// The user's request that is being worked on.
#[derive(Debug, Default)]
struct Turn {
    started_ms: Option<f64>,
    has_prompt: bool,
    has_compaction: bool,
}

/// What a log has, as versions of Codex differ.
struct Shape {
    /// Prompts are events; else they are items.
    has_prompts: bool,
    /// Token counts end calls; else input does.
    has_counts: bool,
}

struct Builder {
    session: RecordedSession,
    spawns: Vec<Spawn>,
    shape: Shape,
    /// The last call goes on.
    is_open: bool,
    /// The last call has an item.
    has_items: bool,
    model: Option<String>,
    /// Call and index of each tool call without a result, and when it was made.
    waiting: HashMap<String, (usize, usize, Option<f64>)>,
    /// The same for all tool calls.
    tools: HashMap<String, (usize, usize)>,
    /// Arguments of tool calls that concern sub-agents.
    arguments: HashMap<String, String>,
    total: Option<Counts>,
    last: Option<Counts>,
    repeated: u64,
    turn_index: Option<u32>,
    turn: Turn,
    pending: Pending,
}

impl Builder {
    fn new(stem: &str, rows: &[Row]) -> Self {
        Self {
            session: RecordedSession::new(stem.to_owned(), super::FORMAT.name, Vec::new()),
            spawns: Vec::new(),
            shape: Shape {
                has_prompts: rows.iter().any(|row| matches!(row.what, What::Prompt { .. })),
                has_counts: rows.iter().any(|row| matches!(row.what, What::Tokens { .. })),
            },
            is_open: false,
            has_items: false,
            model: None,
            waiting: HashMap::new(),
            tools: HashMap::new(),
            arguments: HashMap::new(),
            total: None,
            last: None,
            repeated: 0,
            turn_index: None,
            turn: Turn::default(),
            pending: Pending::default(),
        }
    }

    fn add(&mut self, row: Row) {
        let time = row.time_ms;
        match row.what {
            What::Session(meta) => {
                self.close();
                self.meta(*meta);
            }
            What::Model(model) => self.model = Some(model),
            What::TurnStarted { window } => {
                self.session.context_window = window.or(self.session.context_window);
                self.close();
                let is_own_turn = self.turn.has_compaction && !self.turn.has_prompt;
                if is_own_turn && self.pending.rewrite == Some(Rewrite::AutoCompaction) {
                    // A turn of nothing else: the user asked for it.
                    self.pending.rewrite = Some(Rewrite::ManualCompaction);
                }
                self.turn = Turn { started_ms: time, ..Turn::default() };
            }
            What::TurnEnded { duration_ms } => {
                let index = self.turn_index.unwrap_or(0) as usize;
                let duration = duration_ms.or_else(|| elapsed(self.turn.started_ms, time));
                if let (true, Some(duration)) = (self.turn.has_prompt, duration) {
                    let turns = &mut self.session.human_turn_ms;
                    turns.resize(turns.len().max(index + 1), None);
                    turns[index] = Some(duration);
                }
                self.close();
            }
            What::TurnAborted => self.close(),
            What::Prompt { bytes } => self.prompt(time, bytes),
            What::UserItem { is_prompt, bytes } => {
                if is_prompt && !self.shape.has_prompts {
                    self.prompt(time, bytes);
                } else if !is_prompt {
                    self.pending.bytes += bytes;
                }
            }
            What::Output { bytes, tool } => self.output(time, bytes, tool),
            What::Result(result) => self.result(time, result),
            What::ToolEnded { call, internal_ms, is_error } => {
                if let Some((call, tool)) = self.tools.get(&call) {
                    let tool = &mut self.session.calls[*call].tools[*tool];
                    tool.internal_ms = internal_ms.or(tool.internal_ms);
                    tool.is_error = is_error.or(tool.is_error);
                }
            }
            What::Tokens { last, total, window, model } => {
                self.session.context_window = window.or(self.session.context_window);
                self.model = self.model.take().or(model);
                self.tokens(time, last, total);
            }
            What::Compacted => {
                self.close();
                self.turn.has_compaction = true;
                self.pending.rewrite.get_or_insert(Rewrite::AutoCompaction);
                if let (false, Some(call)) = (self.has_items, self.session.calls.last_mut()) {
                    // Its answer is the summary, which is no item of the history.
                    call.trigger = Some(Trigger::Compaction);
                }
            }
            What::RolledBack => {
                self.close();
                self.pending.rewrite = Some(Rewrite::Rollback);
            }
        }
    }

    fn meta(&mut self, meta: Meta) {
        let session = &mut self.session;
        // Resumed threads repeat it.
        if let Some(id) = meta.id.filter(|_| session.project.is_none() && session.client.version.is_none()) {
            session.key = id;
        }
        session.project = session.project.take().or(meta.cwd);
        session.client.version = session.client.version.take().or(meta.version);
        session.continues = session.continues.take().or(meta.forked_from);
        if let (Agent::Main, Some((parent, kind))) = (&session.agent, meta.parent) {
            session.agent = Agent::Sub { kind, parent, spawned_by: None, joined_by: None };
        }
    }

    /// Ends the last call.
    fn close(&mut self) {
        self.is_open = false;
    }

    fn prompt(&mut self, time_ms: Option<f64>, bytes: u64) {
        self.close();
        self.turn.has_prompt = true;
        self.pending.is_human = true;
        self.input(time_ms, Trigger::Human, bytes);
    }

    fn input(&mut self, time_ms: Option<f64>, trigger: Trigger, bytes: u64) {
        if !self.shape.has_counts {
            self.close();
        }
        self.pending.trigger.get_or_insert(trigger);
        self.pending.latest_ms = time_ms.or(self.pending.latest_ms);
        self.pending.bytes += bytes;
    }

    /// Index of the call that goes on, or that begins now.
    fn open(&mut self) -> usize {
        if !self.is_open {
            self.begin_call();
        }
        self.session.calls.len() - 1
    }

    fn begin_call(&mut self) {
        let index = self.session.calls.len();
        let pending = std::mem::take(&mut self.pending);
        for spawn in pending.joins {
            self.spawns[spawn].joined_by.get_or_insert(index);
        }
        let is_sub = self.session.agent != Agent::Main;
        if pending.is_human {
            self.turn_index = Some(self.turn_index.map_or(u32::from(index > 0), |turn| turn + 1));
        }
        self.session.calls.push(Call {
            // The same log may be among the active and the archived ones.
            id: Some(format!("{}:{index}", self.session.key)),
            model: self.model.clone(),
            trigger: pending.trigger.filter(|trigger| !(is_sub && *trigger == Trigger::Human)),
            human_turn_index: if is_sub { 0 } else { self.turn_index.unwrap_or(0) },
            rewrite: pending.rewrite,
            sent_ms: pending.latest_ms,
            input_bytes: Some(pending.bytes),
            ..Call::default()
        });
        (self.is_open, self.has_items) = (true, false);
    }

    fn output(&mut self, time_ms: Option<f64>, bytes: u64, tool: Option<Use>) {
        let index = self.open();
        self.has_items = true;
        let call = &mut self.session.calls[index];
        call.first_output_ms = call.first_output_ms.or(time_ms);
        call.end_ms = time_ms.or(call.end_ms);
        *call.output_bytes.get_or_insert(0) += bytes;
        if let Some(used) = tool {
            if !used.arguments.is_empty() {
                self.arguments.insert(used.id.clone(), used.arguments);
            }
            let number = call.tools.len();
            let asks_person = ASK_A_PERSON.contains(&used.name.as_str());
            call.tools.push(ToolUse { name: used.name, asks_person, ..ToolUse::default() });
            self.waiting.insert(used.id.clone(), (index, number, time_ms));
            self.tools.insert(used.id, (index, number));
        }
    }

    fn result(&mut self, time_ms: Option<f64>, result: ToolResult) {
        self.input(time_ms, Trigger::Tool, result.bytes);
        let Some((call, number, at_ms)) = self.waiting.remove(&result.call) else { return };
        let tool = &mut self.session.calls[call].tools[number];
        tool.wall_ms = elapsed(at_ms, time_ms);
        tool.internal_ms = tool.internal_ms.or(result.internal_ms);
        tool.is_error = tool.is_error.or(result.is_error);
        let Some(arguments) = self.arguments.remove(&result.call) else { return };
        if tool.name == START {
            self.spawns.extend(result.agent.map(|agent| Spawn {
                agent: Some(agent),
                tool_call: Some(result.call),
                parent: self.session.key.clone(),
                kind: None,
                spawned_by: call,
                joined_by: None,
            }));
        } else {
            let is_named = |spawn: &Spawn| spawn.agent.as_ref().is_some_and(|agent| arguments.contains(agent));
            let named = self.spawns.iter().enumerate().filter(|(_, spawn)| is_named(spawn));
            self.pending.joins.extend(named.map(|(index, _)| index));
        }
    }

    fn tokens(&mut self, time_ms: Option<f64>, last: Option<Counts>, total: Option<Counts>) {
        let is_repeated = match total {
            Some(_) => total == self.total,
            None => last == self.last && !self.is_open,
        };
        let before = self.total.unwrap_or_default();
        self.total = total.or(self.total);
        self.last = last;
        let counts = last.or_else(|| Some(total?.since(before)));
        match counts {
            Some(counts) if !is_repeated && !counts.is_empty() => {
                let index = self.open();
                let call = &mut self.session.calls[index];
                call.usage = counts.usage();
                call.end_ms = call.end_ms.or(time_ms);
                self.close();
            }
            _ => self.repeated += 1,
        }
    }
}
