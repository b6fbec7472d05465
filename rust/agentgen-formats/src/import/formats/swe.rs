//! Trajectories of SWE-agent and mini-swe-agent: conversations of an agent with a shell.

use std::path::Path;

use agentgen_trace::error::Result;
use serde_json::Value;

use super::chat::{self, Conversation, Kind, Message};
use super::support::read_values;
use super::{Format, Head, HeadObject, no_folders};
use crate::import::lines::{BadLine, read_document};
use crate::import::model::{Part, RecordedSession, Recording, ToolUse, Usage};
use crate::import::time::{duration_ms, epoch_ms};

/// Trajectories of SWE-agent.
pub const SWE_AGENT: Format = Format {
    name: "swe-agent",
    title: "trajectories of SWE-agent",
    extensions: &["traj", "json", "jsonl"],
    recognises: is_swe_agent,
    read: read_swe_agent,
    default_folders: no_folders,
};

/// Trajectories of mini-swe-agent.
pub const MINI: Format = Format {
    name: "mini-swe-agent",
    title: "trajectories of mini-swe-agent",
    extensions: &["json"],
    recognises: is_mini,
    read: read_mini,
    default_folders: no_folders,
};

/// Why messages are left out.
const UNKNOWN_ROLE: &str = "messages of unknown roles";

/// Why a trajectory is left out.
const EMPTY: &str = "sessions without a model call";

/// What a command is a use of; trajectories do not name tools.
const SHELL: &str = "shell";

fn is_swe_agent(head: &Head) -> bool {
    head.any(|object| {
        let has_trajectory = object.has_array("trajectory");
        has_trajectory && ["history", "info", "environment", "instance_id"].iter().any(|key| object.has(key))
    })
}

fn is_mini(head: &Head) -> bool {
    let is_document = head.any(|object| {
        let is_named = object.text("trajectory_format").is_some_and(|name| name.starts_with("mini-swe-agent"));
        is_named || object.has_array("messages") && object.object("info").is_some_and(|info| info.has("exit_status"))
    });
    let is_message = |object: &HeadObject| object.has_all(&["role", "content"]);
    is_document || head.is_array && head.objects.len() > 1 && head.objects.iter().all(is_message)
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

fn list<'a>(value: &'a Value, key: &str) -> Option<&'a Vec<Value>> {
    value.get(key).and_then(Value::as_array)
}

fn stem(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.split('.').next().unwrap_or_default().to_owned()
}

/// Adds a trajectory.
fn push(mut found: RecordedSession, recording: &mut Recording) {
    for (index, call) in found.calls.iter_mut().enumerate() {
        call.id = Some(format!("{}:{index}", found.key));
    }
    if found.calls.is_empty() {
        recording.leave_out(EMPTY, 1);
    } else {
        recording.sessions.push(found);
    }
}

/// A conversation in which everything after the first answer is what the shell said.
#[derive(Default)]
struct Run {
    conversation: Conversation,
    unknown: u64,
}

impl Run {
    fn message(&mut self, value: &Value) {
        match chat::message(value) {
            Ok(message) => self.add(message),
            Err(_) => self.unknown += 1,
        }
    }

    fn add(&mut self, mut message: Message) {
        if message.kind == Kind::Human && self.conversation.has_answer() {
            message.kind = Kind::Result;
        }
        if message.kind == Kind::Answer && message.tools.is_empty() {
            message.tools.push(ToolUse { name: SHELL.to_owned(), ..ToolUse::default() });
        }
        self.conversation.push(message);
    }
}

fn read_swe_agent(path: &Path) -> Result<Recording> {
    let (mut recording, mut found) = (Recording::default(), Recording::default());
    read_values(path, &mut recording, |json, line| {
        let value: Value = serde_json::from_str(json)?;
        let steps = list(&value, "trajectory").ok_or_else(|| BadLine::new("no trajectory"))?;
        let mut run = Run::default();
        match list(&value, "history") {
            Some(history) => history.iter().for_each(|entry| from_history(entry, &mut run)),
            None => steps.iter().for_each(|step| from_step(step, &mut run)),
        }
        found.leave_out(UNKNOWN_ROLE, run.unknown);
        let name = text(&value, "instance_id").or_else(|| text(&value, "environment"));
        // A document on one line has the name of its file.
        let line = line.filter(|line| *line > 1);
        let key = line.map_or_else(|| stem(path), |line| format!("{}:{line}", stem(path)));
        let mut session = RecordedSession::new(key, SWE_AGENT.name, run.conversation.answered());
        session.project = name.map(str::to_owned);
        let model = text(&value, "model_name").map(str::to_owned);
        let times: Vec<Option<f64>> = steps.iter().map(|s| s.get("execution_time").and_then(Value::as_f64)).collect();
        // Steps and answers correspond only if there are as many.
        let has_times = times.len() == session.calls.len();
        for (index, call) in session.calls.iter_mut().enumerate() {
            call.model.clone_from(&model);
            let seconds = times.get(index).copied().flatten().filter(|_| has_times);
            if let (Some(seconds), [tool]) = (seconds, &mut call.tools[..]) {
                tool.internal_ms = duration_ms(Some(seconds * 1000.0));
            }
        }
        push(session, &mut found);
        Ok(())
    })?;
    recording.append(found);
    Ok(recording)
}

