//! Messages of chat requests as parts of prompts, and recorded conversations as calls.

use serde_json::{Map, Value};
use xxhash_rust::xxh3::xxh3_64;

use crate::import::lines::BadLine;
use crate::import::model::{Call, Part, Prompt, ToolUse, Trigger};

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The system prompt, or what else stands before the conversation.
    Context,
    /// Text of the user.
    Human,
    /// An answer of the model.
    Answer,
    /// Results of tools.
    Result,
}

/// A message without its text.
#[derive(Debug, Clone)]
pub struct Message {
    pub kind: Kind,
    pub part: Part,
    /// Tools that it calls.
    pub tools: Vec<ToolUse>,
}

/// A part of a prompt with its text: the tools, the system prompt, a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// `tools`, `system`, `user`, `assistant` or `tool`.
    pub role: &'static str,
    /// Its text; token ids are numbers with spaces between them.
    pub text: String,
}

/// A message with its text.
pub struct Said {
    pub kind: Kind,
    /// Its text, with tool calls as text; other content (images) by a hash.
    text: String,
    tools: Vec<ToolUse>,
}

impl Said {
    /// As a section of a prompt.
    pub fn section(self) -> Section {
        Section { role: role(self.kind), text: self.text }
    }
}

fn role(kind: Kind) -> &'static str {
    match kind {
        Kind::Context => "system",
        Kind::Human => "user",
        Kind::Answer => "assistant",
        Kind::Result => "tool",
    }
}

/// Reads a message of a chat request: those of `OpenAI` and Anthropic, and those of `OpenTelemetry`'s conventions.
pub fn message(value: &Value) -> Result<Message, BadLine> {
    let Said { kind, text, tools } = said(value)?;
    Ok(Message { kind, part: Part::new(role(kind), &text), tools })
}

/// The same with its text.
pub fn said(value: &Value) -> Result<Said, BadLine> {
    let role = value.get("role").and_then(Value::as_str);
    let item = value.get("type").and_then(Value::as_str);
    let kind = match role {
        Some("system" | "developer") => Kind::Context,
        Some("user") if has_result(value) => Kind::Result,
        Some("user") => Kind::Human,
        Some("assistant") => Kind::Answer,
        Some("tool" | "function") => Kind::Result,
        // Items of OpenAI's responses API have a type instead of a role: results of tools, and what an answer holds.
        Some(_) => return Err(BadLine::new("a message without a known role")),
        None => match item {
            Some(item) if item.ends_with("_output") => Kind::Result,
            Some(_) => Kind::Answer,
            None => return Err(BadLine::new("a message without a known role")),
        },
    };
    let mut content = Content::default();
    for key in ["reasoning_content", "reasoning", "content", "parts", "output", "summary"] {
        if let Some(value) = value.get(key) {
            content.add(value);
        }
    }
    if let Some(calls) = value.get("tool_calls").and_then(Value::as_array) {
        for call in calls {
            content.call(call);
        }
    }
    if let Some("function_call" | "custom_tool_call") = item {
        content.call(value);
    }
    Ok(Said { kind, text: content.text, tools: content.tools })
}

/// Whether a message of the user holds results of tools (Anthropic).
fn has_result(message: &Value) -> bool {
    let is_result = |block: &Value| block.get("type").and_then(Value::as_str) == Some("tool_result");
    message.get("content").and_then(Value::as_array).is_some_and(|blocks| blocks.iter().any(is_result))
}

/// The text of a message, with tool calls as text; other content (images) by a hash.
#[derive(Default)]
struct Content {
    text: String,
    tools: Vec<ToolUse>,
}

