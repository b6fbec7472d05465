//! Answers that are lists of items: `OpenAI`'s Responses API and Anthropic's Messages API.
//!
//! Every event has its type in its data. Those that are not listed here bring nothing that the client needs.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::content::Content;
use super::frame::{self, Count, FunctionFragment, Limited, OutputDetails, Text, ToolFragment};
use super::pattern::Part;
use super::{Failure, Read, tool_calls};

/// An event, or a document.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    /// A string of the Responses API, an object of the Messages API.
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    output_index: Count,
    index: Count,
    #[serde(borrow)]
    item: Option<Item<'a>>,
    #[serde(borrow)]
    content_block: Option<Item<'a>>,
    #[serde(borrow)]
    response: Option<Answered<'a>>,
    /// An object at the start of a message, a string in an error.
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    usage: Option<Usage>,
}

/// A response or a message.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Answered<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    output: Option<Limited<Item<'a>>>,
    #[serde(borrow)]
    content: Option<Limited<Item<'a>>>,
    usage: Option<Usage>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
    incomplete_details: Option<Incomplete>,
    #[serde(borrow)]
    stop_reason: Option<Text<'a>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Incomplete {
    reason: Option<String>,
}

/// An item of a response, or a block of a message.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Item<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    call_id: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    #[serde(borrow)]
    content: frame::Content<'a>,
    #[serde(borrow)]
    summary: frame::Content<'a>,
}

/// What an event adds to a block of a message, or to the message.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Delta<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    thinking: Option<Text<'a>>,
    #[serde(borrow)]
    partial_json: Option<&'a RawValue>,
    #[serde(borrow)]
    stop_reason: Option<Text<'a>>,
}

/// Token counts. Anthropic counts the parts of a prompt apart: read from the cache, written to it, and neither.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Usage {
    input_tokens: Count,
    output_tokens: Count,
    cache_read_input_tokens: Count,
    cache_creation_input_tokens: Count,
    input_tokens_details: Option<Details>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Count,
}

impl Content {
    /// Takes an event; calls `only` with a string that is all it holds.
    pub(super) fn item_event(&mut self, event: Event<'_>, read: &mut Read, only: impl FnOnce(&str, Part)) {
        let kind = event.kind.as_ref().map_or("", |Text(kind)| kind);
        self.count_items(event.usage.as_ref());
        match kind {
            "response.output_text.delta" | "response.refusal.delta" => {
                self.item_text(Part::Text, event.delta.and_then(text), read, only);
            }
            "response.reasoning_text.delta" | "response.reasoning_summary_text.delta" | "response.reasoning.delta" => {
                self.item_text(Part::Reasoning, event.delta.and_then(text), read, only);
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                self.call(event.output_index, None, None, event.delta, read);
            }
            "response.output_item.added" => {
                if let Some(item) = event.item.filter(Item::is_call) {
                    self.call(event.output_index, item.call_id.or(item.id), item.name, None, read);
                }
            }
            "response.output_item.done" => self.item_done(event.item, event.output_index, read),
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.end_mark = true;
                self.response(event.response.unwrap_or_default(), read);
            }
            "message_start" => {
                let message = event.message.and_then(|json| serde_json::from_str::<Answered<'_>>(json.get()).ok());
                let message = message.unwrap_or_default();
                self.identify(message.id);
                self.count_items(message.usage.as_ref());
            }
            "content_block_start" => self.block(event.content_block.unwrap_or_default(), event.index, read),
            "content_block_delta" | "message_delta" => {
                let delta = event.delta.and_then(|json| serde_json::from_str(json.get()).ok()).unwrap_or_default();
                self.block_delta(delta, event.index, read, only);
            }
            "message_stop" => self.end_mark = true,
            _ => {}
        }
    }

    /// Takes a document; false if it is no answer.
    pub(super) fn item_document(&mut self, answered: Answered<'_>, read: &mut Read) -> bool {
        let found = answered.output.is_some() || answered.content.is_some();
        self.response(answered, read);
        found
    }

    /// Takes a whole response, or a message: its items too, unless events have brought them.
    fn response(&mut self, answered: Answered<'_>, read: &mut Read) {
        self.identify(answered.id);
        self.count_items(answered.usage.as_ref());
        if let Some(problem) = answered.error {
            self.server_error(problem);
        }
        let reason = answered.incomplete_details.and_then(|details| details.reason).map(Cow::Owned);
        let reason = reason.or_else(|| answered.stop_reason.or(answered.status).map(|Text(text)| text));
        self.finish(reason);
        if self.counts.output_events > 0 {
            return;
        }
        let items = answered.output.or(answered.content).unwrap_or_default();
        for (at, item) in items.kept.into_iter().enumerate() {
            let index = Count(Some(at as u64));
            self.item(item, index, read);
        }
        if items.more {
            self.too_many_calls();
        }
    }

