//! The content of an answer: its events, or one document.

use std::sync::Arc;

use crate::chain::{Chain, WORD_BYTES, make_id, make_words};
use crate::fault::{Cut, Faults};
use crate::request::{Endpoint, Request};

/// What all answers of a server share.
#[derive(Debug)]
pub struct AnswerTemplate {
    /// The model's name as a JSON string.
    pub model: String,
    /// Start of the server, seconds since 1970.
    pub created: u64,
}

/// The kind of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The role, without content.
    Role,
    /// A token of the text, of the reasoning before it, or of a tool call.
    Token,
    /// The finish reason.
    Finish,
    /// The usage.
    Usage,
    /// `[DONE]`.
    Done,
    /// A server error.
    Error,
    /// Invalid JSON.
    Malformed,
    /// Not an event: the connection is dropped.
    Drop,
}

/// An event of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Its kind.
    pub part: Part,
    /// Output tokens before it.
    pub token: u32,
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
    /// A generated word for each token, after a space.
    text: String,
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
        let mut text = String::new();
        make_words(key, 0, tokens.into(), &mut text);
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
            text,
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
            chain.push_words(&self.text);
        } else {
            for call in &self.calls {
                chain.push_words(&call.name);
                chain.push_words(&self.arguments(call));
            }
        }
    }

    /// The events in order, with injected faults.
    pub fn steps(&self, include_usage: bool, faults: &Faults) -> Vec<Step> {
        let mut steps = Vec::with_capacity(self.tokens as usize + 4);
        let mut push = |part, token| steps.push(Step { part, token });
        if self.endpoint == Endpoint::Chat && self.role_sent {
            push(Part::Role, 0);
        }
        (0..self.tokens).for_each(|token| push(Part::Token, token));
        if !faults.no_finish {
            push(Part::Finish, self.tokens);
        }
        if include_usage && !faults.no_usage {
            push(Part::Usage, self.tokens);
        }
        if let Some(at) = faults.malformed
            && let Some(step) = steps.get_mut(at as usize)
        {
            step.part = Part::Malformed;
        }
        if let Some(at) = faults.error
            && let Some(step) = steps.get(at as usize).copied()
        {
            steps.truncate(at as usize);
            steps.push(Step { part: Part::Error, ..step });
        }
        if !faults.no_done {
            steps.push(Step { part: Part::Done, token: steps.last().map_or(self.tokens, |step| step.token) });
        }
        let whole = match faults.cut {
            Some(Cut::After(events)) => events as usize,
            Some(Cut::Within(events)) => events as usize + 1,
            Some(Cut::BeforeHeaders) | None => return steps,
        };
        let token = steps.get(whole.saturating_sub(1)).map_or(self.tokens, |step| step.token);
        steps.truncate(whole);
        steps.push(Step { part: Part::Drop, token });
        steps
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
        let word = self.word(token).as_bytes();
        if self.endpoint == Endpoint::Completions {
            out.extend_from_slice(br#""text":""#);
            out.extend_from_slice(word);
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
        format!("{begin}{}{end}", &self.word(token)[1..])
    }

    fn arguments(&self, call: &Call) -> String {
        (call.first + 1..call.end).map(|token| self.argument(call, token)).collect()
    }

    /// The word of a token, after a space.
    fn word(&self, token: u32) -> &str {
        &self.text[token as usize * WORD_BYTES..][..WORD_BYTES]
    }

    /// The words of tokens `first..end`, without the leading space.
    fn words(&self, first: u32, end: u32) -> &str {
        self.text[first as usize * WORD_BYTES..end as usize * WORD_BYTES].trim_start()
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
    pub fn document(&self, faults: &Faults) -> Vec<u8> {
        let AnswerTemplate { model, created } = &*self.template;
        let object = if self.endpoint == Endpoint::Chat { "chat.completion" } else { "text_completion" };
        let mut out = format!(
            r#"{{"id":"{}","object":"{object}","created":{created},"model":{model},"choices":[{{"index":0,"#,
            self.id
        )
        .into_bytes();
        if self.endpoint == Endpoint::Completions {
            out.extend_from_slice(format!(r#""text":"{}""#, self.text).as_bytes());
        } else {
            out.extend_from_slice(self.message().as_bytes());
        }
        if !faults.no_finish {
            out.extend_from_slice(format!(r#","finish_reason":"{}""#, self.finish_reason).as_bytes());
        }
        if self.return_token_ids {
            let ids: Vec<_> = (0..self.tokens).map(|token| make_id(self.key, token.into())).collect();
            out.extend_from_slice(format!(r#","token_ids":{}"#, serde_json::json!(ids)).as_bytes());
        }
        out.extend_from_slice(b"}]");
        if !faults.no_usage {
            out.push(b',');
            self.usage(&mut out);
        }
        out.push(b'}');
        out
    }

    /// `"message":{…}`.
    fn message(&self) -> String {
        let (before, field) = self.reasoning;
        let before = before.min(self.tokens);
        let mut message = serde_json::json!({"role": "assistant", "content": self.words(before, self.tokens)});
        if before > 0 {
            message[field] = self.words(0, before).into();
        }
        if !self.calls.is_empty() {
            let call = |call: &Call| {
                let function = serde_json::json!({"name": call.name, "arguments": self.arguments(call)});
                serde_json::json!({"id": call.id, "type": "function", "function": function})
            };
            message["content"] = serde_json::Value::Null;
            message["tool_calls"] = self.calls.iter().map(call).collect();
        }
        format!(r#""message":{message}"#)
    }
}
