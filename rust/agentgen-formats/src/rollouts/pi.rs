//! Rollouts of Pi: the branch that a session ended on.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use agentgen_trace::error::Result;
use serde_json::{Map, Value, json};

use super::model::{Message, Rollout, ToolCall, text_block};
use super::values::{Times, arguments, blocks_or_empty, field, insert, text};
use crate::import::lines::{BadLine, read_lines};
use crate::import::model::Recording;

const KIND: &str = "pi_coding_agent";

/// Reads a file.
pub(super) fn read(path: &Path, recording: &mut Recording) -> Result<Vec<Rollout>> {
    let (mut header, mut entries, mut records) = (None, Vec::new(), 0_u64);
    read_lines(path, recording, |line, _| {
        let row: Value = serde_json::from_str(line)?;
        if !row.is_object() {
            return Err(BadLine::new("not a JSON object"));
        }
        records += 1;
        if header.is_none() && row.get("type").and_then(Value::as_str) == Some("session") {
            header = Some(row);
        } else {
            entries.push(row);
        }
        Ok(())
    })?;
    if records == 0 {
        return Ok(Vec::new());
    }
    let header = header.unwrap_or_default();
    let mut branch = Branch::default();
    for entry in active_path(&entries) {
        branch.add(entry);
    }
    Ok(vec![branch.finish(path, &header, &entries, records)])
}

/// The entries from the root to the last one. Entries without ids, as those of version 1, follow each other.
fn active_path(entries: &[Value]) -> Vec<&Value> {
    let by_id: HashMap<String, usize> =
        entries.iter().enumerate().filter_map(|(index, entry)| Some((field(entry, "id")?, index))).collect();
    let (mut path, mut visited) = (Vec::new(), HashSet::new());
    let mut next = entries.len().checked_sub(1);
    while let Some(index) = next.filter(|index| visited.insert(*index)) {
        let entry = &entries[index];
        path.push(entry);
        next = if entry.get("id").is_some() {
            field(entry, "parentId").and_then(|parent| by_id.get(&parent)).copied()
        } else {
            index.checked_sub(1)
        };
    }
    path.reverse();
    path
}

#[derive(Default)]
struct Branch {
    messages: Vec<Message>,
    types: BTreeSet<String>,
    models: Vec<String>,
    stop_reasons: Vec<String>,
    commands: u64,
    /// Tool calls without a result so far: id and name.
    waiting: Vec<(String, String)>,
}

fn add_new(list: &mut Vec<String>, value: Option<String>) {
    list.extend(value.filter(|value| !list.contains(value)));
}

/// The texts of a list of blocks with a type, or a plain text.
fn texts(content: Option<&Value>, kind: &str, key: &str) -> Vec<String> {
    let Some(Value::Array(parts)) = content else {
        return if kind == "text" { text(content).into_iter().collect() } else { Vec::new() };
    };
    let of = |part: &Value| match part {
        Value::String(plain) if kind == "text" => Some(plain.clone()).filter(|plain| !plain.is_empty()),
        part if part.get("type").and_then(Value::as_str) == Some(kind) => field(part, key),
        _ => None,
    };
    parts.iter().filter_map(of).collect()
}

impl Branch {
    fn add(&mut self, entry: &Value) {
        let kind = text(entry.get("type")).unwrap_or_else(|| "unknown".to_owned());
        self.types.insert(kind.clone());
        match &*kind {
            "model_change" => add_new(&mut self.models, field(entry, "modelId")),
            "compaction" | "branch_summary" => {
                self.messages.extend(field(entry, "summary").map(|summary| Message::summary(&summary)));
            }
            "custom_message" => self.custom(entry),
            "message" => {
                if let Some(message) = entry.get("message").filter(|message| message.is_object()) {
                    self.message(entry, message);
                }
            }
            _ => {}
        }
    }

    /// What an extension shows is in the prompt; what it stores is not.
    fn custom(&mut self, message: &Value) {
        if message.get("display").and_then(Value::as_bool) == Some(true) {
            self.messages.push(Message::new("system", blocks_or_empty(message.get("content"))));
        }
    }