impl Content {
    fn add(&mut self, value: &Value) {
        match value {
            Value::Null => {}
            Value::String(text) => self.push(text),
            Value::Array(blocks) => {
                for block in blocks {
                    self.add(block);
                }
            }
            Value::Object(block) => {
                let text = |key: &str| block.get(key).filter(|v| v.is_string());
                match block.get("type").and_then(Value::as_str) {
                    Some("tool_use" | "tool_call") => self.call(value),
                    Some("tool_result") => self.add(block.get("content").unwrap_or(&Value::Null)),
                    Some("tool_call_response") => {
                        self.add(block.get("response").or(block.get("result")).unwrap_or(&Value::Null));
                    }
                    _ => match text("text").or(text("thinking")).or(text("content")) {
                        Some(text) => self.add(text),
                        None => self.push(&format!("{:016x}", hash(block))),
                    },
                }
            }
            other => self.push(&other.to_string()),
        }
    }

    /// Adds a tool call: `function` has name and arguments (`OpenAI`), or the call itself has.
    fn call(&mut self, call: &Value) {
        let function = call.get("function").unwrap_or(call);
        let name = function.get("name").and_then(Value::as_str).unwrap_or_default();
        self.push(name);
        match function.get("arguments").or(function.get("input")) {
            Some(Value::String(arguments)) => self.push(arguments),
            Some(Value::Null) | None => {}
            Some(arguments) => self.push(&arguments.to_string()),
        }
        self.tools.push(ToolUse { name: name.to_owned(), ..ToolUse::default() });
    }

    fn push(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(text);
    }
}

/// The hash of a block. Where a client wants the cache to end changes from call to call, and is not content.
fn hash(block: &Map<String, Value>) -> u64 {
    let mut block = block.clone();
    block.remove("cache_control");
    xxh3_64(Value::Object(block).to_string().as_bytes())
}

/// The tools of a request, which stand before everything else in its prompt.
pub fn tools_section(tools: Option<&Value>) -> Option<Section> {
    let tools = tools.filter(|tools| tools.as_array().is_some_and(|list| !list.is_empty()))?;
    Some(Section { role: "tools", text: tools.to_string() })
}

/// The same as a part.
pub fn tools_part(tools: Option<&Value>) -> Option<Part> {
    tools_section(tools).map(|section| Part::new(section.role, &section.text))
}

/// What caused a call whose prompt ends with a message of this kind.
pub fn trigger(last: Kind) -> Option<Trigger> {
    match last {
        Kind::Human => Some(Trigger::Human),
        Kind::Result => Some(Trigger::Tool),
        Kind::Context | Kind::Answer => None,
    }
}

/// A recorded conversation, message by message: every answer is that of a call whose prompt is everything before.
#[derive(Default)]
pub struct Conversation {
    calls: Vec<Call>,
    /// What the next prompt adds.
    parts: Vec<Part>,
    last: Option<Kind>,
    human_turns: u32,
}

impl Conversation {
    /// Adds what is no message: tools.
    pub fn add_parts(&mut self, parts: impl IntoIterator<Item = Part>) {
        self.parts.extend(parts);
    }

    pub fn push(&mut self, message: Message) {
        match message.kind {
            Kind::Answer => {
                let call = self.call();
                self.calls.push(Call { output_bytes: Some(message.part.bytes), tools: message.tools, ..call });
            }
            Kind::Human if self.last != Some(Kind::Human) => self.human_turns += 1,
            _ => {}
        }
        self.parts.push(message.part);
        self.last = Some(message.kind);
    }

    fn call(&mut self) -> Call {
        Call {
            trigger: self.last.and_then(trigger),
            human_turn_index: self.human_turns.saturating_sub(1),
            prompt: Prompt::Appended(std::mem::take(&mut self.parts)),
            ..Call::default()
        }
    }

    /// The call of the last answer.
    pub fn last_call(&mut self) -> Option<&mut Call> {
        self.calls.last_mut()
    }

    /// Whether an answer was added.
    pub fn has_answer(&self) -> bool {
        !self.calls.is_empty()
    }

    /// The calls whose answers were recorded.
    pub fn answered(self) -> Vec<Call> {
        self.calls
    }

    /// The calls. Messages after the last answer are a request whose answer was not recorded.
    pub fn finish(mut self) -> Vec<Call> {
        if matches!(self.last, Some(Kind::Human | Kind::Result)) {
            let call = self.call();
            self.calls.push(call);
        }
        self.calls
    }
}
