//! Request bodies of all endpoints.

mod anthropic;
mod chat;
mod content;
mod fields;
mod history;
mod responses;
mod tools;

use serde::Deserialize;

use self::content::Content;
use self::tools::{Choice, Tool, choose};
use crate::chain::Chain;
use crate::fault::Faults;
use crate::text::Text;

/// API path of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/completions`.
    Completions,
    /// `/v1/responses`, `OpenAI`'s.
    Responses,
    /// `/v1/messages`, Anthropic's.
    Messages,
}

impl Endpoint {
    const ALL: [Self; 4] = [Self::Chat, Self::Completions, Self::Responses, Self::Messages];

    /// The endpoint of a path.
    pub fn of_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|endpoint| endpoint.path() == path)
    }

    /// Its path.
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Completions => "/v1/completions",
            Self::Responses => "/v1/responses",
            Self::Messages => "/v1/messages",
        }
    }

    /// Whether an answer is a list of items, of which each has events of its own.
    pub fn has_items(self) -> bool {
        matches!(self, Self::Responses | Self::Messages)
    }

    /// The field with the prompt.
    fn prompt_field(self) -> &'static str {
        match self {
            Self::Chat | Self::Messages => "messages",
            Self::Completions => "prompt",
            Self::Responses => "input",
        }
    }
}

#[derive(Debug, Default, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

/// A request.
#[expect(clippy::struct_excessive_bools, reason = "the API has them")]
pub struct Request {
    /// Requested model, if any.
    pub model: Option<String>,
    /// Tokens of the prompt.
    pub chain: Chain,
    /// Whether the prompt is a list of token ids.
    pub of_ids: bool,
    /// Whether the answer is a stream of events.
    pub stream: bool,
    /// Whether the last event has the usage.
    pub include_usage: bool,
    /// Whether the answer includes the token ids of the output.
    pub return_token_ids: bool,
    /// Output tokens.
    pub output_tokens: u32,
    /// Whether the request sets the number of output tokens.
    pub limited: bool,
    /// Names of the functions that may be called; empty if none may.
    pub functions: Vec<String>,
    /// Whether a function must be called.
    pub call_required: bool,
    /// The first field that an injected fault refuses.
    pub refused: Option<String>,
    /// Whether it has two limits of the output.
    pub two_limits: bool,
}

/// Output tokens of a request that does not set them.
const DEFAULT_OUTPUT_TOKENS: u32 = 16;

/// What comes before the prompt, wherever it stands in the body.
#[derive(Default, Deserialize)]
struct Before<'a> {
    #[serde(default, borrow)]
    instructions: Option<Text<'a>>,
    #[serde(default, borrow)]
    system: Content<'a>,
}

impl Request {
    /// Parses a body. The error is one line.
    pub fn read(endpoint: Endpoint, body: &[u8], chain: Chain, faults: &Faults) -> Result<Self, String> {
        let mut reader = Reader::new(endpoint, chain, faults);
        reader.read(body)?;
        reader.finish()
    }

    /// The tokens of a body's prompt, whatever its other fields are. The error is one line.
    pub fn read_prompt(endpoint: Endpoint, body: &[u8], chain: Chain) -> Result<Chain, String> {
        let faults = Faults::default();
        let mut reader = Reader::new(endpoint, chain, &faults);
        reader.read(body)?;
        if reader.prompt_seen { Ok(reader.chain) } else { Err(format!("{}: missing", endpoint.prompt_field())) }
    }
}

/// The fields read so far.
struct Reader<'a> {
    endpoint: Endpoint,
    faults: &'a Faults,
    chain: Chain,
    of_ids: bool,
    prompt_seen: bool,
    /// An error with a better message than a deserializer gives.
    problem: Option<String>,
    refused: Option<String>,
    model: Option<Text<'a>>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u32>,
    /// `max_completion_tokens` or `max_output_tokens`.
    newer_max_tokens: Option<u32>,
    min_tokens: Option<u32>,
    return_token_ids: Option<bool>,
    n: Option<u32>,
    tools: Option<Vec<Tool<'a>>>,
    tool_choice: Option<Choice<'a>>,
}

impl<'a> Reader<'a> {
    fn new(endpoint: Endpoint, chain: Chain, faults: &'a Faults) -> Self {
        Self {
            endpoint,
            faults,
            chain,
            of_ids: false,
            prompt_seen: false,
            problem: None,
            refused: None,
            model: None,
            stream: None,
            stream_options: None,
            max_tokens: None,
            newer_max_tokens: None,
            min_tokens: None,
            return_token_ids: None,
            n: None,
            tools: None,
            tool_choice: None,
        }
    }

    /// Reads a body. The error is one line.
    fn read(&mut self, body: &'a [u8]) -> Result<(), String> {
        self.push_before(body);
        match (fields::read(self, body), self.problem.take()) {
            (_, Some(problem)) => Err(problem),
            (Err(error), None) => Err(format!("body: {error}")),
            (Ok(()), None) => Ok(()),
        }
    }

    /// Appends the words that come before the messages: `instructions` or `system`.
    fn push_before(&mut self, body: &[u8]) {
        if !self.endpoint.has_items() {
            return;
        }
        // What is wrong is reported when all fields are read.
        let before: Before = serde_json::from_slice(body).unwrap_or_default();
        match self.endpoint {
            Endpoint::Messages => before.system.push_words(&mut self.chain),
            _ => self.chain.push_words(before.instructions.as_ref().map_or("", |text| &text.0)),
        }
    }

    fn push_id(&mut self, id: u32) {
        self.of_ids = true;
        self.chain.push_id(id);
    }

    /// Takes the name of a field.
    fn note(&mut self, field: &str) {
        if self.refused.is_none() && self.faults.refuses(field) {
            self.refused = Some(field.to_owned());
        }
    }

    fn finish(self) -> Result<Request, String> {
        let endpoint = self.endpoint;
        let field = endpoint.prompt_field();
        if !self.prompt_seen {
            return Err(format!("{field}: missing"));
        }
        if self.chain.tokens() == 0 {
            return Err(format!("{field}: found no tokens, expected at least one"));
        }
        if let Some(n) = self.n.filter(|n| *n != 1) {
            return Err(format!("n: found {n}, expected 1"));
        }
        let limit = self.newer_max_tokens.or(self.max_tokens);
        let name = if endpoint == Endpoint::Responses { "max_output_tokens" } else { "max_tokens" };
        if limit == Some(0) {
            return Err(format!("{name}: found 0, expected at least 1"));
        }
        if limit.is_none() && endpoint == Endpoint::Messages {
            return Err(format!("{name}: missing, expected at least 1"));
        }
        let min_tokens = self.min_tokens.unwrap_or(0);
        let output_tokens = limit.unwrap_or(DEFAULT_OUTPUT_TOKENS.max(min_tokens));
        if min_tokens > output_tokens {
            return Err(format!("min_tokens: found {min_tokens}, expected at most {name}, {output_tokens}"));
        }
        let (functions, call_required) = choose(endpoint, self.tools.unwrap_or_default(), self.tool_choice)?;
        Ok(Request {
            model: self.model.map(|model| model.0.into_owned()),
            chain: self.chain,
            of_ids: self.of_ids,
            stream: self.stream.unwrap_or(false),
            include_usage: self.stream_options.is_some_and(|options| options.include_usage) || endpoint.has_items(),
            return_token_ids: self.return_token_ids.unwrap_or(false),
            output_tokens,
            limited: limit.is_some(),
            functions,
            call_required,
            refused: self.refused,
            two_limits: self.max_tokens.is_some() && self.newer_max_tokens.is_some(),
        })
    }
}
