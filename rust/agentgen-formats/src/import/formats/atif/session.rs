//! The calls of a trajectory: one for each step of the agent.

use super::super::json::{Content, Str, text_bytes};
use super::document::{Block, Extra, Metrics, Outcome, Step, ToolCall, Trajectory};
use crate::import::model::{
    Agent, Call, Part, Prompt, RecordedSession, Recording, Rewrite, Spawn, ToolUse, Trigger, Usage,
};
use crate::import::time::{elapsed, iso_ms};

/// Why steps are left out that another trajectory has.
const COPIED: &str = "steps copied from another trajectory";

/// Why steps of the agent are left out.
const NO_CALL: &str = "steps without a model call";

/// Why the tokens of a step are left out.
const SEVERAL: &str = "token counts of several calls together";

/// Why a trajectory is left out.
const EMPTY: &str = "sessions without a model call";

fn owned(text: &Str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_string())
}

/// Adds a trajectory and those of its sub-agents.
pub fn add(trajectory: &Trajectory, fallback: &str, recording: &mut Recording) {
    let key = owned(&trajectory.trajectory_id).or_else(|| owned(&trajectory.session_id));
    let key = key.unwrap_or_else(|| fallback.to_owned());
    let mut builder = Builder::new(key.clone(), trajectory);
    for step in trajectory.steps.iter().filter_map(|step| step.0.as_ref()) {
        builder.add(step, recording);
    }
    let Builder { mut session, spawns, is_whole, .. } = builder;
    if session.calls.is_empty() {
        recording.leave_out(EMPTY, 1);
    } else {
        let is_counted = session.calls.iter().all(|call| call.usage.is_complete());
        if is_counted && !is_whole {
            // A prompt without its beginning says less than its size.
            session.calls.iter_mut().for_each(|call| call.prompt = Prompt::Counted);
        }
        recording.sessions.push(session);
        recording.spawns.extend(spawns);
    }
    for nested in trajectory.subagent_trajectories.iter().flatten().filter_map(|nested| nested.0.as_ref()) {
        let before = recording.sessions.len();
        add(nested, &format!("{key}/{before}"), recording);
        // The first that was added is the nested one itself; those after it name their own parents.
        if let Some(session) = recording.sessions.get_mut(before).filter(|session| session.agent == Agent::Main) {
            let kind = nested.agent.0.as_ref().and_then(|agent| owned(&agent.name));
            session.agent = Agent::Sub { kind, parent: key.clone(), spawned_by: None, joined_by: None };
        }
    }
}

struct Builder {
    session: RecordedSession,
    spawns: Vec<Spawn>,
    /// The system prompt or the tools are there.
    is_whole: bool,
    model: Option<String>,
    /// What the next prompt adds.
    parts: Vec<Part>,
    bytes: u64,
    trigger: Option<Trigger>,
    turn: Option<u32>,
    is_human: bool,
    /// When the latest input was complete.
    input_ms: Option<f64>,
    has_copies: bool,
    /// Sub-agents whose results came, by index in `spawns`.
    joins: Vec<usize>,
}

impl Builder {
    fn new(key: String, trajectory: &Trajectory) -> Self {
        let mut session = RecordedSession::new(key, super::FORMAT.name, Vec::new());
        let agent = trajectory.agent.0.as_ref();
        session.client.version = agent.map(|a| format!("{} {}", &*a.name, &*a.version).trim().to_owned());
        let extra = agent.and_then(|a| a.extra.0.as_ref());
        session.project = extra.and_then(|e| owned(&e.project_path).or_else(|| owned(&e.cwd)));
        let tools = agent.and_then(|a| a.tool_definitions).map(|tools| Part::new("tools", tools.get()));
        let first = trajectory.steps.first().and_then(|step| step.0.as_ref());
        Self {
            session,
            spawns: Vec::new(),
            is_whole: tools.is_some() || first.is_some_and(|step| &*step.source == "system"),
            model: agent.and_then(|a| owned(&a.model_name)),
            bytes: tools.map_or(0, |part| part.bytes),
            parts: tools.into_iter().collect(),
            trigger: None,
            turn: None,
            is_human: false,
            input_ms: None,
            has_copies: false,
            joins: Vec::new(),
        }
    }

    fn add(&mut self, step: &Step, recording: &mut Recording) {
        let is_copy = step.is_copied_context.is_set();
        if is_copy {
            self.has_copies = true;
            recording.leave_out(COPIED, 1);
        }
        match &*step.source {
            "agent" if is_copy => {}
            "agent" if step.llm_call_count.count() == Some(0) => recording.leave_out(NO_CALL, 1),
            "agent" => self.call(step, recording),
            // After results of tools, a text of the user is what the agent waited for.
            "user" if !is_copy => {
                self.trigger = Some(Trigger::Human);
                self.is_human = true;
                self.input_ms = iso_ms(&step.timestamp).or(self.input_ms);
            }
            _ => {}
        }
        let role = if &*step.source == "agent" { "assistant" } else { &*step.source };
        let mut text = plain(&step.message);
        for call in step.tool_calls.iter().flatten().filter_map(|call| call.0.as_ref()) {
            text += &call.function_name;
            text += call.arguments.map_or("", |arguments| arguments.get());
        }
        let part = Part::new(role, &text);
        if role == "assistant" && !is_copy {
            // The answer before is no input of the next call.
            self.parts.push(part);
        } else {
            self.push(part);
        }
        self.observe(step, !is_copy);
    }

