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

/// Servers that give every call the index 0: a new id with a name is a new call, no id or the same one continues it.
#[test]
fn tool_calls_with_one_index_are_told_apart_by_id() {
    for again in [json!(""), json!(null), json!("same")] {
        let mut events = Vec::new();
        for (id, name) in [("a", "f"), ("b", "g")] {
            let again = if again == "same" { json!(id) } else { again.clone() };
            let fragment = |id: &serde_json::Value, name: Option<&str>, arguments: &str| {
                let function = json!({"name": name, "arguments": arguments});
                delta(&json!({"tool_calls": [{"index": 0, "id": id, "type": "function", "function": function}]}))
            };
            events.push(fragment(&json!(id), Some(name), ""));
            events.extend(["{\"a\":", "1}"].map(|part| fragment(&again, None, part)));
        }
        events.push(finish("tool_calls"));
        let answer = whole(&events);
        let calls: Vec<_> = answer
            .tool_calls()
            .iter()
            .map(|call| (&*call.id, &*call.function.name, &*call.function.arguments))
            .collect();
        assert_eq!(calls, [("a", "f", "{\"a\":1}"), ("b", "g", "{\"a\":1}")], "{again}");
    }
}

/// Servers that change the id of a call with every fragment, but name it once.
#[test]
fn a_new_id_without_a_name_continues_the_call_of_its_index() {
    let fragment = |id: &str, name: Option<&str>, arguments: &str| {
        delta(&json!({"tool_calls": [{"index": 0, "id": id, "function": {"name": name, "arguments": arguments}}]}))
    };
    let answer = whole(&[fragment("a", Some("f"), "{"), fragment("b", None, "}"), finish("tool_calls")]);
    let calls: Vec<_> = answer.tool_calls().iter().map(|call| &*call.function.arguments).collect();
    assert_eq!(calls, ["{}"]);
}

#[test]
fn arguments_may_be_objects() {
    let call = |index: u32, arguments: serde_json::Value| json!({"index": index, "id": format!("c{index}"), "function": {"name": "f", "arguments": arguments}});
    let calls = json!({"tool_calls": [call(0, json!({"a": [1, "\u{e9}"]})), call(1, json!({})), call(2, json!(null)), call(3, json!("{\"b\": 2}"))]});
    let answer = whole(&[delta(&calls), finish("tool_calls")]);
    let arguments: Vec<_> = answer.tool_calls().iter().map(|call| &*call.function.arguments).collect();
    assert_eq!(arguments, ["{\"a\":[1,\"\u{e9}\"]}", "{}", "", "{\"b\": 2}"]);
}

/// Content as a list of parts; thinking is reasoning, as a text or as parts of its own.
#[test]
fn content_may_be_a_list_of_parts() {
    let text = |text: &str| json!({"type": "text", "text": text});
    let events = [
        delta(&json!({"role": "assistant", "content": []})),
        delta(&json!({"content": [{"type": "thinking", "thinking": [text("h"), text("m")]}]})),
        delta(&json!({"content": [{"type": "thinking", "thinking": " yes"}, {"type": "reasoning", "text": "!"}]})),
        delta(&json!({"content": [text("one"), {"type": "image_url", "image_url": {}}, text(" \"two\"")]})),
        delta(&json!({"content": " three"})),
        finish("stop"),
    ];
    let cuts: Vec<usize> = events.iter().scan(0, |end, event| (*end += event.len() + 8, *end).1.into()).collect();
    let answer = fed(&body(&events), &cuts, true);
    assert_eq!((answer.failure(), answer.reasoning(), answer.text()), (None, "hm yes!", "one \"two\" three"));
    assert_eq!((answer.stamps().first_token_ns, answer.stamps().first_answer_ns), (Some(2), Some(4)));
    assert_eq!((answer.counts().output_events, answer.counts().malformed_events), (4, 0));
}

/// Nobody may take an answer that could not be read for an empty one.
#[test]
fn an_answer_that_cannot_be_read_is_a_failure() {
    let unread = whole(&[delta(&json!({"content": {"text": "a"}})), finish("stop")]);
    assert_eq!(unread.failure(), Some(agentgen_replay::answer::Failure::BadResponse));
    let detail = whole(&[json!({"detail": "engine dead"}).to_string(), "[DONE]".to_owned()]);
    assert_eq!(detail.failure(), Some(agentgen_replay::answer::Failure::ServerError));
    assert_eq!(detail.message(), "engine dead");
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
        assert_eq!(answer.reasoning_field().name(), name);
        assert_eq!((answer.stamps().first_token_ns, answer.stamps().first_answer_ns), (Some(2), Some(4)));
        assert_eq!(answer.counts().output_events, 3);
    }
    let both = whole(&[delta(&json!({"reasoning": "hm", "reasoning_content": "hm"})), finish("stop")]);
    assert_eq!((both.reasoning(), both.reasoning_field().name()), ("hm", "reasoning_content"));
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
    let reported = [
        json!({"usage": {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}}),
        json!({"usage": {"prompt_tokens": 9, "completion_tokens": 2, "input_tokens_details": {"cached_tokens": 4}}}),
        json!({"usage": {"prompt_tokens": 9, "completion_tokens": 2, "prompt_cache_hit_tokens": 4}}),
        json!({"usage": {"prompt_tokens": 9, "completion_tokens": 2, "cached_tokens": 4}}),
        json!({"timings": {"cache_n": 4, "prompt_n": 5, "predicted_n": 2, "predicted_ms": 0.5}}),
    ];
    for mut last in reported {
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
