//! A request's body: the messages as they are, and parameters by their precedence.

use std::collections::BTreeMap;

use agentgen_trace::transcript::{self, Parameters, Transcript};

use super::options::MessagesOptions;
use super::render::{Array, string};
use crate::script::History;

/// Where nobody says by which name the limit of an answer's tokens goes: that of chat completions.
const LIMIT: &str = "max_completion_tokens";

/// The body, and whether it asks for a stream.
pub(super) fn body(
    options: &MessagesOptions,
    transcript: &Transcript,
    request: &transcript::Request,
    array: &Array,
    output_tokens: u64,
) -> (Vec<u8>, bool) {
    let mut members: BTreeMap<&str, &str> = options.parameters().collect();
    members.extend(transcript.parameters.iter());
    members.extend(request.parameters.iter());

    // A server refuses two limits, so one goes out, by the name that the run uses.
    let limits = [&request.parameters, &transcript.parameters].into_iter().find_map(Parameters::limit);
    let stated = limits.or_else(|| options.limit());
    // Answers that nobody keeps have the recorded length; answers that become history are as long as they must be.
    let limit = stated.or_else(|| (options.history == History::Recorded).then_some(output_tokens));
    members.retain(|name, _| !Parameters::LIMITS.contains(name));
    let limit = limit.map(|tokens| tokens.to_string());
    if let Some(limit) = &limit {
        let name = ["max_completion_tokens", "max_tokens"].into_iter().find(|name| options.get(name).is_some());
        members.insert(name.unwrap_or(LIMIT), limit);
    }

    let stream = members.get("stream") == Some(&"true");
    if stream {
        members.entry("stream_options").or_insert(r#"{"include_usage":true}"#);
    } else {
        members.remove("stream_options");
    }

    let rest: usize = members.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    let mut body = Vec::with_capacity(array.json().len() + rest + 64);
    body.extend_from_slice(br#"{"messages":["#);
    body.extend_from_slice(array.json());
    body.push(b']');
    for (name, value) in members {
        body.push(b',');
        string(&mut body, name);
        body.push(b':');
        body.extend_from_slice(value.as_bytes());
    }
    body.push(b'}');
    (body, stream)
}
