//! Requests of recorded conversations.
#![allow(clippy::unwrap_used)] // clippy's exception for tests does not reach their helpers

mod histories;
mod parameters;
mod prefixes;

use std::io::Write as _;
use std::sync::Arc;

use agentgen_trace::Cancel;
use agentgen_trace::transcript::{ToolCall, Transcript, flat};
use serde_json::{Value, json};

use super::*;

/// The conversation of rows, which get its name and their turns.
fn conversation(rows: &[Value]) -> Transcript {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for (at, row) in rows.iter().enumerate() {
        let mut row = row.clone();
        (row["conversation_id"], row["turn"]) = (json!("c"), json!(at + 1));
        writeln!(file, "{row}").unwrap();
    }
    let mut all: Vec<_> = flat::read(file.path(), &Cancel::default()).collect::<Result<_, _>>().unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn options(history: History, salt: &str, request: &Value) -> Arc<MessagesOptions> {
    let history = if history == History::Live { "live" } else { "recorded" };
    let options = json!({
        "endpoint": "chat", "prompt_mode": "text", "history": history, "salt": salt, "words": null, "model": "m",
        "stream": false, "request": request, "max_tokens_field": "auto", "is_linked": false, "transcripts": null,
        "trace_block_size": null,
    });
    Arc::new(MessagesOptions::new(&serde_json::from_value(options).unwrap()).unwrap())
}

fn session(rows: &[Value], history: History) -> MessagesSession {
    MessagesSession::new(conversation(rows), &options(history, "", &json!({})))
}

fn session_with(rows: &[Value], reasoning: &str) -> MessagesSession {
    with_reasoning(rows, History::Live, reasoning)
}

fn recorded_with(rows: &[Value], reasoning: &str) -> MessagesSession {
    with_reasoning(rows, History::Recorded, reasoning)
}

fn with_reasoning(rows: &[Value], history: History, reasoning: &str) -> MessagesSession {
    let mut options = Arc::into_inner(options(history, "", &json!({}))).unwrap();
    options.reasoning = serde_json::from_value(json!(reasoning)).unwrap();
    MessagesSession::new(conversation(rows), &Arc::new(options))
}

fn sent(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

/// Bodies of all requests with the recorded history.
fn bodies(rows: &[Value], request: &Value) -> Vec<Value> {
    let mut session = MessagesSession::new(conversation(rows), &options(History::Recorded, "", request));
    (0..session.turns()).map(|_| sent(&session.request().unwrap())).collect()
}

fn user(content: &str) -> Value {
    json!({"role": "user", "content": content})
}

fn answer(content: &str) -> Value {
    json!({"role": "assistant", "content": content})
}

fn calls(ids: &[&str]) -> Value {
    let calls =
        ids.iter().map(|id| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}}));
    json!({"role": "assistant", "tool_calls": calls.collect::<Vec<_>>()})
}

fn results(ids: &[&str]) -> Value {
    let results = ids.iter().map(|id| json!({"tool_call_id": id, "content": format!("result {id}")}));
    json!({"role": "tool", "tool_results": results.collect::<Vec<_>>()})
}

fn live(ids: &[&str]) -> Vec<ToolCall> {
    let call = |id: &&str| ToolCall { id: (*id).to_owned(), name: "g".to_owned(), arguments: "{\"x\": 1}".to_owned() };
    ids.iter().map(call).collect()
}
