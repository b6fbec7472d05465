//! Responses of servers, read as they arrive: streams of server-sent events, or one JSON document.

mod events;
mod frame;
mod pattern;
mod problem;
mod tool_calls;

pub use tool_calls::ToolCall;

use std::borrow::Cow;

use serde::Deserialize;

use events::{Event, Events};
use frame::{Choice, Frame, Message, Text, Timings, Usage};
use pattern::{Part, Pattern};

use crate::durations::Durations;

/// The API that a request uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Endpoint {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/completions`.
    Completions,
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
}

impl Failure {
    /// Name of the outcome in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::StreamTruncated => "stream_truncated",
            Self::ServerError => "server_error",
            Self::BadResponse => "bad_response",
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
}

/// Parses a response: [`Answer::feed`] takes each network read of the body, [`Answer::end`] its end.
#[derive(Debug)]
pub struct Answer {
    endpoint: Endpoint,
    body: Body,
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

/// Content of the answer so far.
#[derive(Debug, Default)]
struct Content {
    text: String,
    reasoning: String,
    tool_calls: Vec<ToolCall>,
    finish_reason: Option<String>,
    end_mark: bool,
    counts: Counts,
    failure: Option<(Failure, String)>,
}

impl Answer {
    /// An answer of which nothing has arrived.
    #[must_use]
    pub fn new(endpoint: Endpoint, stream: bool) -> Self {
        let body = if stream { Body::Stream(Box::default()) } else { Body::Document(Vec::new()) };
        Self {
            endpoint,
            body,
            stamps: Stamps::default(),
            read: Read::default(),
            content: Content::default(),
            pattern: Pattern::default(),
        }
    }

    /// Takes one network read of the body.
    pub fn feed(&mut self, data: &[u8], stamp_ns: i64) {
        if data.is_empty() {
            return;
        }
        self.content.counts.reads += 1;
        self.stamps.first_byte_ns.get_or_insert(stamp_ns);
        self.stamps.last_byte_ns = Some(stamp_ns);
        match &mut self.body {
            Body::Document(body) => body.extend_from_slice(data),
            Body::Stream(events) => {
                let (content, pattern, read, endpoint) =
                    (&mut self.content, &mut self.pattern, &mut self.read, self.endpoint);
                events.feed(data, |event| content.take(event, pattern, read, endpoint));
                self.stamp(stamp_ns);
            }
        }
    }

