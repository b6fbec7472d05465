//! Recorded bodies of requests: `messages` (`OpenAI`, Anthropic), `input` (`OpenAI`'s responses), `prompt`, `text_input`.

use std::collections::HashMap;
use std::path::Path;

use agentgen_trace::error::Result;
use serde::Deserialize;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

use super::request::Body;
use super::support::{key, read_values};
use super::values::{Name, Tokens, ms, tokens};
use super::{Format, Head, HeadObject, no_folders};
use crate::import::lines::BadLine;
use crate::import::model::{Call, Part, Prompt, RecordedSession, Recording, Usage};

const NAME: &str = "openai";

pub const FORMAT: Format = Format {
    name: NAME,
    title: "recorded bodies of chat requests",
    extensions: &["jsonl", "json"],
    recognises: |head: &Head| head.any(is_request),
    read,
    default_folders: no_folders,
};

/// Keys under which a body may be recorded.
const WRAPPERS: [&str; 3] = ["body", "request", "payload"];

fn is_request(object: &HeadObject) -> bool {
    let is_body =
        |o: &HeadObject| o.has_array("messages") || o.has("text_input") || (o.has("prompt") && o.has("model"));
    is_body(object) || WRAPPERS.iter().any(|key| object.object(key).is_some_and(is_body))
}

#[derive(Deserialize)]
struct Row {
    session_id: Option<Name>,
    timestamp: Option<f64>,
    delay: Option<f64>,
    output_length: Option<Tokens>,
    body: Option<Body>,
    request: Option<Body>,
    payload: Option<Body>,
    response: Option<Response>,
    #[serde(flatten)]
    own: Body,
}

#[derive(Deserialize)]
struct Response {
    usage: Option<Value>,
    /// A response of a batch has it inside.
    body: Option<Box<Response>>,
}

/// A prompt as parts.
struct Read {
    parts: Vec<Part>,
    /// It is what the turn adds to its session, not the whole prompt.
    is_added: bool,
}

fn read(path: &Path) -> Result<Recording> {
    let mut recording = Recording::default();
    let mut requests = Requests { path, sessions: Vec::new(), named: HashMap::new(), ends: HashMap::new() };
    read_values(path, &mut recording, |text, _| {
        let row: Row = serde_json::from_str(text)?;
        requests.add(row)
    })?;
    recording.sessions = requests.sessions.into_iter().map(|open| open.session).collect();
    Ok(recording)
}

/// A session whose last prompt can still be continued.
struct Open {
    session: RecordedSession,
    /// Identity and length of the last prompt.
    end: u128,
    length: usize,
    /// Output tokens that the next prompt of added text follows.
    answer: Option<u64>,
}

struct Requests<'a> {
    path: &'a Path,
    sessions: Vec<Open>,
    /// Sessions that the source names.
    named: HashMap<String, usize>,
    /// Other sessions by the identity of their last prompt.
    ends: HashMap<u128, usize>,
}

/// The identity of all beginnings of a prompt: of its first part, its first two, and so on.
fn chain(parts: &[Part]) -> Vec<u128> {
    let mut before = 0_u128;
    let link = |part: &Part| {
        let bytes = [before.to_le_bytes(), part.hash.to_le_bytes()].concat();
        before = xxh3_128(&bytes);
        before
    };
    parts.iter().map(link).collect()
}

