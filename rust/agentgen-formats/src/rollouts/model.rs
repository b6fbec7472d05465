//! A rollout row.

use std::path::Path;

use serde_json::{Map, Value, json};

/// The session of one agent, with its text.
#[derive(Debug, Default)]
pub(super) struct Rollout {
    pub trace_id: String,
    pub source_kind: &'static str,
    pub source_path: String,
    /// The session that a main agent and its sub-agents share.
    pub root_session_id: String,
    pub agent_id: Option<String>,
    pub is_sidechain: bool,
    pub cwd: Option<String>,
    pub project_path: Option<String>,
    pub git_branch: Option<String>,
    /// As the source spells it.
    pub started_at: Option<String>,
    pub ended_at: Option<String>,
    pub messages: Vec<Message>,
    pub source_meta: Map<String, Value>,
}

/// A message in the form of chat requests.
#[derive(Debug, Default)]
pub(super) struct Message {
    /// `user`, `assistant`, `system` or `tool`.
    pub role: &'static str,
    pub content: Vec<Block>,
    pub reasoning: Option<String>,
    pub tool_calls: Vec<ToolCall>,
    pub tool_call_id: Option<String>,
}

/// A part of a message's content: an object with a `type`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Block(pub Map<String, Value>);

/// A tool call of an answer.
#[derive(Debug, PartialEq)]
pub(super) struct ToolCall {
    pub id: String,
    pub name: String,
    /// The JSON text of an object, or whatever text the model wrote.
    pub arguments: String,
}

impl Rollout {
    pub fn new(kind: &'static str, path: &Path, id: String) -> Self {
        Self {
            trace_id: id.clone(),
            root_session_id: id,
            source_kind: kind,
            source_path: path.display().to_string(),
            ..Self::default()
        }
    }

    /// Tool calls of all messages.
    pub fn tool_call_count(&self) -> usize {
        self.messages.iter().map(|message| message.tool_calls.len()).sum()
    }

    /// The text of the last answer that has one.
    pub fn final_answer(&self) -> Option<String> {
        let answers = self.messages.iter().rev().filter(|message| message.role == "assistant");
        answers.map(Message::text).find(|text| !text.is_empty())
    }

    /// About the bytes of its text, for the size of batches.
    pub fn bytes(&self) -> usize {
        let sizes = self.messages.iter().map(|message| {
            let content: usize = message.content.iter().map(Block::bytes).sum();
            let calls: usize = message.tool_calls.iter().map(|call| call.arguments.len()).sum();
            content + calls + message.reasoning.as_ref().map_or(0, String::len)
        });
        sizes.sum()
    }
}

impl Message {
    pub fn new(role: &'static str, content: Vec<Block>) -> Self {
        Self { role, content, ..Self::default() }
    }

    /// The result of a tool call.
    pub fn tool(content: Vec<Block>, call: Option<String>) -> Self {
        Self { tool_call_id: call, ..Self::new("tool", content) }
    }

    /// A summary that takes the place of history, as a message of the system.
    pub fn summary(text: &str) -> Self {
        Self::new("system", vec![text_block(text)])
    }

    /// The texts of its blocks, with blank lines between them.
    fn text(&self) -> String {
        let texts = self.content.iter().filter_map(Block::text).filter(|text| !text.is_empty());
        texts.collect::<Vec<_>>().join("\n\n")
    }

    /// Adds a part of the same answer.
    pub fn extend(&mut self, part: Self) {
        let is_empty = |blocks: &[Block]| blocks.iter().all(|block| block.text() == Some(""));
        if is_empty(&self.content) && !part.content.is_empty() {
            self.content = part.content;
        } else if !is_empty(&part.content) {
            self.content.extend(part.content);
        }
        self.reasoning = match (self.reasoning.take(), part.reasoning) {
            (Some(before), Some(after)) => Some(format!("{before}\n\n{after}")),
            (before, after) => before.or(after),
        };
        for call in part.tool_calls {
            if !self.tool_calls.contains(&call) {
                self.tool_calls.push(call);
            }
        }
    }
}

impl Block {
    /// Its kind.
    pub fn kind(&self) -> &str {
        self.0.get("type").and_then(Value::as_str).unwrap_or_default()
    }

    /// Its text.
    pub fn text(&self) -> Option<&str> {
        self.0.get("text").and_then(Value::as_str)
    }

    /// Whether it has more than a kind and a text.
    pub fn has_more(&self) -> bool {
        self.text().is_none() || self.0.len() > 2
    }

    fn bytes(&self) -> usize {
        self.text().map_or(0, str::len) + if self.has_more() { json_bytes(&self.0) } else { 0 }
    }
}

/// The block of a text.
pub(super) fn text_block(text: &str) -> Block {
    Block(Map::from_iter([("type".to_owned(), json!("text")), ("text".to_owned(), json!(text))]))
}

/// About the bytes of an object's texts.
fn json_bytes(object: &Map<String, Value>) -> usize {
    fn of(value: &Value) -> usize {
        match value {
            Value::String(text) => text.len(),
            Value::Array(values) => values.iter().map(of).sum(),
            Value::Object(object) => json_bytes(object),
            _ => 8,
        }
    }
    object.iter().map(|(key, value)| key.len() + of(value)).sum()
}
