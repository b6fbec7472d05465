//! Messages as JSON, each encoded once.

use agentgen_trace::transcript::{Message, MessageId, Part, Role};

use crate::answer::ReasoningField;

/// The items of a `messages` array with their estimated tokens.
#[derive(Debug, Default)]
pub(super) struct Array {
    json: Vec<u8>,
    /// Each message with the bytes of `json` and the tokens up to its end.
    ends: Vec<(MessageId, usize, u64)>,
    /// The field that the reasoning of further messages is sent in.
    pub reasoning_field: ReasoningField,
}

impl Array {
    /// The items, separated by commas.
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// Estimated tokens of all messages.
    pub fn tokens(&self) -> u64 {
        self.ends.last().map_or(0, |(_, _, tokens)| *tokens)
    }

    /// Makes the array hold a prompt; encodes only the messages that it does not hold already. An error if a message
    /// cannot be sent.
    pub fn set(&mut self, prompt: &[(MessageId, &Message)]) -> Result<(), String> {
        let kept = self.ends.iter().zip(prompt).take_while(|((held, _, _), (id, _))| held == id).count();
        self.ends.truncate(kept);
        self.json.truncate(self.ends.last().map_or(0, |(_, bytes, _)| *bytes));
        for (id, message) in &prompt[kept..] {
            self.push(message)?;
            self.ends.push((*id, self.json.len(), self.tokens() + message.tokens()));
        }
        Ok(())
    }

    fn push(&mut self, message: &Message) -> Result<(), String> {
        let missing =
            message.parts.iter().find_map(|part| if let Part::Other { kind } = part { Some(kind) } else { None });
        if let Some(kind) = missing {
            return Err(format!("the prompt holds a part of kind {kind:?}, whose content was not recorded"));
        }
        let name = message.name.as_deref();
        if message.role == Role::Assistant {
            self.assistant(name, message);
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

    fn assistant(&mut self, name: Option<&str>, message: &Message) {
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
        if let Some(reasoning) = reasoning {
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

/// Writes a string as JSON.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a string is JSON, and memory takes it");
}