    fn message(&mut self, entry: &Value, message: &Value) {
        match message.get("role").and_then(Value::as_str).unwrap_or_default() {
            "user" => self.messages.push(Message::new("user", blocks_or_empty(message.get("content")))),
            "assistant" => self.answer(message),
            "toolResult" => {
                let call = self.call_of(message);
                self.messages.push(Message::tool(blocks_or_empty(message.get("content")), call));
            }
            "bashExecution" => self.command(entry, message),
            "custom" => self.custom(message),
            "compactionSummary" | "branchSummary" => {
                self.messages.extend(field(message, "summary").map(|summary| Message::summary(&summary)));
            }
            _ => {}
        }
    }

    fn answer(&mut self, message: &Value) {
        add_new(&mut self.stop_reasons, field(message, "stopReason"));
        add_new(&mut self.models, field(message, "model"));
        let content = message.get("content");
        let reasoning = texts(content, "thinking", "thinking").join("\n\n");
        let calls = content.and_then(Value::as_array).into_iter().flatten();
        let calls: Vec<_> = calls
            .filter(|part| part.get("type").and_then(Value::as_str) == Some("toolCall"))
            .map(|part| ToolCall {
                id: text(part.get("id")).unwrap_or_default(),
                name: text(part.get("name")).unwrap_or_default(),
                arguments: arguments(part.get("arguments")),
            })
            .collect();
        self.waiting.extend(calls.iter().map(|call| (call.id.clone(), call.name.clone())));
        let text = texts(content, "text", "text").join("\n\n");
        self.messages.push(Message {
            reasoning: (!reasoning.is_empty()).then_some(reasoning),
            tool_calls: calls,
            ..Message::new("assistant", vec![text_block(&text)])
        });
    }

    /// The call that a result is of: the one that it names, else the first that waits for a result of its tool.
    fn call_of(&mut self, result: &Value) -> Option<String> {
        let (id, name) = (field(result, "toolCallId"), field(result, "toolName"));
        let at = match &id {
            Some(id) => self.waiting.iter().position(|(waiting, _)| waiting == id),
            None => self.waiting.iter().position(|(_, tool)| Some(tool) == name.as_ref()),
        };
        let waiting = at.map(|at| self.waiting.remove(at).0);
        id.or(waiting)
    }

    /// A command of the user, as a tool call and its result.
    fn command(&mut self, entry: &Value, message: &Value) {
        self.commands += 1;
        if message.get("excludeFromContext").and_then(Value::as_bool) == Some(true) {
            return;
        }
        let number = self.commands;
        let id = field(entry, "id").map_or_else(|| format!("bash_{number}"), |id| format!("bash_{id}"));
        let command = text(message.get("command")).unwrap_or_default();
        let code = text(message.get("exitCode")).map(|code| format!("[exit code: {code}]"));
        let output: Vec<_> = field(message, "output").into_iter().chain(code).collect();
        let call = ToolCall {
            id: id.clone(),
            name: "bash".to_owned(),
            arguments: arguments(Some(&json!({ "command": command }))),
        };
        self.messages.push(Message { tool_calls: vec![call], ..Message::new("assistant", vec![text_block("")]) });
        self.messages.push(Message::tool(vec![text_block(&output.join("\n"))], Some(id)));
    }

    fn finish(self, path: &Path, header: &Value, entries: &[Value], records: u64) -> Rollout {
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let (mut times, mut parents) = (Times::default(), HashSet::new());
        times.add(text(header.get("timestamp")));
        let mut has_branches = false;
        for entry in entries {
            times.add(text(entry.get("timestamp")));
            has_branches |= field(entry, "parentId").is_some_and(|parent| !parents.insert(parent));
        }
        let mut meta = Map::new();
        meta.insert("record_count".to_owned(), json!(records));
        meta.insert("entry_types".to_owned(), json!(self.types));
        meta.insert("stop_reasons".to_owned(), json!(self.stop_reasons));
        insert(&mut meta, "session_version", header.get("version").filter(|version| !version.is_null()).cloned());
        insert(&mut meta, "models_used", (!self.models.is_empty()).then(|| json!(self.models)));
        insert(&mut meta, "has_branches", has_branches.then_some(true));
        insert(&mut meta, "bash_execution_count", (self.commands > 0).then_some(self.commands));
        insert(&mut meta, "parent_session", field(header, "parentSession"));
        Rollout {
            cwd: field(header, "cwd"),
            project_path: field(header, "cwd"),
            started_at: times.first(),
            ended_at: times.last(),
            messages: self.messages,
            source_meta: meta,
            ..Rollout::new(KIND, path, field(header, "id").unwrap_or(stem))
        }
    }
}
