//! The Responses API and the Messages API.

use agentgen_replay::answer::{Answer, End, Endpoint, Failure};
use serde_json::{Value, json};

/// Events with their types outside of the data too.
fn stream_of(events: &[Value]) -> String {
    let event = |data: &Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap());
    events.iter().map(event).collect()
}

/// An answer to these bytes, cut into reads of `length`.
fn fed(endpoint: Endpoint, stream: bool, body: &str, length: usize, end: End) -> Answer {
    let mut answer = Answer::new(endpoint, stream);
    for (at, part) in (1..).zip(body.as_bytes().chunks(length)) {
        answer.feed(part, at);
    }
    answer.end(end, 10_000);
    answer
}

fn tool_calls(answer: &Answer) -> Vec<[String; 3]> {
    let call = |call: &agentgen_replay::answer::ToolCall| {
        [call.id.clone(), call.function.name.clone(), call.function.arguments.clone()]
    };
    answer.tool_calls().iter().map(call).collect()
}

/// Text, reasoning, calls, finish reason, and prompt, output and cached tokens.
type Seen = (String, String, Vec<[String; 3]>, Option<String>, [Option<u64>; 3]);

fn seen(answer: &Answer) -> Seen {
    let counts = answer.counts();
    assert_eq!((answer.failure(), counts.malformed_events), (None, 0), "{}", answer.message());
    (
        answer.text().to_owned(),
        answer.reasoning().to_owned(),
        tool_calls(answer),
        answer.finish_reason().map(str::to_owned),
        [counts.prompt_tokens, counts.completion_tokens, counts.cached_tokens],
    )
}

fn expected(finish: &str) -> Seen {
    let call = ["c1", "run", "{\"a\":1}"].map(str::to_owned);
    let tokens = [Some(100), Some(9), Some(64)];
    ("one \u{e9}\n two".to_owned(), "hm so".to_owned(), vec![call], Some(finish.to_owned()), tokens)
}

fn response() -> Value {
    let output = json!([
        {"type": "reasoning", "id": "r", "summary": [], "content": [{"type": "reasoning_text", "text": "hm so"}]},
        {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": "one \u{e9}\n two"}]},
        {"type": "function_call", "id": "f", "call_id": "c1", "name": "run", "arguments": "{\"a\":1}"},
    ]);
    let usage = json!({"input_tokens": 100, "input_tokens_details": {"cached_tokens": 64}, "output_tokens": 9,
                       "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 109});
    json!({"id": "resp_1", "object": "response", "status": "completed", "error": null, "incomplete_details": null,
           "output": output, "usage": usage})
}

fn response_events() -> Vec<Value> {
    let delta = |kind: &str, item: u32, delta: &str| json!({"type": format!("response.{kind}.delta"), "output_index": item, "delta": delta});
    let call = json!({"type": "function_call", "id": "f", "call_id": "c1", "name": "run", "arguments": ""});
    vec![
        json!({"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": [], "usage": null, "error": null}}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "summary": []}}),
        delta("reasoning_text", 0, "hm"),
        delta("reasoning_summary_text", 0, " so"),
        json!({"type": "response.reasoning_text.done", "text": "hm so"}),
        delta("output_text", 1, "one"),
        delta("output_text", 1, " \u{e9}\n"),
        delta("output_text", 1, " two"),
        json!({"type": "response.output_text.done", "text": "one \u{e9}\n two"}),
        json!({"type": "response.output_item.added", "output_index": 2, "item": call}),
        delta("function_call_arguments", 2, "{\"a\""),
        delta("function_call_arguments", 2, ":1}"),
        json!({"type": "response.function_call_arguments.done", "output_index": 2, "arguments": "{\"a\":1}"}),
        json!({"type": "response.output_item.done", "output_index": 2, "item": response()["output"][2]}),
        json!({"type": "response.completed", "response": response()}),
    ]
}

