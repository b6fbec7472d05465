//! Documents, and completions.

use agentgen_replay::answer::{Answer, End, Endpoint, Failure};
use serde_json::{Value, json};

use crate::{body, delta, finish, whole};

fn document(endpoint: Endpoint, text: &str, complete: bool) -> Answer {
    let mut answer = Answer::new(endpoint, false);
    for (at, part) in (1..).zip(text.as_bytes().chunks(7)) {
        answer.feed(part, at);
    }
    answer.end(if complete { End::Complete } else { End::Lost }, 1000);
    answer
}

fn chat(message: &Value) -> String {
    json!({"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
           "usage": {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 3}}})
    .to_string()
}

#[test]
fn a_document_has_no_token_times() {
    let answer = document(Endpoint::Chat, &chat(&json!({"role": "assistant", "content": "a \"b\""})), true);
    assert_eq!((answer.failure(), answer.text(), answer.finish_reason()), (None, "a \"b\"", Some("stop")));
    let counts = answer.counts();
    assert_eq!((counts.prompt_tokens, counts.cached_tokens, counts.output_events), (Some(5), Some(3), 0));
    assert_eq!((answer.stamps().first_byte_ns, answer.stamps().first_token_ns), (Some(1), None));
    let bare = document(Endpoint::Chat, r#"{"choices": [{"message": {"content": "a"}}]}"#, true);
    assert_eq!((bare.failure(), bare.text(), bare.finish_reason()), (None, "a", None));
}

#[test]
fn a_document_with_reasoning_and_calls() {
    let call = json!({"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let message = json!({"content": null, "reasoning_content": "hm", "tool_calls": [call]});
    let answer = document(Endpoint::Chat, &chat(&message), true);
    assert_eq!((answer.text(), answer.reasoning()), ("", "hm"));
    assert_eq!(serde_json::to_value(answer.tool_calls()).unwrap(), json!([call]));
}

/// The same text, reasoning, calls and finish reason from a document and a stream.
#[test]
fn streams_and_documents_give_the_same_answer() {
    let call = json!({"id": "x", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}});
    let message = json!({"content": "one two", "reasoning": "hm", "tool_calls": [call]});
    let document = document(Endpoint::Chat, &chat(&message), true);
    let part = |arguments: &str| json!([{"index": 0, "function": {"arguments": arguments}}]);
    let begin = json!([{"index": 0, "id": "x", "type": "function", "function": {"name": "f", "arguments": ""}}]);
    let stream = whole(&[
        delta(&json!({"reasoning": "hm"})),
        delta(&json!({"content": "one"})),
        delta(&json!({"content": " two", "tool_calls": begin})),
        delta(&json!({"tool_calls": part("{\"a\"")})),
        delta(&json!({"tool_calls": part(": 1}")})),
        finish("stop"),
    ]);
    for answer in [&document, &stream] {
        assert_eq!((answer.failure(), answer.text(), answer.reasoning()), (None, "one two", "hm"));
        assert_eq!((answer.finish_reason(), json!(answer.tool_calls())), (Some("stop"), json!([call])));
    }
}

#[test]
fn invalid_documents_are_bad_responses() {
    let cut = document(Endpoint::Chat, "{\"choices\": [", false);
    assert_eq!(cut.failure(), Some(Failure::StreamTruncated));
    let error = document(Endpoint::Chat, r#"{"error": {"message": "too long", "code": 400}}"#, true);
    assert_eq!((error.failure(), error.message()), (Some(Failure::ServerError), "too long (400)"));
    for text in ["", "<html>", "{}", "[]", "{\"choices\": []}"] {
        let answer = document(Endpoint::Chat, text, true);
        assert_eq!(answer.failure(), Some(Failure::BadResponse), "{text}");
        assert!(answer.message().starts_with("found "), "{}", answer.message());
    }
}

#[test]
fn completions_answer_with_text() {
    let answer = document(Endpoint::Completions, r#"{"choices": [{"text": "a", "finish_reason": "length"}]}"#, true);
    assert_eq!((answer.text(), answer.finish_reason()), ("a", Some("length")));
    let chunk = |text: &str| json!({"choices": [{"index": 0, "text": text, "finish_reason": null}]}).to_string();
    let end = json!({"choices": [{"text": "", "finish_reason": "length"}]}).to_string();
    let mut stream = Answer::new(Endpoint::Completions, true);
    stream.feed(&body(&[chunk("one"), chunk(" two"), chunk(" \"three\""), end]), 1);
    stream.end(End::Complete, 2);
    assert_eq!((stream.failure(), stream.text(), stream.counts().output_events), (None, "one two \"three\"", 3));
}
