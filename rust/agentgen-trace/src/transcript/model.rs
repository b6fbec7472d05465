//! A recorded conversation as a list of requests.

use serde_json::value::RawValue;

/// Estimated tokens of a text: a quarter of its bytes in UTF-8, rounded up.
///
/// Only the server's tokenizer gives the true count.
#[must_use]
pub fn estimated_tokens(text: &str) -> u64 {
    text.len().div_ceil(4) as u64
}

/// A recorded conversation: every model call of an agent and of its sub-agents.
///
/// Readers of all file formats build this type. A reader makes one [`Request`] for each model call, in the order in which
/// they were sent, and states by [`Request::history`] how its prompt relates to an earlier one:
///
/// * The first call of the main agent is [`History::Spawn`] without a sub-agent; its messages begin with the system
///   prompt. The first call of a sub-agent is [`History::Spawn`] with the request that started it.
/// * A call that appends to what its agent sent and received before is [`History::Continue`]; its messages are the new
///   ones only.
/// * A call after a compaction, a clear or any rewrite is [`History::Break`]; its messages replace what is not kept.
///
/// What a format does not record is `None` or empty; a reader never guesses it.
#[derive(Debug, Clone)]
pub struct Transcript {
    /// Name of the conversation, valid as the value of an HTTP header.
    pub id: String,
    /// Parameters of every request; a request's own take precedence.
    pub parameters: Parameters,
    /// The model calls in the order in which they were sent; at least one.
    pub requests: Vec<Request>,
}

/// One model call: what it added to the history, and the recorded answer.
#[derive(Debug, Clone)]
pub struct Request {
    /// How the prompt begins.
    pub history: History,
    /// Messages of the prompt after its history.
    pub messages: Vec<Message>,
    /// The recorded answer, by the assistant.
    pub answer: Option<Message>,
    /// Parameters of this request only.
    pub parameters: Parameters,
    /// What caused the call.
    pub trigger: Option<Trigger>,
    /// The model that answered, as the record names it.
    pub model: Option<String>,
    /// Tokens that the provider counted.
    pub usage: Usage,
    /// Recorded delay before the call, from the end of the answer before it, ms.
    pub delay_ms: Option<f64>,
    /// When the call was sent, ms since the Unix epoch.
    pub start_ms: Option<f64>,
    /// When its answer was complete, ms since the Unix epoch.
    pub end_ms: Option<f64>,
}

/// How the prompt of a request begins. Requests are named by their index in the transcript; all are earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum History {
    /// With the prompt and the answer of another request.
    Continue {
        /// That request.
        after: usize,
    },
    /// With nothing: the first request of an agent.
    Spawn {
        /// Where a sub-agent belongs; `None` for the main agent.
        agent: Option<SubAgent>,
    },
    /// With the first messages of another request's prompt and answer; the rest was rewritten or removed.
    Break {
        /// That request.
        after: usize,
        /// How many messages are kept.
        kept: usize,
    },
}

/// Where a sub-agent belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubAgent {
    /// The request whose answer started it.
    pub parent: usize,
    /// The request that waits for its result; `None` if it runs in the background, or if the record does not say.
    pub join: Option<usize>,
    /// Kind of agent, as the record names it.
    pub kind: Option<String>,
}

/// What caused a model call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// New text of the user.
    Human,
    /// Results of tools.
    Tool,
}

/// Tokens of a model call, as the provider counted them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The whole prompt: cached, written and all other input tokens.
    pub prompt: Option<u64>,
    /// Prompt tokens that were served from the prefix cache.
    pub cached: Option<u64>,
    /// Prompt tokens that were written to the prefix cache.
    pub cache_written: Option<u64>,
    /// The whole output, reasoning included.
    pub output: Option<u64>,
    /// Output tokens of reasoning.
    pub reasoning: Option<u64>,
}

/// A message of a prompt, or an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Role of the message.
    pub role: Role,
    /// Name of the author, next to the role.
    pub name: Option<String>,
    /// The content, in order.
    pub parts: Vec<Part>,
}

/// Author of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The system prompt.
    System,
    /// The user.
    User,
    /// Name of the model.
    Assistant,
    /// Tools.
    Tool,
}

