//! The content of an answer, event by event.

use std::borrow::Cow;
use std::sync::Arc;

use super::events::Event;
use super::frame::{Choice, Frame, MAX_TOOL_CALLS, Message, Text, Timings, Usage};
use super::pattern::{Part, Pattern};
use super::{Counts, End, Endpoint, Failure, Read, ReasoningField, ToolCall, problem, tool_calls};
use crate::secrets::Secrets;

/// Most characters kept of a finish reason.
const MAX_REASON_CHARS: usize = 64;
const LOST: &str = "the connection was lost before the body was over";

/// Content of the answer so far.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub text: String,
    pub reasoning: String,
    /// The name under which it came.
    pub reasoning_field: ReasoningField,
    pub tool_calls: Vec<ToolCall>,
    pub finish_reason: Option<String>,
    end_mark: bool,
    pub counts: Counts,
    /// Bytes of ids, names and arguments of tool calls.
    arguments: usize,
    pub failure: Option<(Failure, String)>,
    /// Kept out of messages and the finish reason.
    pub secrets: Arc<Secrets>,
}

impl Content {
    pub fn take(&mut self, event: Event<'_>, pattern: &mut Pattern, read: &mut Read, endpoint: Endpoint) {
        if let (Some((part, string)), false) = (pattern.find(event.data), event.is_error) {
            self.counts.events += 1;
            return self.output(part, string, read);
        }
        let data = event.data.trim_ascii();
        if event.is_error {
            let frame = parse(data).ok();
            self.counts.events += 1;
            return self.fail(Failure::ServerError, problem::of_event(frame.as_ref(), data, &self.secrets));
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

    /// Bytes of the answer so far.
    pub fn held(&self) -> usize {
        self.text.len() + self.reasoning.len() + self.arguments
    }

    /// Takes a chunk or document; calls `only` with a string that is all it holds.
    fn frame(&mut self, frame: Frame<'_>, endpoint: Endpoint, read: &mut Read, only: impl FnOnce(&str, Part)) {
        self.counts.events += 1;
        let mut plain = frame.usage.is_none() && frame.timings.is_none();
        if let Some(problem) = problem::of_frame(&frame, &self.secrets) {
            return self.fail(Failure::ServerError, problem);
        }
        self.count(frame.usage, frame.timings);
        let Some(choice) = frame.choices.0 else { return };
        if let Some(Text(reason)) = choice.finish_reason.as_ref().filter(|Text(reason)| !reason.is_empty()) {
            plain = false;
            self.finish_reason = Some(self.secrets.redact(reason).chars().take(MAX_REASON_CHARS).collect());
            if matches!(&**reason, "error" | "abort") {
                self.fail(Failure::ServerError, format!("the server ended the answer with finish_reason {reason}"));
            }
        }
        let (text, mut message) = parts(choice, endpoint);
        let thinking = std::mem::take(&mut message.content.thinking);
        let (text, older, newer) =
            (non_empty(text), non_empty(message.reasoning_content), non_empty(message.reasoning));
        plain &= thinking.is_empty();
        if older.is_some() || newer.is_some() {
            self.reasoning_field = if older.is_some() { ReasoningField::Older } else { ReasoningField::Newer };
        }
        let fragments = message.tool_calls.unwrap_or_default();
        let mut too_many = fragments.more;
        for fragment in fragments.kept {
            plain = false;
            match tool_calls::add(&mut self.tool_calls, fragment) {
                Some(bytes) => self.arguments += bytes,
                None => too_many = true,
            }
            self.outputs(read, true);
        }
        if too_many {
            let message = format!("found more than {MAX_TOOL_CALLS} tool calls, expected at most as many");
            self.fail(Failure::TooLarge, message);
        }
        match (&older, &newer, &text) {
            (None, None, Some(string)) if plain => only(string, Part::Text),
            (Some(string), None, None) | (None, Some(string), None) if plain => only(string, Part::Reasoning),
            _ => {}
        }
        let thinking = Some(Cow::<str>::Owned(thinking)).filter(|thinking| !thinking.is_empty());
        for (part, string) in [(Part::Reasoning, older.or(newer).or(thinking)), (Part::Text, text)] {
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

    pub fn end_stream(&mut self, end: End, stray: &[u8]) {
        let counts = self.counts;
        let secrets = self.secrets.clone();
        if end == End::Lost {
            self.fail(Failure::StreamTruncated, LOST.to_owned());
        } else if end == End::Refused {
            self.fail(Failure::BadResponse, problem::of_body(stray, &secrets));
        } else if counts.events == 0 && !stray.is_empty() {
            let message = format!("found {}, expected events", problem::quoted(stray, &secrets));
            self.fail(Failure::BadResponse, message);
        } else if counts.malformed_events > 0 && counts.output_events == 0 {
            let message = format!("found {} malformed events, expected chunks of an answer", counts.malformed_events);
            self.fail(Failure::BadResponse, message);
        } else if end == End::Closed && !self.end_mark {
            let message = "the connection was closed before [DONE], and nothing else says where the body ends";
            self.fail(Failure::StreamTruncated, message.to_owned());
        } else if self.finish_reason.is_none() && !self.end_mark {
            let message = "the stream ended without finish_reason or [DONE]".to_owned();
            self.fail(Failure::StreamTruncated, message);
        }
    }

    /// Ends a body that is one document; `stream` if a stream was asked for.
    pub fn end_document(&mut self, end: End, body: &[u8], endpoint: Endpoint, stream: bool) {
        let secrets = self.secrets.clone();
        match end {
            End::Lost => return self.fail(Failure::StreamTruncated, LOST.to_owned()),
            End::Refused => return self.fail(Failure::BadResponse, problem::of_body(body, &secrets)),
            End::Complete | End::Closed => {}
        }
        let text = String::from_utf8_lossy(body);
        let Ok(frame) = parse(text.trim_ascii().as_bytes()) else {
            let message = format!("found {}, expected a JSON document", problem::quoted(body, &secrets));
            return self.fail(Failure::BadResponse, message);
        };
        let answered = frame.choices.0.is_some();
        self.frame(frame, endpoint, &mut Read::default(), |_, _| ());
        if !answered {
            let message = format!("found {}, expected an answer with choices", problem::quoted(body, &secrets));
            self.fail(Failure::BadResponse, message);
        } else if stream {
            let message = "found one JSON document, expected a stream of events (--no-stream asks for documents)";
            self.fail(Failure::BadResponse, message.to_owned());
        }
        // Event counts are of streams only.
        (self.counts.events, self.counts.output_events) = (0, 0);
    }

    /// Keeps the first error: later ones follow from it.
    pub fn fail(&mut self, failure: Failure, message: String) {
        self.failure.get_or_insert((failure, message));
    }
}

/// The text of a choice, and the rest of its message.
fn parts(choice: Choice<'_>, endpoint: Endpoint) -> (Option<Text<'_>>, Message<'_>) {
    match endpoint {
        Endpoint::Completions => (choice.text, Message::default()),
        Endpoint::Chat => {
            let mut message = choice.delta.or(choice.message).unwrap_or_default();
            (message.content.text.take(), message)
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