    /// Ends the body; `complete` if HTTP says that all of it arrived.
    pub fn end(&mut self, complete: bool, stamp_ns: i64) {
        self.stamps.ended_ns = Some(stamp_ns);
        let (content, pattern, read, endpoint) = (&mut self.content, &mut self.pattern, &mut self.read, self.endpoint);
        match &mut self.body {
            Body::Stream(events) => {
                if complete {
                    events.finish(|event| content.take(event, pattern, read, endpoint));
                }
                content.end_stream(complete, events.stray());
                // An event that only the end of the body completed arrived with the last read.
                if let Some(last) = self.stamps.last_byte_ns {
                    self.stamp(last);
                }
            }
            Body::Document(body) => {
                let body = std::mem::take(body);
                content.end_document(complete, &body, endpoint);
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

    /// The tool calls; complete when the answer is.
    #[must_use]
    pub fn tool_calls(&self) -> &[ToolCall] {
        &self.content.tool_calls
    }

    /// Why the server stopped generating.
    #[must_use]
    pub fn finish_reason(&self) -> Option<&str> {
        self.content.finish_reason.as_deref()
    }
}

impl Content {
    fn take(&mut self, event: Event<'_>, pattern: &mut Pattern, read: &mut Read, endpoint: Endpoint) {
        if let (Some((part, string)), false) = (pattern.find(event.data), event.is_error) {
            self.counts.events += 1;
            return self.output(part, string, read);
        }
        let data = event.data.trim_ascii();
        if event.is_error {
            let frame = parse(data).ok();
            self.counts.events += 1;
            return self.fail(Failure::ServerError, problem::of_event(frame, data));
        }
        if data.is_empty() {
            return; // a keep-alive event
        }
        if data == b"[DONE]" {
            self.counts.events += 1;
            self.end_mark = true;
            return;
        }
        if let Ok(frame) = parse(data) {
            self.frame(frame, endpoint, read, |string, part| pattern.learn(event.data, string, part));
        } else if let Some(Ok(frame)) = repaired(data).as_ref().map(|text| parse(text.as_bytes())) {
            self.frame(frame, endpoint, read, |_, _| ());
        } else {
            self.counts.malformed_events += 1;
        }
    }

    /// Takes a chunk or document; calls `only` with a string that is all it holds.
    fn frame(&mut self, frame: Frame<'_>, endpoint: Endpoint, read: &mut Read, only: impl FnOnce(&str, Part)) {
        self.counts.events += 1;
        let mut plain = frame.usage.is_none() && frame.timings.is_none();
        if let Some(problem) = problem::of_frame(&frame) {
            return self.fail(Failure::ServerError, problem);
        }
        self.count(frame.usage, frame.timings);
        let Some(choice) = frame.choices.0 else { return };
        if let Some(Text(reason)) = choice.finish_reason.as_ref().filter(|Text(reason)| !reason.is_empty()) {
            plain = false;
            self.finish_reason = Some(reason.clone().into_owned());
            if matches!(&**reason, "error" | "abort") {
                self.fail(Failure::ServerError, format!("the server ended the answer with finish_reason {reason}"));
            }
        }
        let (text, message) = parts(choice, endpoint);
        let (text, older, newer) =
            (non_empty(text), non_empty(message.reasoning_content), non_empty(message.reasoning));
        for fragment in message.tool_calls.into_iter().flatten() {
            plain = false;
            tool_calls::add(&mut self.tool_calls, fragment);
            self.outputs(read, true);
        }
        match (&older, &newer, &text) {
            (None, None, Some(string)) if plain => only(string, Part::Text),
            (Some(string), None, None) | (None, Some(string), None) if plain => only(string, Part::Reasoning),
            _ => {}
        }
        for (part, string) in [(Part::Reasoning, older.or(newer)), (Part::Text, text)] {
            self.output(part, string.as_deref().unwrap_or_default(), read);
        }
    }

    fn output(&mut self, part: Part, string: &str, read: &mut Read) {
        if string.is_empty() {
            return;
        }
        match part {
            Part::Text => self.text.push_str(string),
            Part::Reasoning => self.reasoning.push_str(string),
        }
        self.outputs(read, part == Part::Text);
    }

    fn outputs(&mut self, read: &mut Read, answer: bool) {
        self.counts.output_events += 1;
        read.output = true;
        read.answer |= answer;
    }

    /// Later counts replace earlier ones, because some servers send counts with every chunk.
    fn count(&mut self, usage: Option<Usage>, timings: Option<Timings>) {
        let counts = &mut self.counts;
        if let Some(usage) = usage {
            counts.prompt_tokens = usage.prompt_tokens.0.or(counts.prompt_tokens);
            counts.completion_tokens = usage.completion_tokens.0.or(counts.completion_tokens);
            counts.cached_tokens = usage.cached().or(counts.cached_tokens);
        }
        if let Some(timings) = timings {
            let prompt = timings.cache_n.0.zip(timings.prompt_n.0).map(|(cached, new)| cached + new);
            counts.prompt_tokens = counts.prompt_tokens.or(prompt);
            counts.completion_tokens = counts.completion_tokens.or(timings.predicted_n.0);
            counts.cached_tokens = counts.cached_tokens.or(timings.cache_n.0);
        }
    }

    fn end_stream(&mut self, complete: bool, stray: &[u8]) {
        let counts = self.counts;
        if !complete {
            self.fail(Failure::StreamTruncated, "the connection was lost before the body was over".to_owned());
        } else if counts.events == 0 && !stray.is_empty() {
            let (failure, message) = match parse(stray).ok().as_ref().and_then(problem::of_frame) {
                Some(message) => (Failure::ServerError, message),
                None => (Failure::BadResponse, format!("found {}, expected events", problem::quoted(stray))),
            };
            self.fail(failure, message);
        } else if counts.malformed_events > 0 && counts.output_events == 0 && self.finish_reason.is_none() {
            let message = format!("found {} malformed events, expected chunks of an answer", counts.malformed_events);
            self.fail(Failure::BadResponse, message);
        } else if self.finish_reason.is_none() && !self.end_mark {
            let message = "the stream ended without finish_reason or [DONE]".to_owned();
            self.fail(Failure::StreamTruncated, message);
        }
    }

    fn end_document(&mut self, complete: bool, body: &[u8], endpoint: Endpoint) {
        if !complete {
            let message = "the connection was lost before the body was over".to_owned();
            return self.fail(Failure::StreamTruncated, message);
        }
        let text = String::from_utf8_lossy(body);
        let Ok(frame) = parse(text.trim_ascii().as_bytes()) else {
            let message = format!("found {}, expected a JSON document", problem::quoted(body));
            return self.fail(Failure::BadResponse, message);
        };
        let answered = frame.choices.0.is_some();
        self.frame(frame, endpoint, &mut Read::default(), |_, _| ());
        if !answered {
            let message = format!("found {}, expected an answer with choices", problem::quoted(body));
            self.fail(Failure::BadResponse, message);
        }
        // Event counts are of streams only.
        (self.counts.events, self.counts.output_events) = (0, 0);
    }

    /// Keeps the first error: later ones follow from it.
    fn fail(&mut self, failure: Failure, message: String) {
        self.failure.get_or_insert((failure, message));
    }
}

/// The text of a choice, and the rest of its message.
fn parts(choice: Choice<'_>, endpoint: Endpoint) -> (Option<Text<'_>>, Message<'_>) {
    match endpoint {
        Endpoint::Completions => (choice.text, Message::default()),
        Endpoint::Chat => {
            let mut message = choice.delta.or(choice.message).unwrap_or_default();
            (message.content.take(), message)
        }
    }
}

fn non_empty(text: Option<Text<'_>>) -> Option<Cow<'_, str>> {
    text.map(|Text(text)| text).filter(|text| !text.is_empty())
}

fn parse(json: &[u8]) -> Result<Frame<'_>, ()> {
    // serde would accept an array of field values.
    if json.first() != Some(&b'{') {
        return Err(());
    }
    serde_json::from_slice(json).map_err(drop)
}

/// The text with U+FFFD in place of invalid UTF-8, as the event stream standard requires.
fn repaired(data: &[u8]) -> Option<String> {
    std::str::from_utf8(data).is_err().then(|| String::from_utf8_lossy(data).into_owned())
}
