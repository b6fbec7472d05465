//! Parts of an answer.

use serde_json::json;

use crate::{body, delta, fed, finish, whole};

/// An answer that begins with a tool call has its first token there.
#[test]
fn a_tool_call_can_be_the_first_token() {
    let call = |index: u32, id: Option<&str>, name: Option<&str>, arguments: &str| {
        delta(&json!({"tool_calls": [{"index": index, "id": id, "type": "function",
                                      "function": {"name": name, "arguments": arguments}}]}))
    };
    let events = [
        delta(&json!({"role": "assistant", "content": null})),
        call(0, Some("a"), Some("read"), ""),
        call(0, None, None, "{\"pa"),
        call(1, Some("b"), Some("list"), "{}"),
        call(0, None, None, "th\":1}"),
        finish("tool_calls"),
    ];
    let body = body(&events);
    let first = events[0].len() + 8;
    let answer = fed(&body, &[first], true);
    assert_eq!((answer.failure(), answer.text()), (None, ""));
    assert_eq!((answer.stamps().first_token_ns, answer.stamps().first_answer_ns), (Some(2), Some(2)));
    let expected = json!([
        {"id": "a", "type": "function", "function": {"name": "read", "arguments": "{\"path\":1}"}},
        {"id": "b", "type": "function", "function": {"name": "list", "arguments": "{}"}},
    ]);
    assert_eq!(serde_json::to_value(answer.tool_calls()).unwrap(), expected);
    assert_eq!(answer.finish_reason(), Some("tool_calls"));
}

/// Servers that give fragments no index: a new id is a new call.
#[test]
fn tool_calls_without_numbers_are_told_apart_by_id() {
    let events = [
        delta(&json!({"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{"}}]})),
        delta(&json!({"tool_calls": [{"function": {"arguments": "}"}}]})),
        delta(&json!({"tool_calls": [{"id": "b", "function": {"name": "g", "arguments": "{}"}}]})),
        finish("tool_calls"),
    ];
    let answer = whole(&events);
    let calls: Vec<_> = answer.tool_calls().iter().map(|call| (&*call.id, &*call.function.arguments)).collect();
    assert_eq!(calls, [("a", "{}"), ("b", "{}")]);
}

/// Both names of reasoning; it is the first token, but not the first of the answer.
#[test]
fn reasoning_has_two_spellings() {
    for name in ["reasoning", "reasoning_content"] {
        let events = [
            delta(&json!({"role": "assistant", "content": ""})),
            delta(&json!({name: "hm", "content": null})),
            delta(&json!({name: " yes"})),
            delta(&json!({name: null, "content": "42"})),
            finish("stop"),
        ];
        let cuts: Vec<usize> = events.iter().scan(0, |end, event| (*end += event.len() + 8, *end).1.into()).collect();
        let answer = fed(&body(&events), &cuts, true);
        assert_eq!((answer.reasoning(), answer.text()), ("hm yes", "42"));
        assert_eq!((answer.stamps().first_token_ns, answer.stamps().first_answer_ns), (Some(2), Some(4)));
        assert_eq!(answer.counts().output_events, 3);
    }
    let both = whole(&[delta(&json!({"reasoning": "hm", "reasoning_content": "hm"})), finish("stop")]);
    assert_eq!(both.reasoning(), "hm");
}

/// Null content reads as the empty text.
#[test]
fn null_content_is_empty_text() {
    let answer = whole(&[delta(&json!({"content": null})), delta(&json!({})), finish("stop")]);
    assert_eq!((answer.text(), answer.stamps().first_token_ns, answer.failure()), ("", None, None));
}

/// Each server's name for cached tokens.
#[test]
fn usage_in_every_spelling() {
    let told = [
        json!({"usage": {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}}),
        json!({"usage": {"prompt_tokens": 9, "completion_tokens": 2, "input_tokens_details": {"cached_tokens": 4}}}),
        json!({"usage": {"prompt_tokens": 9, "completion_tokens": 2, "prompt_cache_hit_tokens": 4}}),
        json!({"usage": {"prompt_tokens": 9, "completion_tokens": 2, "cached_tokens": 4}}),
        json!({"timings": {"cache_n": 4, "prompt_n": 5, "predicted_n": 2, "predicted_ms": 0.5}}),
    ];
    for mut last in told {
        last["choices"] = json!([]);
        let answer = whole(&[delta(&json!({"content": "a b"})), finish("stop"), last.to_string(), "[DONE]".to_owned()]);
        let counts = answer.counts();
        assert_eq!(
            (counts.prompt_tokens, counts.completion_tokens, counts.cached_tokens),
            (Some(9), Some(2), Some(4)),
            "{last}"
        );
    }
    let unknown = json!({"choices": [], "usage": {"prompt_tokens": 9, "prompt_tokens_details": null}}).to_string();
    assert_eq!(whole(&[finish("stop"), unknown]).counts().cached_tokens, None);
}

/// With usage in every chunk, the last one counts.
#[test]
fn later_usage_replaces_earlier() {
    let chunk = |tokens: u64| {
        json!({"choices": [{"delta": {"content": "a"}}], "usage": {"prompt_tokens": 9, "completion_tokens": tokens}})
            .to_string()
    };
    let answer = whole(&[chunk(1), chunk(2), chunk(3), finish("stop")]);
    assert_eq!((answer.counts().completion_tokens, answer.text()), (Some(3), "aaa"));
}