fn message_events() -> Vec<Value> {
    let delta = |at: u32, kind: &str, field: &str, text: &str| json!({"type": "content_block_delta", "index": at, "delta": {"type": kind, field: text}});
    let start = |at: u32, block: Value| json!({"type": "content_block_start", "index": at, "content_block": block});
    let usage = json!({"input_tokens": 4, "cache_creation_input_tokens": 32, "cache_read_input_tokens": 64, "output_tokens": 1});
    vec![
        json!({"type": "message_start", "message": {"id": "msg_1", "role": "assistant", "content": [], "stop_reason": null, "usage": usage}}),
        json!({"type": "ping"}),
        start(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, "thinking_delta", "thinking", "hm"),
        delta(0, "thinking_delta", "thinking", " so"),
        delta(0, "signature_delta", "signature", "Eq=="),
        json!({"type": "content_block_stop", "index": 0}),
        start(1, json!({"type": "text", "text": ""})),
        delta(1, "text_delta", "text", "one"),
        delta(1, "text_delta", "text", " \u{e9}\n"),
        delta(1, "text_delta", "text", " two"),
        json!({"type": "content_block_stop", "index": 1}),
        start(2, json!({"type": "tool_use", "id": "c1", "name": "run", "input": {}})),
        delta(2, "input_json_delta", "partial_json", ""),
        delta(2, "input_json_delta", "partial_json", "{\"a\""),
        delta(2, "input_json_delta", "partial_json", ":1}"),
        json!({"type": "content_block_stop", "index": 2}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": {"output_tokens": 9}}),
        json!({"type": "message_stop"}),
    ]
}

#[test]
fn streams_give_the_same_answer_however_they_are_cut() {
    for (endpoint, events, finish) in
        [(Endpoint::Responses, response_events(), "completed"), (Endpoint::Messages, message_events(), "tool_use")]
    {
        let body = stream_of(&events);
        for length in [1, 2, 7, 64, 1000, body.len()] {
            let answer = fed(endpoint, true, &body, length, End::Closed);
            assert_eq!(seen(&answer), expected(finish), "{length}");
            assert_eq!(answer.counts().events, events.len() as u64);
            let stamps = answer.stamps();
            assert!(stamps.first_byte_ns <= stamps.first_token_ns && stamps.first_token_ns <= stamps.first_answer_ns);
        }
    }
}

#[test]
fn token_times_are_those_of_deltas() {
    for (endpoint, events, [first, answer, last]) in
        [(Endpoint::Responses, response_events(), [3, 6, 12]), (Endpoint::Messages, message_events(), [4, 9, 16])]
    {
        let mut parsed = Answer::new(endpoint, true);
        for (at, event) in (1..).zip(&events) {
            parsed.feed(stream_of(std::slice::from_ref(event)).as_bytes(), at);
        }
        parsed.end(End::Complete, 100);
        let stamps = parsed.stamps();
        let found = [stamps.first_token_ns, stamps.first_answer_ns, stamps.last_token_ns];
        assert_eq!(found, [Some(first), Some(answer), Some(last)]);
    }
}

#[test]
fn documents_give_the_same_answer() {
    let body = response().to_string();
    assert_eq!(seen(&fed(Endpoint::Responses, false, &body, 50, End::Complete)), expected("completed"));
    let content = json!([
        {"type": "thinking", "thinking": "hm so", "signature": "Eq=="},
        {"type": "text", "text": "one \u{e9}\n two"},
        {"type": "tool_use", "id": "c1", "name": "run", "input": {"a": 1}},
    ]);
    let usage = json!({"input_tokens": 4, "cache_creation_input_tokens": 32, "cache_read_input_tokens": 64, "output_tokens": 9});
    let message =
        json!({"type": "message", "role": "assistant", "content": content, "stop_reason": "tool_use", "usage": usage});
    assert_eq!(seen(&fed(Endpoint::Messages, false, &message.to_string(), 50, End::Complete)), expected("tool_use"));
}

#[test]
fn the_last_event_brings_what_no_other_has() {
    let only = [json!({"type": "response.completed", "response": response()})];
    assert_eq!(seen(&fed(Endpoint::Responses, true, &stream_of(&only), 99, End::Complete)), expected("completed"));
    let mut incomplete = response();
    incomplete["status"] = json!("incomplete");
    incomplete["incomplete_details"] = json!({"reason": "max_output_tokens"});
    let last = [json!({"type": "response.incomplete", "response": incomplete})];
    let answer = fed(Endpoint::Responses, true, &stream_of(&last), 99, End::Complete);
    assert_eq!(answer.finish_reason(), Some("max_output_tokens"));
    let whole = [
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 2}}}),
        json!({"type": "message_stop"}),
    ];
    let answer = fed(Endpoint::Messages, true, &stream_of(&whole), 99, End::Complete);
    assert_eq!(tool_calls(&answer), [["c", "f", "{\"a\":2}"]].map(|call| call.map(str::to_owned)));
    let done = [
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "function_call", "call_id": "c", "name": "f", "arguments": ""}}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}}),
    ];
    let answer = fed(Endpoint::Responses, true, &stream_of(&done), 99, End::Lost);
    assert_eq!(tool_calls(&answer), [["c", "f", "{}"]].map(|call| call.map(str::to_owned)));
}

