//! A conversation as it was recorded, once its rows are known to be sound.

use serde_json::value::RawValue;

use super::row;

/// Tokens that a text is taken for: a quarter of its bytes in UTF-8, rounded up.
///
/// The tokenizer is the server's, so every count of tokens of recorded text is an estimate.
#[must_use]
pub fn estimated_tokens(text: &str) -> u64 {
    text.len().div_ceil(4) as u64
}

/// A conversation: rows in the order of their turns, the roles in an order that can be sent.
#[derive(Debug, Clone)]
pub struct Transcript {
    /// Its name, which can be the value of an HTTP header.
    pub id: String,
    /// The system prompt.
    pub system: Option<String>,
    /// Its rows; the first is the user's.
    pub rows: Vec<Row>,
}

/// A row: one message, or the results of several calls.
#[derive(Debug, Clone)]
pub struct Row {
    /// Name of the message's author.
    pub name: Option<String>,
    /// What it says.
    pub message: Message,
}

/// What a row says.
#[derive(Debug, Clone)]
pub enum Message {
    /// The user's words; causes a request.
    User {
        /// Not empty.
        content: String,
        /// How to request the answer.
        ask: RequestOptions,
    },
    /// The model's recorded answer.
    Assistant {
        /// Its words; there are some, or calls.
        content: Option<String>,
        /// What it thought before.
        reasoning: Option<String>,
        /// The tools it called.
        tool_calls: Vec<ToolCall>,
    },
    /// The results of all calls of the row before; causes a request.
    Tool {
        /// In the order recorded, which need not be that of the calls.
        results: Vec<ToolResult>,
        /// How to request the answer.
        ask: RequestOptions,
    },
}

/// How a row that causes a request wants it.
#[derive(Debug, Clone)]
pub struct RequestOptions {
    /// Wait before the request, from the end of the answer before, ms.
    pub delay_ms: f64,
    /// The row's own parameters.
    pub parameters: Parameters,
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// Names the call.
    pub id: String,
    /// Name of the function.
    pub name: String,
    /// Its arguments: usually a JSON object, but a model may write anything.
    pub arguments: String,
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolResult {
    /// The call.
    pub tool_call_id: String,
    /// What the tool printed.
    pub content: String,
}

/// Parameters of a request, as their JSON stands in the file.
#[derive(Debug, Clone, Default)]
pub struct Parameters(Vec<(&'static str, Box<RawValue>)>);

impl Parameters {
    /// Names of all there are.
    pub const NAMES: &'static [&'static str] = row::Parameters::KEYS;
    /// The names of the limit of an answer's tokens, the strongest first.
    pub const LIMITS: [&'static str; 3] = ["max_new_tokens", "max_completion_tokens", "max_tokens"];

    pub(super) fn new(list: Vec<(&'static str, Box<RawValue>)>) -> Self {
        Self(list)
    }

    /// Those that are given: name and JSON text.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.get()))
    }

    /// The JSON text of one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(given, _)| *given == name).map(|(_, value)| value)
    }

    /// Tokens to answer with at most, by whichever of its names.
    #[must_use]
    pub fn limit(&self) -> Option<u64> {
        // `7.0` is an integer too.
        let read = |text: &str| serde_json::from_str::<f64>(text).ok().map(|value| value as u64);
        Self::LIMITS.iter().find_map(|name| self.get(name)).and_then(read)
    }
}

impl Row {
    /// How it wants the request that it causes, if it causes one.
    #[must_use]
    pub fn ask(&self) -> Option<&RequestOptions> {
        match &self.message {
            Message::User { ask, .. } | Message::Tool { ask, .. } => Some(ask),
            Message::Assistant { .. } => None,
        }
    }

    /// Estimated tokens of all its text.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        let of = |text: &Option<String>| text.as_deref().map_or(0, estimated_tokens);
        match &self.message {
            Message::User { content, .. } => estimated_tokens(content),
            Message::Assistant { content, reasoning, tool_calls } => {
                of(content) + of(reasoning) + tool_calls.iter().map(ToolCall::tokens).sum::<u64>()
            }
            Message::Tool { results, .. } => results.iter().map(|r| estimated_tokens(&r.content)).sum(),
        }
    }
}

impl ToolCall {
    /// Estimated tokens of name and arguments.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        estimated_tokens(&self.name) + estimated_tokens(&self.arguments)
    }
}

impl Transcript {
    /// Places of the rows that cause requests.
    pub fn client_rows(&self) -> impl Iterator<Item = (usize, &RequestOptions)> {
        self.rows.iter().enumerate().filter_map(|(at, row)| Some((at, row.ask()?)))
    }

    /// What the first row asks for, which holds for the conversation.
    #[must_use]
    pub fn parameters(&self) -> Option<&Parameters> {
        self.rows.first().and_then(Row::ask).map(|ask| &ask.parameters)
    }

    /// Estimated tokens of the tools that a row's request names.
    #[must_use]
    pub fn tools_tokens(&self, ask: &RequestOptions) -> u64 {
        let tools = ask.parameters.get("tools").or_else(|| self.parameters()?.get("tools"));
        tools.map_or(0, estimated_tokens)
    }

    /// Estimated tokens of the recorded answer to the row at `at`.
    #[must_use]
    pub fn recorded_output(&self, at: usize) -> Option<u64> {
        self.rows.get(at + 1).filter(|row| row.ask().is_none()).map(Row::tokens)
    }
}
