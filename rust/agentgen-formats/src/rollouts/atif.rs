//! Rollouts of ATIF: one a trajectory, embedded sub-agents included.

use std::path::Path;

use agentgen_trace::error::Result;
use serde_json::{Map, Value, json};

use super::model::{Message, Rollout, ToolCall};
use super::values::{Times, arguments, blocks, field, insert, required, text};
use crate::import::formats::support::read_values;
use crate::import::lines::BadLine;
use crate::import::model::Recording;

const KIND: &str = "atif";

/// Fields of a trajectory that are kept as they are.
const KEPT_OBJECTS: [&str; 2] = ["final_metrics", "extra"];

/// Trajectories inside of trajectories are read so deep.
const MAX_DEPTH: usize = 16;

/// Reads a file: a document, or a trajectory on each line.
pub(super) fn read(path: &Path, recording: &mut Recording) -> Result<Vec<Rollout>> {
    let mut rollouts = Vec::new();
    read_values(path, recording, |json, _| {
        let value: Value = serde_json::from_str(json)?;
        trajectory(&value, path, None, 0, &mut rollouts)
    })?;
    Ok(rollouts)
}

/// `root`: the session of the trajectory that this one is embedded in.
fn trajectory(
    value: &Value,
    path: &Path,
    root: Option<&str>,
    depth: usize,
    rollouts: &mut Vec<Rollout>,
) -> Result<(), BadLine> {
    let agent = value.get("agent").filter(|agent| agent.is_object()).ok_or_else(|| BadLine::new("no agent object"))?;
    let steps = value.get("steps").and_then(Value::as_array).ok_or_else(|| BadLine::new("no list of steps"))?;
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let session = field(value, "session_id").or_else(|| field(value, "trajectory_id"));
    let mut rollout = Rollout::new(KIND, path, session.unwrap_or(stem));
    if let Some(root) = root {
        // Sub-agents may share the session of their parent.
        let own = field(value, "trajectory_id").unwrap_or_else(|| format!("{}:{}", rollout.trace_id, rollouts.len()));
        (rollout.root_session_id, rollout.is_sidechain) = (root.to_owned(), true);
        (rollout.agent_id, rollout.trace_id) = (Some(own.clone()), own);
    }
    let (mut times, mut copied, mut references) = (Times::default(), Vec::new(), Vec::new());
    for (index, step) in steps.iter().enumerate() {
        let id = step.get("step_id").and_then(Value::as_u64).unwrap_or(index as u64 + 1);
        times.add(text(step.get("timestamp")));
        if step.get("is_copied_context").and_then(Value::as_bool) == Some(true) {
            copied.push(id);
        }
        let found = add_step(step, &mut rollout.messages)?;
        if !found.is_empty() {
            references.push(json!({ "step_id": id, "refs": found }));
        }
    }
    (rollout.started_at, rollout.ended_at) = (times.first(), times.last());
    let mut meta = about(value, agent, steps.len());
    insert(&mut meta, "copied_context_step_ids", (!copied.is_empty()).then(|| json!(copied)));
    insert(&mut meta, "subagent_trajectory_refs", (!references.is_empty()).then_some(references));
    rollout.source_meta = meta;
    let extra = agent.get("extra").unwrap_or(&Value::Null);
    rollout.cwd = field(extra, "cwd");
    rollout.project_path = field(extra, "project_path").or_else(|| rollout.cwd.clone());
    rollout.git_branch = field(extra, "git_branch");
    let root = rollout.root_session_id.clone();
    rollouts.push(rollout);
    for embedded in value.get("subagent_trajectories").and_then(Value::as_array).into_iter().flatten() {
        if depth == MAX_DEPTH {
            return Err(BadLine::new("trajectories that are nested too deep"));
        }
        trajectory(embedded, path, Some(&root), depth + 1, rollouts)?;
    }
    Ok(())
}

fn about(value: &Value, agent: &Value, steps: usize) -> Map<String, Value> {
    let mut meta = Map::new();
    insert(&mut meta, "schema_version", field(value, "schema_version"));
    meta.insert("step_count".to_owned(), json!(steps));
    insert(&mut meta, "agent_name", field(agent, "name"));
    for name in ["version", "model_name"] {
        insert(&mut meta, name, field(agent, name));
    }
    for name in ["notes", "continued_trajectory_ref"] {
        insert(&mut meta, name, field(value, name));
    }
    for name in KEPT_OBJECTS {
        let object = value.get(name).filter(|object| object.as_object().is_some_and(|object| !object.is_empty()));
        insert(&mut meta, name, object.cloned());
    }
    meta
}

/// Adds the messages of a step; returns the sub-agents that it refers to.
fn add_step(step: &Value, messages: &mut Vec<Message>) -> Result<Vec<Value>, BadLine> {
    let role = match step.get("source").and_then(Value::as_str) {
        Some("agent") => "assistant",
        Some("user") => "user",
        Some("system") => "system",
        _ => return Err(BadLine::new("a step without a known source")),
    };
    let mut message = Message::new(role, blocks(step.get("message")));
    if role == "assistant" {
        message.reasoning = field(step, "reasoning_content");
        for call in step.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            let (id, name) = (required(call, "tool_call_id")?, required(call, "function_name")?);
            message.tool_calls.push(ToolCall { id, name, arguments: arguments(call.get("arguments")) });
        }
    }
    // A result that names no call is that of the only one.
    let only = match &message.tool_calls[..] {
        [call] => Some(call.id.clone()),
        _ => None,
    };
    messages.push(message);
    let results = step.get("observation").and_then(|observation| observation.get("results"));
    let mut references = Vec::new();
    for result in results.and_then(Value::as_array).into_iter().flatten() {
        if result.get("content").is_some_and(|content| !content.is_null()) {
            let call = field(result, "source_call_id").or_else(|| only.clone());
            messages.push(Message::tool(blocks(result.get("content")), call));
        }
        let named = result.get("subagent_trajectory_ref").and_then(Value::as_array);
        references.extend(named.into_iter().flatten().filter(|reference| reference.is_object()).cloned());
    }
    Ok(references)
}
