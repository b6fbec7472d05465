//! Takes events and documents of all endpoints into the content of an answer.

use std::borrow::Cow;

use super::content::Content;
use super::events::Event;
use super::frame::{Choice, Frame, Message, Text};
use super::pattern::{Part, Pattern};
use super::{End, Endpoint, Failure, Read, ReasoningField, items, problem, tool_calls};

const LOST: &str = "the connection was lost before the body was over";

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
        let learn = |string: &str, part| pattern.learn(event.data, string, part);
        if self.chunk(data, endpoint, read, learn).is_ok() {
            return;
        }
        let repaired = repaired(data);
        let again = repaired.as_ref().map(|text| self.chunk(text.as_bytes(), endpoint, read, |_, _| ()));
        if again != Some(Ok(())) {
            self.counts.malformed_events += 1;
        }
    }

    /// Takes an event; calls `only` with a string that is all it holds. An error if it cannot be parsed.
    fn chunk(
        &mut self,
        data: &[u8],
        endpoint: Endpoint,
        read: &mut Read,
        only: impl FnOnce(&str, Part),
    ) -> Result<(), ()> {
        if !endpoint.has_items() {
            self.frame(parse(data)?, endpoint, read, only);
            return Ok(());
        }
        let event: items::Event<'_> = parse(data)?;
        self.counts.events += 1;
        if event.may_be_error() {
            let frame = parse(data)?;
            let is_error = problem::of_frame(&frame, &self.secrets);
            let stated = || event.is_error().then(|| problem::of_event(Some(&frame), data, &self.secrets));
            if let Some(problem) = is_error.or_else(stated) {
                self.fail(Failure::ServerError, problem);
                return Ok(());
            }
        }
        self.item_event(event, read, only);
        Ok(())
    }

    /// Takes a chunk or document; calls `only` with a string that is all it holds.
    fn frame(&mut self, frame: Frame<'_>, endpoint: Endpoint, read: &mut Read, only: impl FnOnce(&str, Part)) {
        self.counts.events += 1;
        let mut plain = frame.usage.is_none() && frame.timings.is_none();
        if let Some(problem) = problem::of_frame(&frame, &self.secrets) {
            return self.fail(Failure::ServerError, problem);
        }
        self.identify(frame.id);
        self.count(frame.usage, frame.timings);
        let Some(choice) = frame.choices.0 else { return };
        if let Some(Text(reason)) = choice.finish_reason.as_ref().filter(|Text(reason)| !reason.is_empty()) {
            plain = false;
            self.end_reason(reason);
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
            self.too_many_calls();
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

    pub fn end_stream(&mut self, end: End, stray: &[u8], endpoint: Endpoint) {
        let (counts, mark) = (self.counts, endpoint.end_mark());
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
            let message = format!("the connection was closed before {mark}, and nothing else says where the body ends");
            self.fail(Failure::StreamTruncated, message);
        } else if self.finish_reason.is_none() && !self.end_mark {
            let reason = if endpoint == Endpoint::Messages { "stop_reason" } else { "finish_reason" };
            let either = if endpoint == Endpoint::Responses { String::new() } else { format!("{reason} or ") };
            self.fail(Failure::StreamTruncated, format!("the stream ended without {either}{mark}"));
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
        let json = text.trim_ascii().as_bytes();
        let Ok(frame) = parse::<Frame<'_>>(json) else {
            let message = format!("found {}, expected a JSON document", problem::quoted(body, &secrets));
            return self.fail(Failure::BadResponse, message);
        };
        let mut answered = frame.choices.0.is_some();
        if let (true, Ok(document)) = (endpoint.has_items(), parse(json)) {
            if let Some(problem) = problem::of_frame(&frame, &secrets) {
                self.fail(Failure::ServerError, problem);
            }
            answered = self.item_document(document, &mut Read::default());
        } else {
            self.frame(frame, endpoint, &mut Read::default(), |_, _| ());
        }
        if !answered {
            let list = match endpoint {
                Endpoint::Chat | Endpoint::Completions => "choices",
                Endpoint::Responses => "output",
                Endpoint::Messages => "content",
            };
            let message = format!("found {}, expected an answer with {list}", problem::quoted(body, &secrets));
            self.fail(Failure::BadResponse, message);
        } else if stream {
            let message = "found one JSON document, expected a stream of events (--no-stream asks for documents)";
            self.fail(Failure::BadResponse, message.to_owned());
        }
        // Event counts are of streams only.
        (self.counts.events, self.counts.output_events) = (0, 0);
    }
}

/// The text of a choice, and the rest of its message.
fn parts(choice: Choice<'_>, endpoint: Endpoint) -> (Option<Text<'_>>, Message<'_>) {
    match endpoint {
        Endpoint::Completions => (choice.text, Message::default()),
        Endpoint::Chat | Endpoint::Responses | Endpoint::Messages => {
            let mut message = choice.delta.or(choice.message).unwrap_or_default();
            (message.content.text.take(), message)
        }
    }
}

fn non_empty(text: Option<Text<'_>>) -> Option<Cow<'_, str>> {
    text.map(|Text(text)| text).filter(|text| !text.is_empty())
}

fn parse<'a, T: serde::Deserialize<'a>>(json: &'a [u8]) -> Result<T, ()> {
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