    fn item(&mut self, item: Item<'_>, index: Count, read: &mut Read) {
        if item.is_call() {
            let arguments = item.arguments.or(item.input);
            return self.call(index, item.call_id.or(item.id), item.name, arguments, read);
        }
        let is_reasoning = item.is("reasoning");
        let parts = if is_reasoning { Part::Reasoning } else { Part::Text };
        for content in if is_reasoning { vec![item.summary, item.content] } else { vec![item.content] } {
            self.item_text(Part::Reasoning, Some(Text(content.thinking.into())), read, |_, _| ());
            self.item_text(parts, content.text, read, |_, _| ());
        }
        self.item_text(Part::Reasoning, item.thinking, read, |_, _| ());
        self.item_text(parts, item.text, read, |_, _| ());
    }

    /// Some servers send the arguments of a call with its end only.
    fn item_done(&mut self, item: Option<Item<'_>>, index: Count, read: &mut Read) {
        let Some(item) = item.filter(Item::is_call) else { return };
        let id = item.call_id.or(item.id);
        let known = self.tool_calls.iter().find(|call| id.as_ref().is_some_and(|Text(id)| call.id == **id));
        if known.is_none_or(|call| call.function.arguments.is_empty()) {
            self.call(index, id, item.name, item.arguments.or(item.input), read);
        }
    }

    /// The start of a block; a call's input comes later, except from servers that send it whole.
    fn block(&mut self, block: Item<'_>, index: Count, read: &mut Read) {
        let input = block.input.filter(|json| json.get() != "{}");
        self.item(Item { input, ..block }, index, read);
    }

    fn block_delta(&mut self, delta: Delta<'_>, index: Count, read: &mut Read, only: impl FnOnce(&str, Part)) {
        self.finish(delta.stop_reason.map(|Text(text)| text));
        if let Some(json) = delta.partial_json {
            self.call(index, None, None, Some(json), read);
        }
        match (delta.text, delta.thinking) {
            (text, None) => self.item_text(Part::Text, text, read, only),
            (None, thinking) => self.item_text(Part::Reasoning, thinking, read, only),
            (text, thinking) => {
                self.item_text(Part::Reasoning, thinking, read, |_, _| ());
                self.item_text(Part::Text, text, read, |_, _| ());
            }
        }
    }

    fn item_text(&mut self, part: Part, text: Option<Text<'_>>, read: &mut Read, only: impl FnOnce(&str, Part)) {
        if let Some(Text(text)) = text.filter(|Text(text)| !text.is_empty()) {
            only(&text, part);
            self.output(part, &text, read);
        }
    }

    fn call(
        &mut self,
        index: Count,
        id: Option<Text<'_>>,
        name: Option<Text<'_>>,
        arguments: Option<&RawValue>,
        read: &mut Read,
    ) {
        let fragment = ToolFragment { index, id, function: Some(FunctionFragment { name, arguments }) };
        match tool_calls::add(&mut self.tool_calls, fragment) {
            Some(bytes) => self.arguments += bytes,
            None => self.too_many_calls(),
        }
        self.outputs(read, true);
    }

    fn finish(&mut self, reason: Option<Cow<'_, str>>) {
        if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
            self.end_reason(&reason);
        }
    }

    fn count_items(&mut self, usage: Option<&Usage>) {
        let Some(usage) = usage else { return };
        let (read, written) = (usage.cache_read_input_tokens.0, usage.cache_creation_input_tokens.0);
        let counts = &mut self.counts;
        if let Some(input) = usage.input_tokens.0 {
            counts.prompt_tokens = Some(input + read.unwrap_or(0) + written.unwrap_or(0));
        }
        counts.completion_tokens = usage.output_tokens.0.or(counts.completion_tokens);
        let details = usage.input_tokens_details.as_ref().and_then(|details| details.cached_tokens.0);
        counts.cached_tokens = read.or(details).or(counts.cached_tokens);
        counts.cache_written_tokens = written.or(counts.cache_written_tokens);
        let reasoning = usage.output_tokens_details.as_ref().and_then(|details| details.reasoning_tokens.0);
        counts.reasoning_tokens = reasoning.or(counts.reasoning_tokens);
    }

    fn server_error(&mut self, problem: &RawValue) {
        let message = super::problem::message(problem, &self.secrets);
        self.fail(Failure::ServerError, message);
    }
}

impl Event<'_> {
    /// Whether its type says that it is an error.
    pub(super) fn is_error(&self) -> bool {
        self.kind.as_ref().is_some_and(|Text(kind)| kind == "error")
    }

    /// Whether it may have the form of an error: its type says so, or it has none.
    pub(super) fn may_be_error(&self) -> bool {
        self.kind.is_none() || self.is_error()
    }
}

impl Item<'_> {
    fn is(&self, expected: &str) -> bool {
        self.kind.as_ref().is_some_and(|Text(kind)| kind == expected)
    }

    fn is_call(&self) -> bool {
        ["function_call", "custom_tool_call", "tool_use"].iter().any(|kind| self.is(kind))
    }
}

/// A string of JSON, borrowed if it holds no escapes.
fn text(json: &RawValue) -> Option<Text<'_>> {
    serde_json::from_str(json.get()).ok()
}
