//! Multi-turn messages of `MLPerf`: one message a row, or snapshots of whole histories.

use std::collections::BTreeMap;
use std::path::Path;

use agentgen_trace::error::Result;
use agentgen_trace::transcript::flat::Reader;
use agentgen_trace::transcript::{self, Transcript};
use serde::Deserialize;
use serde_json::Value;

use super::chat::{Conversation, message, tools_part};
use super::support::{key, problem, read_values};
use super::values::Name;
use super::{Format, Head, no_folders};
use crate::import::lines::BadLine;
use crate::import::model::{Call, Part, Prompt, RecordedSession, Recording, ToolUse, Trigger, Usage};

pub const FORMAT: Format = Format {
    name: "mlperf",
    title: "multi-turn messages of MLPerf",
    extensions: &["jsonl"],
    recognises: |head: &Head| {
        head.any(|o| o.has_all(&["conversation_id", "turn", "role"]) || o.text("_type") == Some("dataset_metadata"))
    },
    read,
    default_folders: no_folders,
};

pub const SNAPSHOTS: Format = Format {
    name: "mlperf-snapshots",
    title: "snapshots of MLPerf conversations",
    extensions: &["jsonl"],
    recognises: |head: &Head| {
        head.any(|o| o.has_all(&["conversation_id", "conversation_idx"]) && o.has_array("messages"))
    },
    read: read_snapshots,
    default_folders: no_folders,
};

fn read(path: &Path) -> Result<Recording> {
    let (mut recording, mut diagnostics) = (Recording::default(), Vec::new());
    let mut reader = Reader::new(&[path.to_owned()]);
    loop {
        let sessions = &mut recording.sessions;
        let goes_on = reader.step(&mut diagnostics, |transcript| sessions.push(session_of(path, &transcript)))?;
        diagnostics.sort_by_key(agentgen_trace::diagnostic::Diagnostic::place);
        for found in diagnostics.drain(..) {
            // What was found quotes the row.
            let line = Some(found.line).filter(|line| *line > 0);
            problem(&mut recording, path, line, format!("{}: expected {}", found.rule, found.expected));
        }
        if !goes_on {
            return Ok(recording);
        }
    }
}

fn session_of(path: &Path, transcript: &Transcript) -> RecordedSession {
    let model = |parameters: &transcript::Parameters| serde_json::from_str(parameters.get("model")?).ok();
    let tools = transcript.parameters.get("tools").or(transcript.requests[0].parameters.get("tools"));
    let mut parts: Vec<Part> = tools.map(|tools| Part::new("tools", tools)).into_iter().collect();
    let (mut calls, mut human_turns) = (Vec::with_capacity(transcript.requests.len()), 0_u32);
    for request in &transcript.requests {
        parts.extend(request.messages.iter().map(part));
        let trigger = request.trigger.map(|trigger| match trigger {
            transcript::Trigger::Human => Trigger::Human,
            transcript::Trigger::Tool => Trigger::Tool,
        });
        human_turns += u32::from(trigger == Some(Trigger::Human));
        let answer = request.answer.as_ref();
        let called = |call: &transcript::ToolCall| ToolUse { name: call.name.clone(), ..ToolUse::default() };
        calls.push(Call {
            model: model(&request.parameters).or_else(|| model(&transcript.parameters)),
            trigger,
            human_turn_index: human_turns.saturating_sub(1),
            usage: Usage { output_tokens: request.usage.output, ..Usage::default() },
            prompt: Prompt::Appended(std::mem::take(&mut parts)),
            delay_ms: request.delay_ms,
            output_bytes: answer.map(|answer| part(answer).bytes),
            tools: answer.iter().flat_map(|answer| answer.tool_calls()).map(called).collect(),
            ..Call::default()
        });
        parts.extend(answer.map(part));
    }
    RecordedSession::new(key(path, &transcript.id), FORMAT.name, calls)
}

/// A message as a part; calls and results of tools are text, like the rest.
fn part(message: &transcript::Message) -> Part {
    let mut text = String::new();
    for part in &message.parts {
        match part {
            transcript::Part::Text(part) | transcript::Part::Reasoning(part) => text.push_str(part),
            transcript::Part::ToolCall(call) => {
                text.push_str(&call.name);
                text.push('\n');
                text.push_str(&call.arguments);
            }
            transcript::Part::ToolResult(result) => text.push_str(&result.content),
            transcript::Part::Other { kind } => text.push_str(kind),
        }
        text.push('\n');
    }
    Part::new(message.role.name(), &text)
}

#[derive(Deserialize)]
struct Snapshot {
    conversation_id: Name,
    conversation_idx: u64,
    messages: Vec<Value>,
    tools: Option<Value>,
}

/// Reads snapshots: the one with the largest index has the whole conversation.
fn read_snapshots(path: &Path) -> Result<Recording> {
    let mut recording = Recording::default();
    let mut latest: BTreeMap<String, (u64, Vec<Call>)> = BTreeMap::new();
    let mut earlier = 0;
    read_values(path, &mut recording, |text, _| {
        let snapshot: Snapshot = serde_json::from_str(text)?;
        let name = snapshot.conversation_id.to_string();
        if latest.get(&name).is_some_and(|(index, _)| snapshot.conversation_idx <= *index) {
            earlier += 1;
            return Ok(());
        }
        let mut conversation = Conversation::default();
        conversation.add_parts(tools_part(snapshot.tools.as_ref()));
        for item in &snapshot.messages {
            conversation.push(message(item)?);
        }
        let calls = conversation.finish();
        if calls.is_empty() {
            return Err(BadLine::new("messages without a request"));
        }
        earlier += u64::from(latest.insert(name, (snapshot.conversation_idx, calls)).is_some());
        Ok(())
    })?;
    let sessions =
        latest.into_iter().map(|(name, (_, calls))| RecordedSession::new(key(path, name), SNAPSHOTS.name, calls));
    recording.sessions = sessions.collect();
    recording.leave_out("earlier snapshots of conversations", earlier);
    Ok(recording)
}
