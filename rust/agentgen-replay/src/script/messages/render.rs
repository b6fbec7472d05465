//! Messages as JSON, each written once.

use std::collections::HashMap;

use agentgen_trace::transcript::{Message, Row, ToolCall, estimated_tokens};

/// The items of a `messages` array with what they are estimated to hold; it only grows.
#[derive(Debug, Default)]
pub(super) struct Array {
    json: Vec<u8>,
    tokens: u64,
}

impl Array {
    /// The items, separated by commas.
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// Estimated tokens of all texts.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    pub fn system(&mut self, content: &str) {
        self.start("system", None);
        self.member("content", content);
        self.json.push(b'}');
        self.tokens += estimated_tokens(content);
    }

    /// A recorded row; results name the calls by the ids that `ids` has for the recorded ones.
    pub fn row(&mut self, row: &Row, ids: &HashMap<String, String>) {
        let name = row.name.as_deref();
        match &row.message {
            Message::User { content, .. } => {
                self.start("user", name);
                self.member("content", content);
                self.json.push(b'}');
            }
            Message::Assistant { content, reasoning, tool_calls } => {
                self.assistant(name, content.as_deref(), reasoning.as_deref(), tool_calls);
            }
            Message::Tool { results, .. } => {
                for result in results {
                    self.start("tool", name);
                    self.member("tool_call_id", ids.get(&result.tool_call_id).unwrap_or(&result.tool_call_id));
                    self.member("content", &result.content);
                    self.json.push(b'}');
                }
            }
        }
        self.tokens += row.tokens();
    }

    /// What a server answered.
    pub fn answer(&mut self, text: &str, reasoning: &str, tool_calls: &[ToolCall]) {
        // Nothing but calls is null; nothing at all is an empty text, for a message needs one of them.
        let content = (!text.is_empty() || tool_calls.is_empty()).then_some(text);
        self.assistant(None, content, (!reasoning.is_empty()).then_some(reasoning), tool_calls);
        self.tokens += estimated_tokens(text) + estimated_tokens(reasoning);
        self.tokens += tool_calls.iter().map(ToolCall::tokens).sum::<u64>();
    }

    fn assistant(&mut self, name: Option<&str>, content: Option<&str>, reasoning: Option<&str>, calls: &[ToolCall]) {
        self.start("assistant", name);
        match content {
            Some(content) => self.member("content", content),
            None => self.json.extend_from_slice(br#","content":null"#),
        }
        if let Some(reasoning) = reasoning {
            self.member("reasoning_content", reasoning);
        }
        for (at, call) in calls.iter().enumerate() {
            self.json.extend_from_slice(if at == 0 {
                br#","tool_calls":[{"type":"function""#
            } else {
                br#",{"type":"function""#
            });
            self.member("id", &call.id);
            self.json.extend_from_slice(br#","function":{"name":"#);
            string(&mut self.json, &call.name);
            self.member("arguments", &call.arguments);
            self.json.extend_from_slice(b"}}");
        }
        if !calls.is_empty() {
            self.json.push(b']');
        }
        self.json.push(b'}');
    }

    fn start(&mut self, role: &str, name: Option<&str>) {
        if !self.json.is_empty() {
            self.json.push(b',');
        }
        self.json.extend_from_slice(br#"{"role":"#);
        string(&mut self.json, role);
        if let Some(name) = name {
            self.member("name", name);
        }
    }

    fn member(&mut self, name: &str, value: &str) {
        self.json.push(b',');
        string(&mut self.json, name);
        self.json.push(b':');
        string(&mut self.json, value);
    }
}

/// Writes a string as JSON.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a string is JSON, and memory takes it");
}