    fn push(&mut self, part: Part) {
        self.bytes += part.bytes;
        self.parts.push(part);
    }

    fn call(&mut self, step: &Step, recording: &mut Recording) {
        let index = self.session.calls.len();
        for spawn in self.joins.drain(..) {
            self.spawns[spawn].joined_by = Some(index);
        }
        if std::mem::take(&mut self.is_human) {
            self.turn = Some(self.turn.map_or(u32::from(index > 0), |turn| turn + 1));
        }
        let usage = match (step.llm_call_count.count(), &step.metrics.0) {
            (Some(2..), Some(_)) => {
                recording.leave_out(SEVERAL, 1);
                Usage::default()
            }
            (_, metrics) => metrics.as_ref().map(usage).unwrap_or_default(),
        };
        let (start_ms, end_ms) = Extra::times(&step.extra);
        let tool_calls = || step.tool_calls.iter().flatten().filter_map(|call| call.0.as_ref());
        let arguments = tool_calls().filter_map(|call| call.arguments).map(text_bytes).sum::<u64>();
        self.session.calls.push(Call {
            id: Some(format!("{}:{}", self.session.key, step.step_id.count().unwrap_or(index as u64))),
            model: owned(&step.model_name).or_else(|| self.model.clone()),
            trigger: self.trigger.take(),
            human_turn_index: self.turn.unwrap_or(0),
            // A trajectory that begins with copies goes on after a compaction.
            rewrite: (self.has_copies && index == 0).then_some(Rewrite::AutoCompaction),
            usage,
            prompt: Prompt::Appended(std::mem::take(&mut self.parts)),
            sent_ms: start_ms.or(self.input_ms.take()),
            sent_is_recorded: start_ms.is_some(),
            end_ms: end_ms.or_else(|| iso_ms(&step.timestamp)),
            input_bytes: Some(std::mem::take(&mut self.bytes)),
            output_bytes: Some(
                plain(&step.message).len() as u64 + step.reasoning_content.map_or(0, text_bytes) + arguments,
            ),
            tools: tool_calls().map(tool).collect(),
            ..Call::default()
        });
    }

    /// Results of tools.
    fn observe(&mut self, step: &Step, is_new: bool) {
        let results = step.observation.0.iter().flat_map(|observation| &observation.results);
        for result in results.filter_map(|result| result.0.as_ref()) {
            if is_new {
                self.trigger.get_or_insert(Trigger::Tool);
                self.refer(result);
            }
            if let Some(content) = &result.content {
                self.push(Part::new("tool", &plain(content)));
            }
        }
        let calls = step.tool_calls.iter().flatten().filter_map(|call| call.0.as_ref());
        let ends = calls.filter_map(|call| Extra::times(&call.extra).1);
        self.input_ms = ends.reduce(f64::max).or(self.input_ms);
    }

    /// Sub-agents that a result is of.
    fn refer(&mut self, result: &Outcome) {
        let Some(spawned_by) = self.session.calls.len().checked_sub(1) else { return };
        for reference in result.subagent_trajectory_ref.iter().flatten().filter_map(|reference| reference.0.as_ref()) {
            let path = reference.trajectory_path.rsplit('/').next().unwrap_or_default();
            let stem = path.split('.').next().unwrap_or_default();
            // Whichever of its names the sub-agent has.
            for agent in [&*reference.trajectory_id, &*reference.session_id, stem] {
                if !agent.is_empty() && agent != self.session.key {
                    self.joins.push(self.spawns.len());
                    self.spawns.push(Spawn {
                        agent: Some(agent.to_owned()),
                        tool_call: owned(&result.source_call_id),
                        parent: self.session.key.clone(),
                        kind: None,
                        spawned_by,
                        joined_by: None,
                    });
                }
            }
        }
    }
}

/// The prompt counts all input, the cached part included.
fn usage(metrics: &Metrics) -> Usage {
    let extra = metrics.extra.0.as_ref();
    Usage {
        prompt_tokens: metrics.prompt_tokens.count(),
        cached_tokens: metrics.cached_tokens.count(),
        cache_written_tokens: extra.and_then(|e| e.cache_creation_input_tokens.count()),
        output_tokens: metrics.completion_tokens.count(),
        reasoning_tokens: extra.and_then(|e| e.reasoning_tokens.count().or(e.reasoning_output_tokens.count())),
    }
}

fn tool(call: &ToolCall) -> ToolUse {
    let (start_ms, end_ms) = Extra::times(&call.extra);
    let duration_ms = elapsed(start_ms, end_ms);
    ToolUse {
        name: call.function_name.to_string(),
        wall_ms: duration_ms,
        internal_ms: duration_ms,
        ..ToolUse::default()
    }
}

/// The text of a message; other parts than text have none.
fn plain(content: &Content<Block>) -> String {
    match content {
        Content::Text(text) => text.to_string(),
        Content::Blocks(blocks) => blocks.iter().map(|block| &*block.text).collect::<Vec<_>>().join("\n"),
    }
}