impl Requests<'_> {
    fn add(&mut self, row: Row) -> Result<(), BadLine> {
        let body = row.body.or(row.request).or(row.payload).unwrap_or_default();
        let body = if body.has_prompt() { body } else { row.own };
        let prompt = body.sections()?;
        let parts = prompt.list.iter().map(|section| Part::new(section.role, &section.text)).collect();
        let read = Read { parts, is_added: prompt.is_added };
        let response = row.response.and_then(|r| r.usage.or(r.body.and_then(|b| b.usage))).or(body.usage);
        let mut usage = response.map_or_else(Usage::default, |usage| counted(&usage));
        usage.output_tokens = usage.output_tokens.or(tokens(row.output_length));
        let sent_ms = ms(row.timestamp, 1.0)?;
        let call = Call {
            model: body.model,
            trigger: prompt.trigger,
            human_turn_index: prompt.human_turns.saturating_sub(1),
            usage,
            sent_ms,
            sent_is_recorded: sent_ms.is_some(),
            delay_ms: ms(row.delay, 1.0)?,
            ..Call::default()
        };
        let chain = chain(&read.parts);
        let place = match &row.session_id {
            Some(name) => self.named.get(&name.to_string()).copied(),
            // The longest beginning of the prompt that is the whole prompt of another request.
            None if !read.is_added => chain[..chain.len() - 1].iter().rev().find_map(|end| self.ends.remove(end)),
            None => None,
        };
        let place = place.unwrap_or_else(|| {
            let number = self.sessions.len();
            let name = row.session_id.as_ref().map_or_else(|| format!("request {number}"), |n| format!("session {n}"));
            let session = RecordedSession::new(key(self.path, name), NAME, Vec::new());
            self.sessions.push(Open { session, end: 0, length: 0, answer: None });
            number
        });
        self.sessions[place].push(call, read, &chain);
        match row.session_id {
            Some(name) => drop(self.named.insert(name.to_string(), place)),
            None => drop(self.ends.insert(self.sessions[place].end, place)),
        }
        Ok(())
    }
}

impl Open {
    fn push(&mut self, mut call: Call, read: Read, chain: &[u128]) {
        let turn = self.session.calls.len();
        let continues = self.length > 0 && chain.get(self.length - 1) == Some(&self.end) && self.length < chain.len();
        call.prompt = if read.is_added {
            let mut parts = Vec::with_capacity(read.parts.len() + 1);
            if let Some(last) = self.session.calls.last_mut() {
                call.human_turn_index = turn as u32;
                // The text of the answer was not recorded: it is known by its place.
                let identity = format!("{} output {turn}", self.session.key);
                let bytes = self.answer.unwrap_or(0).saturating_mul(BYTES_PER_TOKEN);
                last.output_bytes = last.output_bytes.or(Some(bytes).filter(|_| self.answer.is_some()));
                parts.push(Part { hash: xxh3_128(identity.as_bytes()), bytes });
            }
            parts.extend(read.parts);
            Prompt::Appended(parts)
        } else if continues {
            let added = read.parts[self.length..].to_vec();
            if let Some(last) = self.session.calls.last_mut() {
                last.output_bytes = Some(added[0].bytes);
            }
            Prompt::Appended(added)
        } else {
            Prompt::Parts(read.parts)
        };
        self.answer = call.usage.output_tokens;
        (self.end, self.length) = (chain.last().copied().unwrap_or_default(), chain.len());
        self.session.calls.push(call);
    }
}

/// Length of an answer that is known by its tokens only: the usual ratio, which its neighbours are estimated with too.
const BYTES_PER_TOKEN: u64 = 4;

/// The counts of a response: `OpenAI`'s (both APIs) and Anthropic's.
fn counted(usage: &Value) -> Usage {
    let count = |path: &str| usage.pointer(path).and_then(Value::as_u64);
    let read = count("/cache_read_input_tokens");
    let written = count("/cache_creation_input_tokens");
    let input = count("/prompt_tokens").or(count("/input_tokens"));
    Usage {
        // Anthropic counts cached tokens apart from the others.
        prompt_tokens: input.map(|input| input + read.unwrap_or(0) + written.unwrap_or(0)),
        cached_tokens: read
            .or(count("/prompt_tokens_details/cached_tokens"))
            .or(count("/input_tokens_details/cached_tokens")),
        cache_written_tokens: written,
        output_tokens: count("/completion_tokens").or(count("/output_tokens")),
        reasoning_tokens: count("/completion_tokens_details/reasoning_tokens")
            .or(count("/output_tokens_details/reasoning_tokens")),
    }
}
