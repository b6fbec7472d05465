//! Answers that are cut, too large, or repeat what they must not.

use std::sync::Arc;

use agentgen_replay::answer::{Answer, End, Endpoint, Failure, MAX_EVENT_BYTES};
use agentgen_replay::secrets::Secrets;
use serde_json::json;

use crate::reference::Seen;
use crate::{PLAIN, body, delta, finish};

const DOCUMENT: &str =
    r#"{"choices": [{"message": {"content": "one \u00e9"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 9}}"#;

fn ended(stream: bool, body: &[u8], end: End) -> Answer {
    let mut answer = Answer::new(Endpoint::Chat, stream);
    answer.feed(body, 1);
    answer.end(end, 2);
    answer
}

/// No beginning of a body passes for all of it, whatever HTTP says of its end.
#[test]
fn every_cut_is_a_failure_with_its_reason() {
    for (stream, body, closed) in [(true, PLAIN, "[DONE]"), (false, DOCUMENT, "}}")] {
        let whole = Seen::from(&ended(stream, body.as_bytes(), End::Complete));
        assert_eq!(whole.failure, None);
        let end = body.rfind(closed).unwrap() + closed.len();
        for cut in 0..=body.len() {
            let part = &body.as_bytes()[..cut];
            let lost = ended(stream, part, End::Lost);
            assert_eq!(lost.failure(), Some(Failure::StreamTruncated), "{cut}");
            assert!(!lost.message().is_empty());
            let closed = ended(stream, part, End::Closed);
            if cut < end {
                assert!(closed.failure().is_some() && !closed.message().is_empty(), "{cut}");
            } else {
                assert_eq!(Seen::from(&closed), whole, "{cut}");
            }
        }
    }
}

/// The limits fail the answer with the read that exceeds them.
#[test]
fn what_is_too_large_fails_at_once() {
    let read = vec![b'a'; 1 << 20];
    let event = [b"data: ".to_vec(), read.clone()].concat();
    let lines = [b"data: ".to_vec(), read[..1 << 10].to_vec(), b"\n".to_vec()].concat().repeat(1 << 10);
    for (stream, first, kind) in [
        (true, &read, "an event"),
        (true, &event, "an event"),
        (true, &lines, "an event"),
        (false, &read, "a document"),
    ] {
        let mut answer = Answer::new(Endpoint::Chat, stream);
        let mut reads = 1;
        let mut within = answer.feed(first, 1);
        while within && reads < 100 {
            within = answer.feed(if first == &lines { &lines } else { &read }, 1);
            reads += 1;
        }
        assert!(!within && reads <= (MAX_EVENT_BYTES >> 20) + 1, "{kind}: {reads} reads");
        assert_eq!(answer.failure(), Some(Failure::TooLarge));
        assert!(answer.message().starts_with(&format!("found {kind} of ")), "{}", answer.message());
    }
    for delta_of in [
        json!({"content": "a".repeat(1 << 20)}),
        json!({"reasoning": "a".repeat(1 << 20)}),
        json!({"tool_calls": [{"index": 0, "function": {"arguments": "a".repeat(1 << 20)}}]}),
    ] {
        let event = body(&[delta(&delta_of)]);
        let mut answer = Answer::new(Endpoint::Chat, true);
        assert_eq!((0..20).position(|_| !answer.feed(&event, 1)), Some(16));
        assert!(answer.message().contains("bytes of text"), "{}", answer.message());
    }
    let token = body(&[delta(&json!({"content": "word"}))]);
    let mut answer = Answer::new(Endpoint::Chat, true).with_max_bytes(10 * token.len() as u64);
    assert_eq!((0..12).position(|_| !answer.feed(&token, 1)), Some(10));
    assert!(answer.message().ends_with("(--max-answer)"), "{}", answer.message());
}

/// 1,025 calls, in one event and in many.
#[test]
fn tool_calls_are_limited() {
    let call = |index: usize| json!({"index": index, "id": format!("c{index}"), "function": {"name": "f"}});
    let at_once = [delta(&json!({"tool_calls": (0..1025).map(call).collect::<Vec<_>>()}))];
    let apart: Vec<String> = (0..1025).map(|index| delta(&json!({"tool_calls": [call(index)]}))).collect();
    for events in [&at_once[..], &apart] {
        let answer = ended(true, &body(events), End::Complete);
        assert_eq!((answer.failure(), answer.tool_calls().len()), (Some(Failure::TooLarge), 1024));
    }
    let answer = ended(true, &body(&[apart[..1024].to_vec(), vec![finish("tool_calls")]].concat()), End::Complete);
    assert_eq!(answer.failure(), None);
}

