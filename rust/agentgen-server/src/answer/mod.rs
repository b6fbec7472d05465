//! The content of an answer: its events, or one document.

mod anthropic;
mod chat;
mod items;
mod responses;

use std::sync::Arc;

use self::items::Item;
use crate::chain::{Chain, make_id, make_words};
use crate::document::Document;
use crate::fault::{CallIndex, Faults};
use crate::request::{Endpoint, Request};
use crate::steps::{Step, Steps};

/// An error event.
mod failed {
    pub const MESSAGE: &str = "the engine failed: injected fault";
}

/// Tokens whose words are made at a time.
const CHUNK_TOKENS: u32 = 4096;

/// What all answers of a server share.
#[derive(Debug)]
pub struct AnswerTemplate {
    /// The model's name.
    pub model_name: String,
    /// The model's name as a JSON string.
    pub model: String,
    /// Tokens of a KV block.
    pub block_tokens: u32,
    /// Start of the server, seconds since 1970.
    pub created: u64,
}

/// A tool call; its first token is the name.
struct Call {
    name: String,
    id: String,
    first: u32,
    end: u32,
}

/// The answer to a request.
pub struct Answer {
    template: Arc<AnswerTemplate>,
    endpoint: Endpoint,
    key: u128,
    return_token_ids: bool,
    /// The beginning of every event: `{"id":…,"object":…,"created":…,"model":…,"choices":[`.
    head: Vec<u8>,
    id: String,
    /// Number of the request.
    number: u64,
    /// Output tokens.
    tokens: u32,
    reasoning: (u32, &'static str),
    calls: Vec<Call>,
    /// What the answer is made of, for endpoints whose answers are lists.
    items: Vec<Item>,
    finish_reason: &'static str,
    prompt_tokens: u64,
    /// Tokens of the prompt that were in the cache.
    pub cached_tokens: u32,
    /// Whether the content of the role event is null.
    null_content: bool,
    /// Whether the role is not in the event of the first token: it has an event of its own, or there is none.
    role_sent: bool,
    dialect: Dialect,
}

/// How servers differ.
#[allow(clippy::struct_excessive_bools)] // independent of each other
struct Dialect {
    no_usage: bool,
    content_parts: bool,
    usage_each: bool,
    call_index: CallIndex,
    argument_objects: bool,
}

impl Answer {
    /// The answer to request number `number`, with `calls` tool calls.
    pub fn new(
        template: Arc<AnswerTemplate>,
        endpoint: Endpoint,
        request: &Request,
        number: u64,
        calls: u32,
        faults: &Faults,
    ) -> Self {
        let key = request.chain.key();
        // A tool call has a name and at least one word.
        let calls = if calls > 0 { calls.min(request.output_tokens / 2).max(1) } else { 0 };
        let tokens = request.output_tokens.max(2 * calls);
        let at = |call: u32| (u64::from(tokens) * u64::from(call) / u64::from(calls)) as u32;
        let function = |call: u32| request.functions.get(call as usize % request.functions.len().max(1));
        let calls: Vec<_> = (0..calls)
            .map(|call| Call {
                name: function(call).map_or("tool", String::as_str).to_owned(),
                id: format!("call_{:016x}{call:04x}", key as u64 ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
                first: at(call),
                end: at(call + 1),
            })
            .collect();
        let (kind, object) = match endpoint {
            Endpoint::Chat => ("chatcmpl", "chat.completion.chunk"),
            Endpoint::Completions => ("cmpl", "text_completion"),
            Endpoint::Responses => ("resp", "response"),
            Endpoint::Messages => ("msg", "message"),
        };
        let id = format!("{kind}{}{number:016x}", if endpoint.has_items() { "_" } else { "-" });
        let AnswerTemplate { model, created, .. } = &*template;
        let head = format!(r#"{{"id":"{id}","object":"{object}","created":{created},"model":{model},"choices":["#);
        let finish_reason = match (calls.is_empty(), request.limited) {
            (false, _) => "tool_calls",
            (true, true) => "length",
            (true, false) => "stop",
        };
        let reasoning = faults.reasoning.unwrap_or((0, "reasoning_content"));
        Self {
            items: items::items(tokens, reasoning.0, &calls),
            number,
            dialect: Dialect {
                no_usage: faults.no_usage,
                content_parts: faults.content_parts,
                usage_each: faults.usage_each && !faults.no_usage,
                call_index: faults.call_index,
                argument_objects: faults.argument_objects,
            },
            endpoint,
            key,
            return_token_ids: request.return_token_ids,
            head: head.into_bytes(),
            id,
            tokens,
            reasoning,
            calls,
            finish_reason,
            prompt_tokens: request.chain.tokens(),
            cached_tokens: 0,
            null_content: faults.null_content,
            role_sent: endpoint == Endpoint::Completions || faults.role_only || faults.null_content,
            template,
        }
    }

    /// Output tokens.
    pub fn tokens(&self) -> u32 {
        self.tokens
    }

    /// Appends the output to the prompt's chain; `of_ids` if the prompt is token ids.
    pub fn push_to(&self, chain: &mut Chain, of_ids: bool) {
        if of_ids {
            (0..self.tokens).for_each(|token| chain.push_id(make_id(self.key, token.into())));
        } else if self.calls.is_empty() {
            chunks(0, self.tokens).for_each(|(first, end)| chain.push_words(&self.words(first, end)));
        } else {
            for call in &self.calls {
                chain.push_words(&call.name);
                for (first, end) in chunks(call.first + 1, call.end) {
                    let arguments: String = (first..end).map(|token| self.argument(call, token)).collect();
                    chain.push_words(&arguments);
                }
            }
        }
    }

    /// The events in order, with injected faults.
    pub fn steps(&self, include_usage: bool, faults: &Faults) -> Steps {
        if self.endpoint.has_items() { self.item_steps(faults) } else { self.chunk_steps(include_usage, faults) }
    }

    /// The type of an event, if the endpoint names it outside of its data.
    pub fn event_name(&self, step: Step) -> Option<&'static str> {
        match self.endpoint {
            Endpoint::Chat | Endpoint::Completions => None,
            Endpoint::Responses => Some(responses::name(self, step)),
            Endpoint::Messages => Some(anthropic::name(self, step)),
        }
    }

    /// Appends the data of an event with `sequence` events before it.
    pub fn encode(&self, step: Step, sequence: u64, out: &mut Vec<u8>) {
        match self.endpoint {
            Endpoint::Chat | Endpoint::Completions => self.encode_chunk(step, out),
            Endpoint::Responses => responses::encode(self, step, sequence, out),
            Endpoint::Messages => anthropic::encode(self, step, out),
        }
    }

    /// The answer as one document.
    pub fn document(&self, faults: &Faults) -> Document {
        let pieces = match self.endpoint {
            Endpoint::Chat | Endpoint::Completions => self.chunk_document(faults),
            Endpoint::Responses => responses::document(self, faults.no_finish),
            Endpoint::Messages => anthropic::document(self, faults.no_finish),
        };
        Document::new(self.key, pieces)
    }

    /// Whether the answer ends at the limit of the request.
    fn is_limited(&self) -> bool {
        self.finish_reason == "length"
    }

    /// The part of a call's arguments that a token stands for.
    fn argument(&self, call: &Call, token: u32) -> String {
        let begin = if token == call.first + 1 { "{\"input\":\"" } else { " " };
        let end = if token + 1 == call.end { "\"}" } else { "" };
        format!("{begin}{}{end}", self.words(token, token + 1).trim_start())
    }

    /// The words of tokens `first..end`, each after a space.
    fn words(&self, first: u32, end: u32) -> String {
        make_words(self.key, first.into()..end.into())
    }
}

/// The tokens `first..end` in chunks.
fn chunks(first: u32, end: u32) -> impl Iterator<Item = (u32, u32)> {
    (first..end).step_by(CHUNK_TOKENS as usize).map(move |chunk| (chunk, end.min(chunk.saturating_add(CHUNK_TOKENS))))
}