/// An entry of the history. Demonstrations are part of the first prompt.
fn from_history(entry: &Value, run: &mut Run) {
    let is_demo = entry.get("is_demo").and_then(Value::as_bool).unwrap_or(false);
    match chat::message(entry) {
        Ok(message) if is_demo => run.conversation.push(Message { kind: Kind::Context, tools: Vec::new(), ..message }),
        Ok(message) => run.add(message),
        Err(_) => run.unknown += 1,
    }
}

/// A step: a message of the data set of Nebius, or an answer and what the shell said to it.
fn from_step(step: &Value, run: &mut Run) {
    let part = |kind, role: &str, text: &str| Message { kind, part: Part::new(role, text), tools: Vec::new() };
    let body = text(step, "text").unwrap_or_default();
    match text(step, "role") {
        Some("system") => {
            let prompt = text(step, "system_prompt").unwrap_or(body);
            run.add(part(Kind::Context, "system", prompt));
        }
        Some("user") => run.add(part(Kind::Human, "user", body)),
        Some("ai" | "assistant") => run.add(part(Kind::Answer, "assistant", body)),
        Some(_) => run.unknown += 1,
        None => {
            if let Some(response) = text(step, "response").or_else(|| text(step, "action")) {
                run.add(part(Kind::Answer, "assistant", response));
                run.add(part(Kind::Result, "tool", text(step, "observation").unwrap_or_default()));
            }
        }
    }
}

fn read_mini(path: &Path) -> Result<Recording> {
    let (mut recording, mut found) = (Recording::default(), Recording::default());
    read_document(path, &mut recording, |json, _| {
        let value: Value = serde_json::from_str(json)?;
        let messages = value.as_array().or_else(|| list(&value, "messages"));
        let messages = messages.ok_or_else(|| BadLine::new("no list of messages"))?;
        let mut run = Run::default();
        let mut input_ms = None;
        for message in messages {
            let time = time_ms(message);
            run.message(message);
            if text(message, "role") != Some("assistant") {
                input_ms = time.or(input_ms);
                continue;
            }
            if let Some(call) = run.conversation.last_call() {
                (call.sent_ms, call.end_ms) = (input_ms.take(), time);
                call.usage = usage(message).unwrap_or_default();
            }
        }
        found.leave_out(UNKNOWN_ROLE, run.unknown);
        let info = value.get("info");
        let mut session = RecordedSession::new(stem(path), MINI.name, run.conversation.answered());
        session.client.version = info.and_then(|info| text(info, "mini_version")).map(str::to_owned);
        let model = value.pointer("/info/config/model/model_name").and_then(Value::as_str);
        session.calls.iter_mut().for_each(|call| call.model = model.map(str::to_owned));
        push(session, &mut found);
        Ok(())
    })?;
    recording.append(found);
    Ok(recording)
}

/// When a message was made, in ms; versions put the seconds in different places.
fn time_ms(message: &Value) -> Option<f64> {
    let seconds = message.get("timestamp").or_else(|| message.pointer("/extra/timestamp")).and_then(Value::as_f64);
    epoch_ms(seconds.map(|seconds| seconds * 1000.0))
}

/// The tokens of the response that newer versions keep.
fn usage(message: &Value) -> Option<Usage> {
    let usage = message.pointer("/extra/response/usage")?;
    let count = |path: &str| usage.pointer(path).and_then(Value::as_u64);
    Some(Usage {
        prompt_tokens: count("/prompt_tokens"),
        cached_tokens: count("/prompt_tokens_details/cached_tokens"),
        cache_written_tokens: None,
        output_tokens: count("/completion_tokens"),
        reasoning_tokens: count("/completion_tokens_details/reasoning_tokens"),
    })
}