impl Role {
    /// The role's name in chat messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// A part of a message's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text.
    Text(String),
    /// Reasoning of the model before its answer.
    Reasoning(String),
    /// A tool call.
    ToolCall(ToolCall),
    /// The result of a call.
    ToolResult(ToolResult),
    /// Content that is not kept: an image, audio, encrypted reasoning.
    Other {
        /// Kind of the content, as the record names it.
        kind: String,
    },
}

/// A tool call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// Id of the call, unique in its conversation.
    pub id: String,
    /// Name of the function.
    pub name: String,
    /// Its arguments: usually a JSON object, but a model may write anything.
    pub arguments: String,
}

/// The result of a tool call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolResult {
    /// Id of the call.
    pub tool_call_id: String,
    /// Output of the tool.
    pub content: String,
}

/// Parameters of a request, each with its JSON text as it stands in the file.
#[derive(Debug, Clone, Default)]
pub struct Parameters(Vec<(String, Box<RawValue>)>);

impl FromIterator<(String, Box<RawValue>)> for Parameters {
    fn from_iter<I: IntoIterator<Item = (String, Box<RawValue>)>>(parameters: I) -> Self {
        Self(parameters.into_iter().collect())
    }
}

impl Parameters {
    /// Names of the limit on the tokens of an answer, the one that takes precedence first.
    pub const LIMITS: [&'static str; 3] = ["max_new_tokens", "max_completion_tokens", "max_tokens"];

    /// Name and JSON text of each.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.get()))
    }

    /// The JSON text of one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(given, _)| *given == name).map(|(_, value)| value)
    }

    /// The most tokens of an answer, under any of its names.
    #[must_use]
    pub fn limit(&self) -> Option<u64> {
        // `7.0` is an integer too.
        let read = |text: &str| serde_json::from_str::<f64>(text).ok().map(|value| value as u64);
        Self::LIMITS.iter().find_map(|name| self.get(name)).and_then(read)
    }
}

impl Message {
    /// Estimated tokens of all its parts.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.parts.iter().map(Part::tokens).sum()
    }

    /// Its calls of tools.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.parts.iter().filter_map(|part| if let Part::ToolCall(call) = part { Some(call) } else { None })
    }

    /// Its results of tools.
    pub fn tool_results(&self) -> impl Iterator<Item = &ToolResult> {
        self.parts.iter().filter_map(|part| if let Part::ToolResult(result) = part { Some(result) } else { None })
    }
}

impl Part {
    /// Estimated tokens; none of content that is not kept.
    fn tokens(&self) -> u64 {
        match self {
            Self::Text(text) | Self::Reasoning(text) => estimated_tokens(text),
            Self::ToolCall(call) => estimated_tokens(&call.name) + estimated_tokens(&call.arguments),
            Self::ToolResult(result) => estimated_tokens(&result.content),
            Self::Other { .. } => 0,
        }
    }
}

impl Request {
    /// Estimated tokens of the messages after its history.
    #[must_use]
    pub fn new_tokens(&self) -> u64 {
        self.messages.iter().map(Message::tokens).sum()
    }

    /// Tokens of the recorded answer: counted by the provider, else estimated.
    #[must_use]
    pub fn recorded_output(&self) -> Option<u64> {
        self.usage.output.or_else(|| self.answer.as_ref().map(Message::tokens))
    }
}

impl Transcript {
    /// Tokens to plan for an answer that is neither recorded nor limited.
    pub const DEFAULT_OUTPUT_TOKENS: u64 = 128;

    /// Tokens of the answer to plan for a request: recorded, else the limit, else [`Self::DEFAULT_OUTPUT_TOKENS`].
    #[must_use]
    pub fn planned_output(&self, request: usize, run_limit: Option<u64>) -> u64 {
        let request = &self.requests[request];
        let limit = || request.parameters.limit().or_else(|| self.parameters.limit()).or(run_limit);
        request.recorded_output().or_else(limit).unwrap_or(Self::DEFAULT_OUTPUT_TOKENS)
    }

    /// Estimated tokens of the tools that a request names.
    #[must_use]
    pub fn tools_tokens(&self, request: usize) -> u64 {
        let own = self.requests[request].parameters.get("tools");
        own.or_else(|| self.parameters.get("tools")).map_or(0, estimated_tokens)
    }
}
