//! The body of a request: its messages, and parameters by precedence.

use std::collections::BTreeMap;

use agentgen_trace::transcript::{self, Parameters, Transcript};

use super::options::MessagesOptions;
use super::render::{Array, string};
use crate::request::options::History;

/// The body, and whether the response is a stream.
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

    // Servers refuse two limits, so one is sent, under the name that the run uses.
    let limits = [&request.parameters, &transcript.parameters].into_iter().find_map(Parameters::limit);
    let given = limits.or_else(|| options.limit());
    // With recorded history, answers are discarded, so they get the recorded length. Live answers end by themselves.
    let limit = given.or_else(|| (options.history == History::Recorded).then_some(output_tokens));
    members.retain(|name, _| !Parameters::LIMITS.contains(name));
    let limit = limit.map(|tokens| tokens.to_string());
    if let Some(limit) = &limit {
        members.extend(options.fields.limits().map(|name| (name, limit.as_str())));
    }

    let stream = members.get("stream") == Some(&"true");
    if stream {
        members.entry("stream_options").or_insert(r#"{"include_usage":true}"#);
    } else {
        members.remove("stream_options");
    }
    members.retain(|name, _| !options.fields.drops(name));

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
