//! Responses of servers, read as they arrive: streams of server-sent events, or one JSON document.

mod content;
mod events;
mod frame;
mod items;
mod pattern;
mod problem;
mod reader;
mod tool_calls;

pub use tool_calls::ToolCall;

use std::sync::Arc;

use serde::Deserialize;

use content::Content;
use events::Events;
use pattern::Pattern;

use crate::durations::Durations;
use crate::secrets::Secrets;

/// Default of the largest response body, bytes: 200,000 tokens in events of 300 bytes each.
pub const MAX_BODY_BYTES: u64 = 64 << 20;
/// Largest event, largest document, and largest text of an answer, bytes. They are held whole.
pub const MAX_EVENT_BYTES: usize = 16 << 20;

/// The API that a request uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
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
    /// The endpoint of a name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        match name {
            "chat" => Some(Self::Chat),
            "completions" => Some(Self::Completions),
            "responses" => Some(Self::Responses),
            "messages" => Some(Self::Messages),
            _ => None,
        }
    }

    /// Whether an answer is a list of items, each with events of its own.
    #[must_use]
    pub fn has_items(self) -> bool {
        matches!(self, Self::Responses | Self::Messages)
    }

    /// The last event of a complete answer.
    fn end_mark(self) -> &'static str {
        match self {
            Self::Chat | Self::Completions => "[DONE]",
            Self::Responses => "response.completed",
            Self::Messages => "message_stop",
        }
    }
}

/// The name of the field with the reasoning. A server reads in histories what it writes in answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReasoningField {
    /// `reasoning_content`, also of a server that writes both.
    #[default]
    Older,
    /// `reasoning`.
    Newer,
}

impl ReasoningField {
    /// Name of the field.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Older => "reasoning_content",
            Self::Newer => "reasoning",
        }
    }
}

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All of it arrived, as HTTP frames it.
    Complete,
    /// The server closed the connection, and HTTP does not say whether all of it arrived.
    Closed,
    /// The connection was lost, or the request given up, before all of it arrived.
    Lost,
    /// All of it arrived, of a response with an error status.
    Refused,
}

/// Response errors after a successful HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The body ended before the answer was complete.
    StreamTruncated,
    /// The server reported an error in the body.
    ServerError,
    /// The body is not an answer.
    BadResponse,
    /// The body is larger than the limits allow.
    TooLarge,
}

impl Failure {
    /// Name of the outcome in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::StreamTruncated => "stream_truncated",
            Self::ServerError => "server_error",
            Self::BadResponse => "bad_response",
            Self::TooLarge => "response_too_large",
        }
    }
}

/// Arrival times: stamps of the network reads that brought each part, nanoseconds of the caller's clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stamps {
    /// The first byte of the body.
    pub first_byte_ns: Option<i64>,
    /// The first text, reasoning or part of a tool call; streams only.
    pub first_token_ns: Option<i64>,
    /// The first text or part of a tool call; streams only.
    pub first_answer_ns: Option<i64>,
    /// The last text, reasoning or part of a tool call; streams only.
    pub last_token_ns: Option<i64>,
    /// The last byte of the body.
    pub last_byte_ns: Option<i64>,
    /// The end of the body, or of the connection.
    pub ended_ns: Option<i64>,
    /// Times between successive reads that brought output; reads with the same stamp count as one.
    pub gaps: Durations,
}

/// Counts of what arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Network reads.
    pub reads: u64,
    /// Events that were parsed, the end mark included.
    pub events: u64,
    /// Events that brought output.
    pub output_events: u64,
    /// Events that could not be parsed; they are skipped.
    pub malformed_events: u64,
    /// Tokens of the prompt, as the server reports them.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the output, as the server reports them.
    pub completion_tokens: Option<u64>,
    /// Tokens of the prompt that the server found in its cache, as it reports them.
    pub cached_tokens: Option<u64>,
    /// Tokens of the prompt that the server wrote to its cache, as it reports them.
    pub cache_written_tokens: Option<u64>,
    /// Tokens of the output that are reasoning, as the server reports them.
    pub reasoning_tokens: Option<u64>,
}

/// Parses a response: [`Answer::feed`] takes each network read of the body, [`Answer::end`] its end.
#[derive(Debug)]
pub struct Answer {
    endpoint: Endpoint,
    stream: bool,
    body: Body,
    max_bytes: u64,
    bytes: u64,
    stamps: Stamps,
    read: Read,
    content: Content,
    pattern: Pattern,
}

#[derive(Debug)]
enum Body {
    Stream(Box<Events>),
    Document(Vec<u8>),
}

/// What the current read brought.
#[derive(Debug, Default)]
struct Read {
    output: bool,
    answer: bool,
}

impl Answer {
    /// An answer of which nothing has arrived.
    #[must_use]
    pub fn new(endpoint: Endpoint, stream: bool) -> Self {
        let body = if stream { Body::Stream(Box::default()) } else { Body::Document(Vec::new()) };
        Self {
            endpoint,
            stream,
            body,
            max_bytes: MAX_BODY_BYTES,
            bytes: 0,
            stamps: Stamps::default(),
            read: Read::default(),
            content: Content::default(),
            pattern: Pattern::default(),
        }
    }

