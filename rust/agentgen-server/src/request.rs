//! Request bodies. They are parsed as a stream: text becomes tokens as it is read.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::chain::Chain;
use crate::history::{History, Message};
use crate::text::Text;

/// API path of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/completions`.
    Completions,
}

#[derive(Debug, Default, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Debug, Deserialize)]
struct Tool<'a> {
    #[serde(borrow)]
    function: ToolFunction<'a>,
}

#[derive(Debug, Deserialize)]
struct ToolFunction<'a> {
    #[serde(borrow)]
    name: Text<'a>,
}

/// `none`, `auto`, `required`, or the name of a function.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ToolChoice<'a> {
    #[serde(borrow)]
    Mode(Text<'a>),
    Named(#[serde(borrow)] Tool<'a>),
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
}

/// Output tokens of a request that does not set them.
const DEFAULT_OUTPUT_TOKENS: u32 = 16;

impl Request {
    /// Parses a body. The error is one line.
    pub fn read(endpoint: Endpoint, body: &[u8], block_tokens: u32) -> Result<Self, String> {
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        let mut reader = Reader::new(endpoint, block_tokens);
        let read = reader.deserialize(&mut deserializer).and_then(|()| deserializer.end());
        match (reader.problem.take(), read) {
            (Some(problem), _) => Err(problem),
            (None, Err(error)) => Err(format!("body: {error}")),
            (None, Ok(())) => reader.finish(),
        }
    }
}

/// The fields read so far.
struct Reader<'a> {
    endpoint: Endpoint,
    chain: Chain,
    of_ids: bool,
    prompt_seen: bool,
    /// An error with a better message than a deserializer gives.
    problem: Option<String>,
    model: Option<Text<'a>>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
    min_tokens: Option<u32>,
    return_token_ids: Option<bool>,
    n: Option<u32>,
    tools: Option<Vec<Tool<'a>>>,
    tool_choice: Option<ToolChoice<'a>>,
}

impl<'a> Reader<'a> {
    fn new(endpoint: Endpoint, block_tokens: u32) -> Self {
        Self {
            endpoint,
            chain: Chain::new(block_tokens),
            of_ids: false,
            prompt_seen: false,
            problem: None,
            model: None,
            stream: None,
            stream_options: None,
            max_tokens: None,
            max_completion_tokens: None,
            min_tokens: None,
            return_token_ids: None,
            n: None,
            tools: None,
            tool_choice: None,
        }
    }

    fn deserialize(
        &mut self,
        deserializer: impl Deserializer<'a, Error = serde_json::Error>,
    ) -> serde_json::Result<()> {
        deserializer.deserialize_map(Fields(self))
    }

    fn finish(self) -> Result<Request, String> {
        let field = match self.endpoint {
            Endpoint::Chat => "messages",
            Endpoint::Completions => "prompt",
        };
        if !self.prompt_seen {
            return Err(format!("{field}: missing"));
        }
        if self.chain.tokens() == 0 {
            return Err(format!("{field}: found no tokens, expected at least one"));
        }
        if let Some(n) = self.n.filter(|n| *n != 1) {
            return Err(format!("n: found {n}, expected 1"));
        }
        let limit = self.max_completion_tokens.or(self.max_tokens);
        if limit == Some(0) {
            return Err("max_tokens: found 0, expected at least 1".to_owned());
        }
        let min_tokens = self.min_tokens.unwrap_or(0);
        let output_tokens = limit.unwrap_or(DEFAULT_OUTPUT_TOKENS.max(min_tokens));
        if min_tokens > output_tokens {
            return Err(format!("min_tokens: found {min_tokens}, expected at most max_tokens, {output_tokens}"));
        }
        let mut functions: Vec<_> =
            self.tools.into_iter().flatten().map(|tool| tool.function.name.0.into_owned()).collect();
        let mut call_required = false;
        match self.tool_choice {
            Some(ToolChoice::Named(tool)) => {
                (functions, call_required) = (vec![tool.function.name.0.into_owned()], true);
            }
            Some(ToolChoice::Mode(mode)) if mode.0 == "required" => call_required = true,
            Some(ToolChoice::Mode(mode)) if mode.0 == "none" => functions.clear(),
            _ => {}
        }
        Ok(Request {
            model: self.model.map(|model| model.0.into_owned()),
            chain: self.chain,
            of_ids: self.of_ids,
            stream: self.stream.unwrap_or(false),
            include_usage: self.stream_options.is_some_and(|options| options.include_usage),
            return_token_ids: self.return_token_ids.unwrap_or(false),
            output_tokens,
            limited: limit.is_some(),
            functions,
            call_required,
        })
    }
}

struct Fields<'r, 'a>(&'r mut Reader<'a>);

impl<'de> Visitor<'de> for Fields<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let reader = self.0;
        while let Some(key) = map.next_key::<Text>()? {
            match (&*key.0, reader.endpoint) {
                ("messages", Endpoint::Chat) | ("prompt", Endpoint::Completions) if reader.prompt_seen => {
                    return Err(A::Error::custom(format!("{} twice", key.0)));
                }
                ("messages", Endpoint::Chat) => {
                    reader.prompt_seen = true;
                    map.next_value_seed(Messages(reader))?;
                }
                ("prompt", Endpoint::Completions) => {
                    reader.prompt_seen = true;
                    map.next_value_seed(Prompt(reader))?;
                }
                ("model", _) => reader.model = map.next_value()?,
                ("stream", _) => reader.stream = map.next_value()?,
                ("stream_options", _) => reader.stream_options = map.next_value()?,
                ("max_tokens", _) => reader.max_tokens = map.next_value()?,
                ("max_completion_tokens", _) => reader.max_completion_tokens = map.next_value()?,
                ("min_tokens", _) => reader.min_tokens = map.next_value()?,
                ("return_token_ids", _) => reader.return_token_ids = map.next_value()?,
                ("n", _) => reader.n = map.next_value()?,
                ("tools", Endpoint::Chat) => reader.tools = map.next_value()?,
                ("tool_choice", Endpoint::Chat) => reader.tool_choice = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// The `messages` of a chat request, one at a time.
struct Messages<'r, 'a>(&'r mut Reader<'a>);

impl<'de> DeserializeSeed<'de> for Messages<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Messages<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut history = History::default();
        let mut checked = Ok(());
        while let Some(message) = seq.next_element::<Message>()? {
            message.push_words(&mut self.0.chain);
            checked = checked.and_then(|()| history.add(&message));
        }
        self.0.problem = checked.and_then(|()| history.end()).err();
        Ok(())
    }
}

/// The `prompt` of a completions request: a text or a list of token ids.
struct Prompt<'r, 'a>(&'r mut Reader<'a>);

impl<'de> DeserializeSeed<'de> for Prompt<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Prompt<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a string or a list of token ids")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.chain.push_words(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.0.of_ids = true;
        while let Some(id) = seq.next_element()? {
            self.0.chain.push_id(id);
        }
        Ok(())
    }
}
