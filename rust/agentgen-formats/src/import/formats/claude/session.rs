//! The calls of one agent, from its rows in the order of time.

use std::collections::HashMap;

use super::row::{Answer, ResultOf, Row, What};
use super::text::{Command, TextKind};
use crate::import::formats::ASK_A_PERSON;
use crate::import::model::{Agent, Call, RecordedSession, Rewrite, Spawn, ToolUse, Trigger, Usage};
use crate::import::time::elapsed;

/// How good a snapshot of a call's usage is: output, prompt, whether the answer is complete.
type Rank = (Option<u64>, Option<u64>, bool);

/// Input that causes a call only if there is no other. Of several the greatest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weak {
    /// A command, which the client may make a text of the user of.
    Command,
    /// The summary of a compacted history.
    Summary,
    /// The result of a tool call that the log does not have.
    Orphan,
}

/// The input since the answer before, which the next call answers.
#[derive(Debug, Default)]
struct Pending {
    /// What came first.
    trigger: Option<Trigger>,
    /// There was text of the user.
    is_human: bool,
    /// What else there was, if nothing of the above.
    weak: Option<Weak>,
    latest_ms: Option<f64>,
    bytes: u64,
    rewrite: Option<Rewrite>,
    /// The user asked for a compaction.
    compacts: bool,
    /// Sub-agents whose results came, by index in `spawns`.
    joins: Vec<usize>,
}

/// A tool call without a result so far.
#[derive(Debug)]
struct Waiting {
    call: usize,
    tool: usize,
    at_ms: Option<f64>,
    /// The sub-agent that it starts, by index in `spawns`.
    spawn: Option<usize>,
}

/// Builds the session of one agent.
#[derive(Debug)]
pub struct Builder {
    /// The session id, by which the keys of sub-agents begin.
    name: String,
    session: RecordedSession,
    spawns: Vec<Spawn>,
    ranks: Vec<Rank>,
    calls: HashMap<String, usize>,
    waiting: HashMap<String, Waiting>,
    /// Results that came before their calls.
    early: HashMap<String, ResultOf>,
    /// For each row, the number of calls up to it in its chain of parents.
    calls_at: HashMap<u128, usize>,
    /// The user's request that is being worked on.
    turn: Option<u32>,
    pending: Pending,
}

impl Builder {
    pub fn new(name: String, key: String, agent: Agent) -> Self {
        let session = RecordedSession { agent, ..RecordedSession::new(key, super::FORMAT.name, Vec::new()) };
        Self {
            name,
            session,
            spawns: Vec::new(),
            ranks: Vec::new(),
            calls: HashMap::new(),
            waiting: HashMap::new(),
            early: HashMap::new(),
            calls_at: HashMap::new(),
            turn: None,
            pending: Pending::default(),
        }
    }

    pub fn key(&self) -> &str {
        &self.session.key
    }

    /// The session begins with the history of another one, if it has no call yet.
    pub fn continue_from(&mut self, origin: String) {
        if self.session.calls.is_empty() {
            self.session.continues.get_or_insert(origin);
        }
    }

    pub fn finish(self) -> (RecordedSession, Vec<Spawn>) {
        (self.session, self.spawns)
    }

    pub fn add(&mut self, row: Row) {
        self.session.project = self.session.project.take().or(row.cwd);
        self.session.client.version = self.session.client.version.take().or(row.version);
        if let Some(origin) = row.forked_from {
            self.continue_from(origin);
        }
        let before = row.parent.and_then(|parent| self.calls_at.get(&parent)).copied();
        let mut calls_at = before.unwrap_or(self.session.calls.len());
        match row.what {
            What::Answer(answer) => calls_at = self.answer(row.time_ms, answer) + 1,
            What::Input { results, text, bytes } => {
                self.pending.bytes += bytes;
                for result in results {
                    self.result(row.time_ms, result);
                }
                if let Some(text) = text {
                    self.text(row.time_ms, text, calls_at);
                }
            }
            What::Compacted { by_user } => {
                let rewrite = if by_user { Rewrite::ManualCompaction } else { Rewrite::AutoCompaction };
                self.pending.rewrite = Some(rewrite);
                // What follows it has the whole history, in its new form.
                calls_at = self.session.calls.len();
            }
            What::TurnEnded(ms) => {
                let turn = self.turn.unwrap_or(0) as usize;
                let turns = &mut self.session.human_turn_ms;
                turns.resize(turns.len().max(turn + 1), None);
                turns[turn] = Some(ms);
            }
            What::Synthetic | What::Other => {}
        }
        if let Some(uuid) = row.uuid {
            self.calls_at.insert(uuid, calls_at);
        }
    }