    /// Limits the bytes of the body.
    #[must_use]
    pub fn with_max_bytes(mut self, max_bytes: u64) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// Removes these secrets from all messages and finish reasons.
    #[must_use]
    pub fn without(mut self, secrets: Arc<Secrets>) -> Self {
        self.content.secrets = secrets;
        self
    }

    /// Takes one network read of the body; false if no more is needed: the answer is complete ([`Self::is_complete`]), or
    /// larger than the limits allow.
    pub fn feed(&mut self, data: &[u8], stamp_ns: i64) -> bool {
        if data.is_empty() {
            return true;
        }
        // A server that does not know streams, or refuses one, answers with a document.
        if let (Body::Stream(_), 0, b'{') = (&self.body, self.bytes, data[0]) {
            self.body = Body::Document(Vec::new());
        }
        self.bytes += data.len() as u64;
        self.content.counts.reads += 1;
        self.stamps.first_byte_ns.get_or_insert(stamp_ns);
        self.stamps.last_byte_ns = Some(stamp_ns);
        let (content, endpoint) = (&mut self.content, self.endpoint);
        let held = match &mut self.body {
            Body::Document(body) => {
                body.extend_from_slice(data);
                body.len()
            }
            Body::Stream(events) => {
                events.feed(data, |event| content.take(event, &mut self.pattern, &mut self.read, endpoint));
                let pending = events.pending();
                self.stamp(stamp_ns);
                pending
            }
        };
        let what = if matches!(self.body, Body::Stream(_)) { "an event" } else { "a document" };
        let most = MAX_EVENT_BYTES;
        if held > most {
            self.content
                .fail(Failure::TooLarge, format!("found {what} of {held} bytes or more, expected at most {most}"));
        } else if self.content.held() > most {
            let found = self.content.held();
            let message = format!("found an answer of {found} bytes of text, expected at most {most}");
            self.content.fail(Failure::TooLarge, message);
        } else if self.bytes > self.max_bytes {
            let (found, most) = (self.bytes, self.max_bytes);
            let message = format!("found a body of {found} bytes or more, expected at most {most} (--max-answer)");
            self.content.fail(Failure::TooLarge, message);
        }
        self.failure() != Some(Failure::TooLarge) && !self.is_complete()
    }

    /// Whether the server has marked the end of the answer, which can be before HTTP ends the body.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.content.end_mark
    }

    /// Ends the body.
    pub fn end(&mut self, end: End, stamp_ns: i64) {
        self.stamps.ended_ns = Some(stamp_ns);
        let (content, endpoint) = (&mut self.content, self.endpoint);
        match &mut self.body {
            Body::Stream(events) => {
                if end != End::Lost {
                    events.finish(|event| content.take(event, &mut self.pattern, &mut self.read, endpoint));
                }
                content.end_stream(end, events.stray(), endpoint);
                // An event that only the end of the body completed arrived with the last read.
                if let Some(last) = self.stamps.last_byte_ns {
                    self.stamp(last);
                }
            }
            Body::Document(body) => {
                let body = std::mem::take(body);
                content.end_document(end, &body, endpoint, self.stream);
            }
        }
    }

    fn stamp(&mut self, now: i64) {
        let read = std::mem::take(&mut self.read);
        if !read.output {
            return;
        }
        let stamps = &mut self.stamps;
        stamps.first_token_ns.get_or_insert(now);
        if read.answer {
            stamps.first_answer_ns.get_or_insert(now);
        }
        if let Some(gap) = stamps.last_token_ns.replace(now).and_then(|last| u64::try_from(now - last).ok())
            && gap > 0
        {
            stamps.gaps.add(gap);
        }
    }

    /// The error, if there is one so far.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        self.content.failure.as_ref().map(|(failure, _)| *failure)
    }

    /// The error in one line, in the server's words if it gave any; empty without an error.
    #[must_use]
    pub fn message(&self) -> &str {
        self.content.failure.as_ref().map_or("", |(_, message)| message)
    }

    /// Arrival times.
    #[must_use]
    pub fn stamps(&self) -> &Stamps {
        &self.stamps
    }

    /// Counts of what arrived.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.content.counts
    }

    /// The answer's text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.content.text
    }

    /// The reasoning before the answer.
    #[must_use]
    pub fn reasoning(&self) -> &str {
        &self.content.reasoning
    }

    /// The field in which the reasoning came.
    #[must_use]
    pub fn reasoning_field(&self) -> ReasoningField {
        self.content.reasoning_field
    }

    /// The tool calls; complete when the answer is.
    #[must_use]
    pub fn tool_calls(&self) -> &[ToolCall] {
        &self.content.tool_calls
    }

    /// The server's id of the answer.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.content.id.as_deref()
    }

    /// Why the server stopped generating.
    #[must_use]
    pub fn finish_reason(&self) -> Option<&str> {
        self.content.finish_reason.as_deref()
    }
}
