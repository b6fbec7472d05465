//! The content of an answer: its events, or one document.

use std::sync::Arc;

use crate::chain::{Chain, make_id, make_word, make_words};
use crate::document::{Document, Piece};
use crate::fault::Faults;
use crate::request::{Endpoint, Request};
use crate::steps::{Part, Step, Steps};

/// Tokens whose words are made at a time.
const CHUNK_TOKENS: u32 = 4096;

/// What all answers of a server share.
#[derive(Debug)]
pub struct AnswerTemplate {
    /// The model's name as a JSON string.
    pub model: String,
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
    /// Output tokens.
    tokens: u32,
    reasoning: (u32, &'static str),
    calls: Vec<Call>,
    finish_reason: &'static str,
    prompt_tokens: u64,
    /// Tokens of the prompt that were in the cache.
    pub cached_tokens: u32,
    /// Whether the content of the role event is null.
    null_content: bool,
    /// Whether the role is not in the event of the first token: it has an event of its own, or there is none.
    role_sent: bool,
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
        };
        let id = format!("{kind}-{number:016x}");
        let AnswerTemplate { model, created } = &*template;
        let head = format!(r#"{{"id":"{id}","object":"{object}","created":{created},"model":{model},"choices":["#);
        let finish_reason = match (calls.is_empty(), request.limited) {
            (false, _) => "tool_calls",
            (true, true) => "length",
            (true, false) => "stop",
        };
        Self {
            endpoint,
            key,
            return_token_ids: request.return_token_ids,
            head: head.into_bytes(),
            id,
            tokens,
            reasoning: faults.reasoning.unwrap_or((0, "reasoning_content")),
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
        let has_role = self.endpoint == Endpoint::Chat && self.role_sent;
        Steps::new(has_role, self.tokens, include_usage, faults)
    }

    /// Appends the data of an event.
    pub fn encode(&self, step: Step, out: &mut Vec<u8>) {
        match step.part {
            Part::Done => out.extend_from_slice(b"[DONE]"),
            Part::Error => out.extend_from_slice(
                br#"{"error":{"message":"the engine failed: injected fault","type":"InternalServerError","param":null,"code":500}}"#,
            ),
            Part::Malformed => out.extend_from_slice(br#"{"id":"malformed","choices":[{"index":0,"delta":{"content":"#),
            Part::Drop => {}
            Part::Usage => {
                out.extend_from_slice(&self.head);
                out.extend_from_slice(b"],");
                self.usage(out);
                out.push(b'}');
            }
            Part::Finish => {
                self.open(out);
                match self.endpoint {
                    Endpoint::Chat => out.extend_from_slice(br#""delta":{}"#),
                    Endpoint::Completions => out.extend_from_slice(br#""text":"""#),
                }
                out.extend_from_slice(br#","finish_reason":""#);
                out.extend_from_slice(self.finish_reason.as_bytes());
                out.extend_from_slice(br#""}]}"#);
            }
            Part::Role => {
                self.open(out);
                let content = if self.null_content { "null" } else { "\"\"" };
                out.extend_from_slice(br#""delta":{"role":"assistant","content":"#);
                out.extend_from_slice(content.as_bytes());
                out.extend_from_slice(br#"},"finish_reason":null}]}"#);
            }
            Part::Token => self.encode_token(step.token, out),
        }
    }

    fn open(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(br#"{"index":0,"#);
    }

    fn encode_token(&self, token: u32, out: &mut Vec<u8>) {
        self.open(out);
        let word = make_word(self.key, token.into());
        if self.endpoint == Endpoint::Completions {
            out.extend_from_slice(br#""text":""#);
            out.extend_from_slice(&word);
            out.push(b'"');
        } else {
            out.extend_from_slice(br#""delta":{"#);
            if token == 0 && !self.role_sent {
                out.extend_from_slice(br#""role":"assistant","#);
            }
            if let Some(index) = self.calls.iter().position(|call| token < call.end) {
                self.encode_call(index, token, out);
            } else {
                let (before, field) = self.reasoning;
                let (first, field) = if token < before { (0, field) } else { (before, "content") };
                out.push(b'"');
                out.extend_from_slice(field.as_bytes());
                out.extend_from_slice(br#"":""#);
                // The first word of a text has no space before it.
                out.extend_from_slice(&word[usize::from(token == first)..]);
                out.push(b'"');
            }
            out.push(b'}');
        }
        out.extend_from_slice(br#","finish_reason":null"#);
        if self.return_token_ids {
            out.extend_from_slice(br#","token_ids":["#);
            out.extend_from_slice(itoa::Buffer::new().format(make_id(self.key, token.into())).as_bytes());
            out.push(b']');
        }
        out.extend_from_slice(b"}]}");
    }

    /// Appends a fragment of a tool call.
    fn encode_call(&self, index: usize, token: u32, out: &mut Vec<u8>) {
        let call = &self.calls[index];
        let fragment = if token == call.first {
            let name = serde_json::Value::from(call.name.as_str());
            let id = &call.id;
            format!(
                r#""tool_calls":[{{"index":{index},"id":"{id}","type":"function","function":{{"name":{name},"arguments":""}}}}]"#
            )
        } else {
            let arguments = self.argument(call, token);
            format!(
                r#""tool_calls":[{{"index":{index},"function":{{"arguments":{}}}}}]"#,
                serde_json::Value::from(arguments)
            )
        };
        out.extend_from_slice(fragment.as_bytes());
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

    fn usage(&self, out: &mut Vec<u8>) {
        let (prompt, completion, cached) = (self.prompt_tokens, self.tokens, self.cached_tokens);
        let total = prompt + u64::from(completion);
        out.extend_from_slice(
            format!(
                r#""usage":{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{total},"prompt_tokens_details":{{"cached_tokens":{cached}}}}}"#
            )
            .as_bytes(),
        );
    }

    /// The answer as one document.
    pub fn document(&self, faults: &Faults) -> Document {
        let AnswerTemplate { model, created } = &*self.template;
        let object = if self.endpoint == Endpoint::Chat { "chat.completion" } else { "text_completion" };
        let mut pieces = vec![Piece::Text(format!(
            r#"{{"id":"{}","object":"{object}","created":{created},"model":{model},"choices":[{{"index":0,"#,
            self.id
        ))];
        let mut text = |text: &str| pieces.push(Piece::Text(text.to_owned()));
        if self.endpoint == Endpoint::Completions {
            text(r#""text":""#);
            pieces.push(Piece::Words { first: 0, end: self.tokens, spaced: true });
            pieces.push(Piece::Text("\"".to_owned()));
        } else {
            self.message(&mut pieces);
        }
        let mut text = |text: &str| pieces.push(Piece::Text(text.to_owned()));
        if !faults.no_finish {
            text(&format!(r#","finish_reason":"{}""#, self.finish_reason));
        }
        if self.return_token_ids {
            text(r#","token_ids":["#);
            pieces.push(Piece::Ids { first: 0, end: self.tokens });
            pieces.push(Piece::Text("]".to_owned()));
        }
        let mut end = b"}]".to_vec();
        if !faults.no_usage {
            end.push(b',');
            self.usage(&mut end);
        }
        end.push(b'}');
        pieces.push(Piece::Text(String::from_utf8_lossy(&end).into_owned()));
        Document::new(self.key, pieces)
    }

    /// `"message":{…}`.
    fn message(&self, pieces: &mut Vec<Piece>) {
        let (before, field) = self.reasoning;
        let before = before.min(self.tokens);
        let words = |first, end| Piece::Words { first, end, spaced: false };
        pieces.push(Piece::Text(r#""message":{"role":"assistant","content":"#.to_owned()));
        if self.calls.is_empty() {
            pieces.extend([Piece::Text("\"".to_owned()), words(before, self.tokens), Piece::Text("\"".to_owned())]);
        } else {
            pieces.push(Piece::Text("null".to_owned()));
        }
        if before > 0 {
            let begin = format!(r#","{field}":""#);
            pieces.extend([Piece::Text(begin), words(0, before), Piece::Text("\"".to_owned())]);
        }
        for (index, call) in self.calls.iter().enumerate() {
            let separator = if index == 0 { r#","tool_calls":["# } else { "," };
            let name = serde_json::Value::from(call.name.as_str());
            pieces.push(Piece::Text(format!(
                r#"{separator}{{"id":"{}","type":"function","function":{{"name":{name},"arguments":"{{\"input\":\""#,
                call.id
            )));
            pieces.push(words(call.first + 1, call.end));
            pieces.push(Piece::Text(r#"\"}"}}"#.to_owned()));
        }
        pieces.push(Piece::Text(if self.calls.is_empty() { "}" } else { "]}" }.to_owned()));
    }
}

/// The tokens `first..end` in chunks.
fn chunks(first: u32, end: u32) -> impl Iterator<Item = (u32, u32)> {
    (first..end).step_by(CHUNK_TOKENS as usize).map(move |chunk| (chunk, end.min(chunk.saturating_add(CHUNK_TOKENS))))
}
