//! A reference parser of responses: all bytes at once, every event parsed completely.

use agentgen_replay::answer::{Answer, End, Endpoint, Failure};
use serde_json::{Value, json};

/// An answer without its stamps.
#[derive(Debug, Default, PartialEq)]
pub struct Seen {
    pub text: String,
    pub reasoning: String,
    pub tool_calls: Vec<Value>,
    pub finish_reason: Option<String>,
    /// Parsed events, those with output, malformed events.
    pub events: [u64; 3],
    /// Prompt, completion and cached tokens.
    pub tokens: [Option<u64>; 3],
    pub failure: Option<&'static str>,
}

impl From<&Answer> for Seen {
    fn from(answer: &Answer) -> Self {
        let counts = answer.counts();
        Self {
            text: answer.text().to_owned(),
            reasoning: answer.reasoning().to_owned(),
            tool_calls: answer.tool_calls().iter().map(|call| serde_json::to_value(call).unwrap()).collect(),
            finish_reason: answer.finish_reason().map(str::to_owned),
            events: [counts.events, counts.output_events, counts.malformed_events],
            tokens: [counts.prompt_tokens, counts.completion_tokens, counts.cached_tokens],
            failure: answer.failure().map(Failure::name),
        }
    }
}

/// The whole body of a stream of chat completions.
pub fn stream(body: &[u8], complete: bool) -> Seen {
    let text = String::from_utf8_lossy(body);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<&str> = text.split('\n').collect();
    if complete {
        lines.push(""); // what was begun counts
        lines.push("");
    }
    let (mut seen, mut data, mut kind, mut done, mut stray) = (Seen::default(), Vec::new(), "", false, false);
    for line in &lines[..lines.len() - 1] {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "" if line.is_empty() => {
                if !data.is_empty() {
                    event(&data.join("\n"), kind == "error", &mut seen, &mut done);
                }
                (data, kind) = (Vec::new(), "");
            }
            "" | "id" | "retry" => {}
            "data" => data.push(value),
            "event" => kind = value,
            "error" => {
                kind = "error";
                data.push(value);
            }
            _ => stray = true,
        }
    }
    let [events, outputs, malformed] = seen.events;
    seen.failure = seen.failure.or(match () {
        () if !complete => Some("stream_truncated"),
        () if events == 0 && stray => Some("bad_response"),
        () if malformed > 0 && outputs == 0 => Some("bad_response"),
        () if seen.finish_reason.is_none() && !done => Some("stream_truncated"),
        () => None,
    });
    seen
}

fn event(data: &str, is_error: bool, seen: &mut Seen, done: &mut bool) {
    let data = data.trim_ascii();
    if is_error {
        seen.events[0] += 1;
        seen.failure = seen.failure.or(Some("server_error"));
    } else if data == "[DONE]" {
        seen.events[0] += 1;
        *done = true;
    } else if !data.is_empty() {
        match serde_json::from_str::<Value>(data) {
            Ok(frame @ Value::Object(_)) => {
                seen.events[0] += 1;
                chunk(&frame, seen);
            }
            _ => seen.events[2] += 1,
        }
    }
}

fn chunk(frame: &Value, seen: &mut Seen) {
    if !frame["error"].is_null() {
        seen.failure = seen.failure.or(Some("server_error"));
        return;
    }
    let usage = &frame["usage"];
    let cached = [&usage["prompt_tokens_details"]["cached_tokens"], &usage["prompt_cache_hit_tokens"]];
    let reported = [usage["prompt_tokens"].as_u64(), usage["completion_tokens"].as_u64()];
    let reported = [reported[0], reported[1], cached.into_iter().find_map(Value::as_u64)];
    for (kept, new) in seen.tokens.iter_mut().zip(reported) {
        *kept = new.or(*kept);
    }
    let choice = &frame["choices"][0];
    if let Some(reason) = choice["finish_reason"].as_str().filter(|reason| !reason.is_empty()) {
        seen.finish_reason = Some(reason.to_owned());
    }
    let delta = &choice["delta"];
    for fragment in delta["tool_calls"].as_array().into_iter().flatten() {
        seen.events[1] += 1;
        let id = fragment["id"].as_str().unwrap_or_default();
        let named = fragment["function"]["name"].is_string();
        let calls = &mut seen.tool_calls;
        // All fragments have the index 0.
        let known = match calls.iter().rposition(|call| !id.is_empty() && call["id"] == id) {
            Some(at) => Some(at),
            None if !id.is_empty() && named && calls.last().is_some_and(|call| call["id"] != "") => None,
            None => calls.len().checked_sub(1),
        };
        let at = known.unwrap_or_else(|| {
            calls.push(json!({"id": "", "type": "function", "function": {"name": "", "arguments": ""}}));
            calls.len() - 1
        });
        let call = &mut calls[at];
        if let Some(id) = fragment["id"].as_str() {
            call["id"] = id.into();
        }
        if let Some(name) = fragment["function"]["name"].as_str() {
            call["function"]["name"] = name.into();
        }
        if let Some(more) = fragment["function"]["arguments"].as_str() {
            let whole = call["function"]["arguments"].as_str().unwrap().to_owned() + more;
            call["function"]["arguments"] = whole.into();
        }
    }
    let said = |name: &str| delta[name].as_str().filter(|text| !text.is_empty());
    if let Some(reasoning) = said("reasoning_content").or(said("reasoning")) {
        seen.reasoning += reasoning;
        seen.events[1] += 1;
    }
    if let Some(text) = said("content") {
        seen.text += text;
        seen.events[1] += 1;
    }
}

/// Feeds the body cut at these positions; each read arrives a nanosecond after the one before.
pub fn fed(body: &[u8], cuts: &[usize], complete: bool) -> Answer {
    let mut cuts: Vec<usize> = cuts.iter().map(|&cut| cut.min(body.len())).collect();
    cuts.sort_unstable();
    cuts.push(body.len());
    let (mut answer, mut start) = (Answer::new(Endpoint::Chat, true), 0);
    for (at, cut) in (1..).zip(cuts) {
        answer.feed(&body[start..cut], at);
        start = cut;
    }
    answer.end(if complete { End::Complete } else { End::Lost }, i64::MAX);
    answer
}
