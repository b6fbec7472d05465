//! Messages as JSON, each encoded once.

use agentgen_trace::transcript::{Message, MessageId, Part, Role, estimated_tokens};

use crate::answer::ReasoningField;
use crate::request::options::Reasoning;

/// The items of a `messages` array with their estimated tokens.
#[derive(Debug, Default)]
pub(super) struct Array {
    json: Vec<u8>,
    ends: Vec<End>,
    /// Which reasoning it holds.
    reasoning: Reasoning,
    /// The field that the reasoning of further messages is sent in.
    pub reasoning_field: ReasoningField,
}

/// A message of the array.
#[derive(Debug, Clone, Copy)]
struct End {
    id: MessageId,
    /// Whether it holds the message's reasoning, if it has any.
    has_reasoning: bool,
    /// Bytes of the items up to its end.
    bytes: usize,
    /// Tokens up to its end.
    tokens: u64,
}

impl Array {
    /// An array without items.
    pub fn new(reasoning: Reasoning) -> Self {
        Self { reasoning, ..Self::default() }
    }

    /// The items, separated by commas.
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// Estimated tokens of all messages.
    pub fn tokens(&self) -> u64 {
        self.ends.last().map_or(0, |end| end.tokens)
    }

    /// Makes the array hold a prompt; encodes only the messages that it does not hold already. An error if a message
    /// cannot be sent.
    pub fn set(&mut self, prompt: &[(MessageId, &Message)]) -> Result<(), String> {
        let is_of_user = |(_, message): &(MessageId, &Message)| {
            message.role == Role::User && message.tool_results().next().is_none()
        };
        let from = match self.reasoning {
            Reasoning::Keep => 0,
            Reasoning::InToolTurns => prompt.iter().rposition(is_of_user).unwrap_or(0),
            Reasoning::Drop => prompt.len(),
        };
        let has_reasoning = |at: usize, message: &Message| at >= from && reasoning_tokens(message) > 0;
        let held = self.ends.iter().zip(prompt).enumerate();
        let is_same = |(at, (held, (id, message))): &(usize, (&End, &(MessageId, &Message)))| {
            held.id == *id && held.has_reasoning == has_reasoning(*at, message)
        };
        let kept = held.take_while(is_same).count();
        self.ends.truncate(kept);
        self.json.truncate(self.ends.last().map_or(0, |end| end.bytes));
        for (at, (id, message)) in prompt.iter().enumerate().skip(kept) {
            let has_reasoning = has_reasoning(at, message);
            self.push(message, has_reasoning)?;
            let dropped = if has_reasoning { 0 } else { reasoning_tokens(message) };
            let tokens = self.tokens() + message.tokens() - dropped;
            self.ends.push(End { id: *id, has_reasoning, bytes: self.json.len(), tokens });
        }
        Ok(())
    }

    fn push(&mut self, message: &Message, has_reasoning: bool) -> Result<(), String> {
        let missing =
            message.parts.iter().find_map(|part| if let Part::Other { kind } = part { Some(kind) } else { None });
        if let Some(kind) = missing {
            return Err(format!("the prompt holds a part of kind {kind:?}, whose content was not recorded"));
        }
        let name = message.name.as_deref();
        if message.role == Role::Assistant {
            self.assistant(name, message, has_reasoning);
            return Ok(());
        }
        for part in &message.parts {
            match part {
                Part::ToolResult(result) => {
                    self.start("tool", name);
                    self.member("tool_call_id", &result.tool_call_id);
                    self.member("content", &result.content);
                }
                Part::Text(text) => {
                    self.start(message.role.name(), name);
                    self.member("content", text);
                }
                _ => continue,
            }
            self.json.push(b'}');
        }
        Ok(())
    }

    fn assistant(&mut self, name: Option<&str>, message: &Message, has_reasoning: bool) {
        let (mut content, mut reasoning) = (None::<String>, None::<String>);
        for part in &message.parts {
            match part {
                Part::Text(text) => content.get_or_insert_default().push_str(text),
                Part::Reasoning(text) => reasoning.get_or_insert_default().push_str(text),
                _ => {}
            }
        }
        self.start("assistant", name);
        match content {
            Some(content) => self.member("content", &content),
            None => self.json.extend_from_slice(br#","content":null"#),
        }
        if let Some(reasoning) = reasoning.filter(|_| has_reasoning) {
            self.member(self.reasoning_field.name(), &reasoning);
        }
        let mut separator = &br#","tool_calls":["#[..];
        for call in message.tool_calls() {
            self.json.extend_from_slice(separator);
            separator = b",";
            self.json.extend_from_slice(br#"{"type":"function""#);
            self.member("id", &call.id);
            self.json.extend_from_slice(br#","function":{"name":"#);
            string(&mut self.json, &call.name);
            self.member("arguments", &call.arguments);
            self.json.extend_from_slice(b"}}");
        }
        if separator == b"," {
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

/// Estimated tokens of a message's reasoning.
fn reasoning_tokens(message: &Message) -> u64 {
    let texts =
        message.parts.iter().map(|part| if let Part::Reasoning(text) = part { estimated_tokens(text) } else { 0 });
    texts.sum()
}

/// Writes a string as JSON.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a string is JSON, and memory takes it");
}
