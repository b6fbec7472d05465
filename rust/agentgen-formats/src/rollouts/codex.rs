//! Rollouts of Codex: one a file.

use std::collections::BTreeSet;
use std::path::Path;

use agentgen_trace::error::Result;
use serde_json::{Map, Value, json};

use super::model::{Message, Rollout, ToolCall, text_block};
use super::values::{
    Times, arguments, blocks, blocks_or_empty, field, insert, push_answer, python_json, required, role, text,
};
use crate::import::lines::{BadLine, read_lines};
use crate::import::model::Recording;

const KIND: &str = "codex";

/// Fields of a session's beginning that are kept as they are.
const META_FIELDS: [&str; 4] = ["originator", "cli_version", "model_provider", "source"];

/// Reads a file.
pub(super) fn read(path: &Path, recording: &mut Recording) -> Result<Vec<Rollout>> {
    let mut thread = Thread::default();
    read_lines(path, recording, |line, _| {
        let row: Value = serde_json::from_str(line)?;
        if !row.is_object() {
            return Err(BadLine::new("not a JSON object"));
        }
        thread.add(&row)
    })?;
    Ok(if thread.records == 0 { Vec::new() } else { vec![thread.finish(path)] })
}

#[derive(Default)]
struct Thread {
    /// The first one is the thread's own: a fork repeats that of its origin.
    meta: Option<Value>,
    messages: Vec<Message>,
    times: Times,
    /// Reasoning that belongs to the answer that follows.
    reasoning: Vec<String>,
    unattached: Vec<String>,
    types: BTreeSet<String>,
    item_types: BTreeSet<String>,
    records: u64,
    /// The next part of an answer belongs to the one before it.
    is_answering: bool,
}

impl Thread {
    fn add(&mut self, row: &Value) -> Result<(), BadLine> {
        let kind = text(row.get("type")).unwrap_or_else(|| "unknown".to_owned());
        self.records += 1;
        self.types.insert(kind.clone());
        self.times.add(text(row.get("timestamp")));
        let Some(payload) = row.get("payload").filter(|payload| payload.is_object()) else { return Ok(()) };
        match &*kind {
            "session_meta" => {
                self.times.add(text(payload.get("timestamp")));
                self.meta.get_or_insert_with(|| payload.clone());
            }
            "event_msg" => self.event(payload),
            "response_item" => self.item(payload)?,
            "compacted" => {
                self.is_answering = false;
                self.messages.extend(field(payload, "message").map(|summary| Message::summary(&summary)));
            }
            _ => {}
        }
        Ok(())
    }

    fn event(&mut self, event: &Value) {
        match event.get("type").and_then(Value::as_str) {
            Some("agent_reasoning") => self.reason(field(event, "text")),
            // It closes a model call.
            Some("token_count") => self.is_answering = false,
            _ => {}
        }
    }

    /// Reasoning is recorded as an event and as an item.
    fn reason(&mut self, text: Option<String>) {
        self.reasoning.extend(text.filter(|text| !self.reasoning.contains(text)));
    }

    fn item(&mut self, item: &Value) -> Result<(), BadLine> {
        let kind = text(item.get("type")).unwrap_or_else(|| "unknown".to_owned());
        self.item_types.insert(kind.clone());
        match &*kind {
            "message" => self.message(item)?,
            "function_call" | "custom_tool_call" | "apply_patch_call" => {
                let input =
                    item.get("arguments").map_or_else(|| text(item.get("input")), |value| Some(arguments(Some(value))));
                let arguments = input.unwrap_or_default();
                self.call(ToolCall { id: required(item, "call_id")?, name: required(item, "name")?, arguments });
            }
            "local_shell_call" => {
                let id =
                    field(item, "call_id").or_else(|| field(item, "id")).ok_or_else(|| BadLine::new("no call_id"))?;
                self.call(ToolCall { id, name: "local_shell".to_owned(), arguments: arguments(item.get("action")) });
            }
            "function_call_output" | "custom_tool_call_output" | "apply_patch_call_output" => {
                let result = Message::tool(output(item.get("output")), Some(required(item, "call_id")?));
                self.is_answering = false;
                self.messages.push(result);
            }
            "reasoning" => {
                for part in item.get("summary").and_then(Value::as_array).into_iter().flatten() {
                    self.reason(field(part, "text"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn message(&mut self, item: &Value) -> Result<(), BadLine> {
        let role = role(item.get("role").and_then(Value::as_str)).ok_or_else(|| BadLine::new("an unknown role"))?;
        let message = Message::new(role, blocks(item.get("content")));
        if role == "assistant" {
            self.answer(message);
        } else {
            // The answer that it belonged to never came.
            self.unattached.append(&mut self.reasoning);
            self.is_answering = false;
            self.messages.push(message);
        }
        Ok(())
    }

    fn call(&mut self, call: ToolCall) {
        self.answer(Message { tool_calls: vec![call], ..Message::new("assistant", vec![text_block("")]) });
    }

    fn answer(&mut self, mut part: Message) {
        let reasoning = std::mem::take(&mut self.reasoning);
        part.reasoning = (!reasoning.is_empty()).then(|| reasoning.join("\n\n"));
        push_answer(&mut self.messages, part, self.is_answering);
        self.is_answering = true;
    }

    fn finish(mut self, path: &Path) -> Rollout {
        let own = self.meta.unwrap_or_default();
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let id = field(&own, "id").unwrap_or(stem);
        let mut meta = Map::new();
        meta.insert("record_count".to_owned(), json!(self.records));
        meta.insert("record_types".to_owned(), json!(self.types));
        meta.insert("response_item_types".to_owned(), json!(self.item_types));
        for name in META_FIELDS {
            insert(&mut meta, name, own.get(name).filter(|value| !value.is_null() && *value != "").cloned());
        }
        self.unattached.append(&mut self.reasoning);
        insert(&mut meta, "unattached_reasoning", (!self.unattached.is_empty()).then(|| json!(self.unattached)));
        let spawn = own.pointer("/source/subagent/thread_spawn");
        let parent = spawn.and_then(|spawn| field(spawn, "parent_thread_id"));
        let mut rollout = Rollout::new(KIND, path, id);
        if let Some(parent) = parent {
            rollout.agent_id = Some(rollout.trace_id.clone());
            (rollout.root_session_id, rollout.is_sidechain) = (parent, true);
        }
        Rollout {
            cwd: field(&own, "cwd"),
            project_path: field(&own, "cwd"),
            git_branch: own.get("git").and_then(|git| field(git, "branch")).or_else(|| field(&own, "git_branch")),
            started_at: field(&own, "timestamp").or_else(|| self.times.first()),
            ended_at: self.times.last(),
            messages: self.messages,
            source_meta: meta,
            ..rollout
        }
    }
}

/// The output of a tool: text, or parts of it; an object of another kind is its JSON.
fn output(output: Option<&Value>) -> Vec<super::model::Block> {
    match output {
        Some(object @ Value::Object(_)) => vec![text_block(&python_json(object))],
        other => blocks_or_empty(other),
    }
}