    /// Adds a part of an answer; returns the index of its call.
    fn answer(&mut self, time_ms: Option<f64>, answer: Answer) -> usize {
        let known = answer.id.as_ref().and_then(|id| self.calls.get(id)).copied();
        let index = known.unwrap_or_else(|| self.begin_call(time_ms, answer.id));
        let call = &mut self.session.calls[index];
        call.end_ms = time_ms.or(call.end_ms);
        call.model = call.model.take().or(answer.model);
        call.output_bytes = Some(call.output_bytes.unwrap_or(0) + answer.bytes);
        if let Some(usage) = answer.usage {
            let rank = (usage.output_tokens, usage.prompt_tokens, answer.is_stopped);
            if call.usage == Usage::default() || rank > self.ranks[index] {
                (call.usage, self.ranks[index]) = (usage, rank);
            }
        }
        for used in answer.tools {
            let asks_person = ASK_A_PERSON.contains(&used.name.as_str());
            let early = self.early.remove(&used.id);
            let tool = ToolUse {
                name: used.name,
                internal_ms: early.as_ref().and_then(|result| result.internal_ms),
                is_error: early.as_ref().and_then(|result| result.is_error),
                asks_person,
                wall_ms: None,
            };
            let number = call.tools.len();
            call.tools.push(tool);
            let spawn = used.starts_agent.then_some(self.spawns.len());
            if spawn.is_some() {
                self.spawns.push(Spawn {
                    agent: None,
                    tool_call: Some(used.id.clone()),
                    parent: self.session.key.clone(),
                    kind: used.agent_kind,
                    spawned_by: index,
                    joined_by: None,
                });
            }
            if early.is_none() {
                self.waiting.insert(used.id, Waiting { call: index, tool: number, at_ms: time_ms, spawn });
            }
        }
        index
    }

    fn begin_call(&mut self, time_ms: Option<f64>, id: Option<String>) -> usize {
        let index = self.session.calls.len();
        let pending = std::mem::take(&mut self.pending);
        for spawn in &pending.joins {
            self.spawns[*spawn].joined_by = Some(index);
        }
        let weak = pending.weak.filter(|_| pending.trigger.is_none());
        if pending.is_human || weak == Some(Weak::Command) {
            // The calls before the first request are counted as if they were of one.
            let first = u32::from(index > 0);
            self.turn = Some(self.turn.map_or(first, |turn| turn + 1));
        }
        let trigger = pending.trigger.or(weak.map(|weak| match weak {
            Weak::Command => Trigger::Human,
            Weak::Summary => Trigger::Compaction,
            Weak::Orphan => Trigger::Tool,
        }));
        // Nobody but another agent writes to a sub-agent.
        let is_sub = self.session.agent != Agent::Main;
        self.session.calls.push(Call {
            id: id.clone(),
            trigger: trigger.filter(|trigger| !(is_sub && *trigger == Trigger::Human)),
            human_turn_index: if is_sub { 0 } else { self.turn.unwrap_or(0) },
            rewrite: pending.rewrite,
            sent_ms: pending.latest_ms,
            first_output_ms: time_ms,
            input_bytes: Some(pending.bytes),
            ..Call::default()
        });
        self.ranks.push(Rank::default());
        if let Some(id) = id {
            self.calls.insert(id, index);
        }
        index
    }

    fn input(&mut self, time_ms: Option<f64>, trigger: Trigger) {
        self.pending.trigger.get_or_insert(trigger);
        self.pending.latest_ms = time_ms.or(self.pending.latest_ms);
    }

    fn weak_input(&mut self, time_ms: Option<f64>, weak: Weak) {
        self.pending.weak = self.pending.weak.max(Some(weak));
        self.pending.latest_ms = time_ms.or(self.pending.latest_ms);
    }

    fn result(&mut self, time_ms: Option<f64>, result: ResultOf) {
        let Some(waiting) = self.waiting.remove(&result.id) else {
            self.weak_input(time_ms, Weak::Orphan);
            self.early.insert(result.id.clone(), result);
            return;
        };
        self.input(time_ms, Trigger::Tool);
        let tool = &mut self.session.calls[waiting.call].tools[waiting.tool];
        tool.wall_ms = elapsed(waiting.at_ms, time_ms);
        (tool.internal_ms, tool.is_error) = (result.internal_ms, result.is_error);
        let agent = result.agent.map(|agent| format!("{}/{agent}", self.name));
        let spawn = waiting.spawn.or_else(|| {
            // Any tool may start an agent, or a run of several.
            agent.as_ref()?;
            self.spawns.push(Spawn {
                agent: None,
                tool_call: Some(result.id),
                parent: self.session.key.clone(),
                kind: None,
                spawned_by: waiting.call,
                joined_by: None,
            });
            Some(self.spawns.len() - 1)
        });
        if let Some(spawn) = spawn {
            self.spawns[spawn].agent = agent;
            if !result.is_background {
                self.pending.joins.push(spawn);
            }
        }
    }

    /// `calls_before`: the calls in the history that the text follows.
    fn text(&mut self, time_ms: Option<f64>, text: TextKind, calls_before: usize) {
        match text {
            TextKind::Human => {
                self.input(time_ms, Trigger::Human);
                self.pending.is_human = true;
                if calls_before < self.session.calls.len() {
                    self.pending.rewrite.get_or_insert(Rewrite::Rollback);
                }
            }
            TextKind::Notification => self.input(time_ms, Trigger::Notification),
            TextKind::Summary => {
                self.weak_input(time_ms, Weak::Summary);
                let asked = self.pending.compacts;
                let rewrite = if asked { Rewrite::ManualCompaction } else { Rewrite::AutoCompaction };
                self.pending.rewrite.get_or_insert(rewrite);
            }
            TextKind::Command(command) => {
                self.weak_input(time_ms, Weak::Command);
                match command {
                    Command::Compact => self.pending.compacts = true,
                    Command::Clear => self.pending.rewrite = Some(Rewrite::Clear),
                    Command::Other => {}
                }
            }
            TextKind::Interruption => {
                // No call answers what came before it.
                self.pending.trigger = None;
                self.pending.weak = None;
            }
            TextKind::Other => {}
        }
    }
}