/// What is nested, huge or no count is left out.
#[test]
fn odd_values_are_missing_values() {
    let deep = "[".repeat(100_000);
    for event in [format!("{{\"choices\": {deep}"), format!("{{\"error\": {deep}"), deep] {
        let answer = ended(true, &body(&[event, delta(&json!({"content": "a"})), finish("stop")]), End::Complete);
        assert_eq!((answer.failure(), answer.text(), answer.counts().malformed_events), (None, "a", 1));
    }
    for count in ["1e300", "18446744073709551615", "-1", "\"7\"", "[]", "{}", "null", "true", "4294967296"] {
        let usage = format!(
            "{{\"usage\": {{\"prompt_tokens\": {count}}}, \"timings\": {{\"cache_n\": {count}, \"prompt_n\": {count}}}}}"
        );
        let answer = ended(true, &body(&[usage, finish("stop")]), End::Complete);
        assert_eq!((answer.failure(), answer.counts().prompt_tokens), (None, None), "{count}");
    }
    let long = finish(&"stop".repeat(100_000));
    assert_eq!(ended(true, &body(&[long]), End::Complete).finish_reason().map(str::len), Some(64));
}

/// Whatever part of an answer repeats a secret.
#[test]
fn secrets_are_in_no_message_and_no_finish_reason() {
    let secret = "sk-0123456789";
    let error = json!({"message": format!("bad key {secret}"), "code": secret});
    let bodies = [
        (true, format!("data: {}\n\n", json!({"error": error}))),
        (true, format!("event: error\ndata: {secret}\n\n")),
        (true, format!("error: {{\"message\": \"{secret}\"}}\n\n")),
        (true, format!("{}\n\n", json!({"error": vec![secret; 40]}))),
        (true, format!("no event, but {secret}")),
        (true, format!("data: {}\n\n", finish(secret))),
        (false, json!({"error": error}).to_string()),
        (false, json!({"detail": [{"loc": ["header", secret], "msg": secret}]}).to_string()),
        (false, format!("<html><title>{secret}</title></html>")),
        (false, secret.to_owned()),
    ];
    for (stream, body) in bodies {
        for end in [End::Complete, End::Closed, End::Lost, End::Refused] {
            let secrets = Arc::new(Secrets::new([format!("Bearer {secret}").as_str()]));
            let mut answer = Answer::new(Endpoint::Chat, stream).without(secrets);
            for part in body.as_bytes().chunks(3) {
                answer.feed(part, 1);
            }
            answer.end(end, 2);
            for text in [answer.message(), answer.finish_reason().unwrap_or_default()] {
                assert!(!text.contains("0123"), "{body} {end:?}: {text}");
            }
        }
    }
}

/// An error response says what its body says, wherever that stands.
#[test]
fn refusals_are_read_from_any_body() {
    for (body, said) in [
        (r#"{"error": {"message": "too long", "code": 400}}"#, "too long (400)"),
        (r#"{"error": "too long"}"#, "too long"),
        (r#"{"detail": "Not Found"}"#, "Not Found"),
        (
            r#"{"detail": [{"loc": ["body", "n"], "msg": "not permitted"}, {"loc": ["body", 2], "msg": "missing"}]}"#,
            "body.n: not permitted; body.2: missing",
        ),
        (r#"{"object": "error", "message": "overloaded", "code": 503}"#, "overloaded"),
        ("{\n  \"message\": \"over\\nloaded\"\n}\n", "over loaded"),
        ("data: {\"error\": {\"message\": \"in an event\"}}\n\n", "in an event"),
        ("<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>", "502 Bad Gateway"),
        ("<html><body><h1>502 Bad Gateway</h1><hr>nginx</body></html>", "502 Bad Gateway nginx"),
        ("upstream: connect error", "upstream: connect error"),
        ("", ""),
    ] {
        let streams: &[bool] = if body.starts_with("data") { &[true] } else { &[true, false] };
        for &stream in streams {
            assert_eq!(ended(stream, body.as_bytes(), End::Refused).message(), said, "{body}");
        }
    }
    let document = ended(true, DOCUMENT.as_bytes(), End::Complete);
    assert!(document.message().contains("--no-stream"), "{}", document.message());
}
