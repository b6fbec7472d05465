//! Rollouts of Hermes: snapshots of sessions, and transcripts of its gateway.

use std::path::Path;

use agentgen_trace::error::Result;
use serde_json::{Map, Value, json};

use super::index::Indexes;
use super::model::{Message, Rollout, text_block};
use super::values::{blocks_or_empty, field, insert, python_json, role, text, tool_call};
use crate::import::formats::support::read_values;
use crate::import::lines::BadLine;
use crate::import::model::Recording;

const KIND: &str = "hermes_agent";

/// Why rows are left out that are no messages.
const NO_MESSAGE: &str = "records of the gateway";

/// What the index of the gateway says of a session.
const INDEX_FIELDS: [&str; 13] = [
    "session_key",
    "display_name",
    "platform",
    "chat_type",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "total_tokens",
    "last_prompt_tokens",
    "estimated_cost_usd",
    "cost_status",
    "memory_flushed",
];

/// Reads a file.
pub(super) fn read(path: &Path, indexes: &Indexes, recording: &mut Recording) -> Result<Vec<Rollout>> {
    let (mut rollouts, mut transcript, mut others) = (Vec::new(), Vec::new(), 0);
    read_values(path, recording, |json, _| {
        let value: Value = serde_json::from_str(json)?;
        if value.get("messages").is_some() {
            rollouts.push(snapshot(&value, path)?);
        } else if value.get("role").and_then(Value::as_str) == Some("session_meta") {
            others += 1;
        } else {
            // A row that is no message costs itself.
            message(&value)?;
            transcript.push(value);
        }
        Ok(())
    })?;
    recording.leave_out(NO_MESSAGE, others);
    if !transcript.is_empty() {
        rollouts.push(gateway(&transcript, path, indexes)?);
    }
    Ok(rollouts)
}

fn message(raw: &Value) -> Result<Message, BadLine> {
    let role = role(raw.get("role").and_then(Value::as_str)).ok_or_else(|| BadLine::new("an unknown role"))?;
    let content = blocks_or_empty(raw.get("content"));
    if role == "tool" {
        return Ok(Message::tool(content, field(raw, "tool_call_id")));
    }
    let calls = raw.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
    Ok(Message {
        reasoning: field(raw, "reasoning").or_else(|| field(raw, "reasoning_content")),
        tool_calls: calls.map(tool_call).collect::<Result<_, _>>()?,
        ..Message::new(role, content)
    })
}

/// Distinct texts in order of their first occurrence.
fn distinct(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut found = Vec::new();
    for text in texts {
        if !found.contains(&text) {
            found.push(text);
        }
    }
    found
}

fn finish_reasons(messages: &[Value]) -> Vec<String> {
    let answers = messages.iter().filter(|message| message.get("role").and_then(Value::as_str) == Some("assistant"));
    distinct(answers.filter_map(|message| field(message, "finish_reason")))
}

fn function_name(tool: &Value) -> Option<String> {
    field(tool.get("function")?, "name")
}

fn snapshot(value: &Value, path: &Path) -> Result<Rollout, BadLine> {
    let raw = value.get("messages").and_then(Value::as_array).ok_or_else(|| BadLine::new("no list of messages"))?;
    let system = field(value, "system_prompt");
    let mut messages: Vec<_> = system.iter().map(|prompt| Message::new("system", vec![text_block(prompt)])).collect();
    for part in raw {
        messages.push(message(part)?);
    }
    let tools = value.get("tools").and_then(Value::as_array);
    let names = distinct(tools.into_iter().flatten().filter_map(function_name));
    let mut meta = Map::new();
    meta.insert("record_count".to_owned(), json!(raw.len()));
    meta.insert("session_format".to_owned(), json!("cli_session_log"));
    meta.insert("available_tool_count".to_owned(), json!(names.len()));
    meta.insert("available_tool_names".to_owned(), json!(names));
    meta.insert("finish_reasons".to_owned(), json!(finish_reasons(raw)));
    for name in ["model", "base_url", "platform"] {
        insert(&mut meta, name, field(value, name));
    }
    insert(&mut meta, "has_system_prompt", system.as_ref().map(|_| true));
    insert(&mut meta, "system_prompt_chars", system.map(|prompt| prompt.chars().count()));
    insert(&mut meta, "tools", value.get("tools").filter(|_| tools.is_some_and(|t| !t.is_empty())).map(python_json));
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let id = text(value.get("session_id")).unwrap_or_else(|| stem.trim_start_matches("session_").to_owned());
    Ok(Rollout {
        started_at: text(value.get("session_start")),
        ended_at: text(value.get("last_updated")),
        messages,
        source_meta: meta,
        ..Rollout::new(KIND, path, id)
    })
}

fn gateway(rows: &[Value], path: &Path, indexes: &Indexes) -> Result<Rollout> {
    let id = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let entry = indexes.hermes(path, &id).unwrap_or_default();
    let calls = rows.iter().filter_map(|row| row.get("tool_calls")?.as_array()).flatten();
    let mut meta = Map::new();
    meta.insert("record_count".to_owned(), json!(rows.len()));
    meta.insert("session_format".to_owned(), json!("gateway_transcript"));
    meta.insert("finish_reasons".to_owned(), json!(finish_reasons(rows)));
    meta.insert("tool_names_used".to_owned(), json!(distinct(calls.filter_map(function_name))));
    for name in INDEX_FIELDS {
        insert(&mut meta, name, entry.get(name).cloned());
    }
    let origin = entry.get("origin").filter(|origin| origin.as_object().is_some_and(|origin| !origin.is_empty()));
    insert(&mut meta, "origin", origin.cloned());
    let messages = rows.iter().map(message).collect::<Result<_, _>>();
    Ok(Rollout {
        started_at: text(entry.get("created_at")),
        ended_at: text(entry.get("updated_at")),
        messages: messages.map_err(|bad| agentgen_trace::TraceError::internal(bad.reason()))?,
        source_meta: meta,
        ..Rollout::new(KIND, path, id)
    })
}