#[test]
fn failures_are_told_in_the_servers_words() {
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let failed = json!({"type": "response.failed", "response": {"status": "failed", "output": [], "error": {"code": "server_error", "message": "lost the engine"}}});
    let bare =
        json!({"type": "error", "code": "rate_limit", "message": "slow down", "param": null, "sequence_number": 4});
    for (endpoint, event, message) in [
        (Endpoint::Messages, &error, "Overloaded (overloaded_error)"),
        (Endpoint::Responses, &failed, "lost the engine (server_error)"),
        (Endpoint::Responses, &bare, "slow down"),
    ] {
        let named = stream_of(std::slice::from_ref(event));
        for body in [named.clone(), named.split_once('\n').unwrap().1.to_owned()] {
            let answer = fed(endpoint, true, &body, 99, End::Complete);
            assert_eq!((answer.failure(), answer.message()), (Some(Failure::ServerError), message), "{body}");
        }
    }
    for (endpoint, events, mark) in [
        (Endpoint::Responses, response_events(), "response.completed"),
        (Endpoint::Messages, message_events(), "message_stop"),
    ] {
        let cut = stream_of(&events[..events.len() - 1]);
        let answer = fed(endpoint, true, &cut, 99, End::Closed);
        assert_eq!(answer.failure(), Some(Failure::StreamTruncated));
        assert!(answer.message().contains(&format!("before {mark}")), "{}", answer.message());
        let early = fed(endpoint, true, &stream_of(&events[..3]), 99, End::Complete);
        assert!(early.message().ends_with(mark), "{}", early.message());
        for text in ["{}", "{\"choices\":[]}", "x"] {
            assert_eq!(fed(endpoint, false, text, 9, End::Complete).failure(), Some(Failure::BadResponse), "{text}");
        }
        let refused = fed(endpoint, false, &error.to_string(), 9, End::Complete);
        assert_eq!(refused.failure(), Some(Failure::ServerError));
        let malformed = format!("{}event: x\ndata: {{\"type\":\n\n", stream_of(&events));
        assert_eq!(fed(endpoint, true, &malformed, 99, End::Complete).counts().malformed_events, 1);
    }
}

#[test]
fn lists_are_limited() {
    let items: Vec<_> =
        (0..1100).map(|at| json!({"type": "function_call", "call_id": at.to_string(), "name": "f"})).collect();
    let document = json!({"object": "response", "status": "completed", "output": items}).to_string();
    let answer = fed(Endpoint::Responses, false, &document, 10_000, End::Complete);
    assert_eq!((answer.failure(), answer.tool_calls().len()), (Some(Failure::TooLarge), 1024));
}
