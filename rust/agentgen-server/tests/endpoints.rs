//! `OpenAI`'s Responses API and Anthropic's Messages API: the same prompts, answers and caches as chat completions.

#![allow(clippy::unwrap_used)] // a test may panic

mod common;

use common::{Reply, get, post, server};
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const MESSAGES: &str = "/v1/messages";

/// The type and the data of each event.
fn events(reply: &Reply) -> Vec<(String, Value)> {
    let event = |text: &str| {
        let (name, data) = text.strip_prefix("event: ")?.split_once("\ndata: ")?;
        Some((name.to_owned(), serde_json::from_str(data).ok()?))
    };
    let events: Vec<(String, Value)> = reply.body.split("\n\n").filter_map(event).collect();
    for (name, data) in &events {
        assert_eq!(data["type"], name.as_str(), "{data}");
    }
    events
}

fn names(events: &[(String, Value)]) -> Vec<&str> {
    events.iter().map(|(name, _)| name.as_str()).collect()
}

/// The strings that events of a type have at a path, joined.
fn joined(events: &[(String, Value)], name: &str, path: &str) -> String {
    let of_name = events.iter().filter(|(found, _)| found == name);
    of_name.filter_map(|(_, data)| data.pointer(path)?.as_str()).collect()
}

/// Prompt and cached tokens of a document.
fn usage(document: &Value) -> (u64, u64) {
    let usage = &document["usage"];
    let count = |path: &str| usage.pointer(path).map_or(0, |count| count.as_u64().unwrap());
    if usage.get("cache_read_input_tokens").is_some() {
        let cached = count("/cache_read_input_tokens");
        return (count("/input_tokens") + count("/cache_creation_input_tokens") + cached, cached);
    }
    let cached = count("/prompt_tokens_details/cached_tokens") + count("/input_tokens_details/cached_tokens");
    (count("/prompt_tokens") + count("/input_tokens"), cached)
}

/// The text of a document.
fn text(document: &Value) -> &str {
    let places = ["/choices/0/message/content", "/output/0/content/0/text", "/content/0/text"];
    places.iter().find_map(|place| document.pointer(place)).unwrap().as_str().unwrap()
}

/// A request with a system text and further messages.
fn request(path: &str, messages: &[(&str, &str)]) -> Value {
    let message = |(role, content): &(&str, &str)| json!({"role": role, "content": content});
    let messages: Vec<_> = messages.iter().map(message).collect();
    match path {
        CHAT => {
            let system = vec![json!({"role": "system", "content": "be kind"})];
            let messages = [system, messages].concat();
            json!({"messages": messages, "max_tokens": 7})
        }
        // The prompt begins with what stands last.
        RESPONSES => json!({"input": messages, "max_output_tokens": 7, "instructions": "be kind"}),
        _ => json!({"messages": messages, "max_tokens": 7, "system": [{"type": "text", "text": "be kind"}]}),
    }
}

#[test]
fn all_endpoints_make_the_same_answers_and_find_the_same_tokens_in_the_cache() {
    let talk = |path: &str| {
        let server = server(json!({"block_tokens": 2}));
        let first = post(&server, path, &request(path, &[("user", "a b c")]), "").json();
        let said = text(&first).to_owned();
        assert_eq!(said.split(' ').count(), 7, "{first}");
        let history = [("user", "a b c"), ("assistant", said.as_str()), ("user", "d e")];
        let second = post(&server, path, &request(path, &history), "").json();
        (said, usage(&first), text(&second).to_owned(), usage(&second))
    };
    let chat = talk(CHAT);
    assert_eq!((chat.1, chat.3), ((5, 0), (14, 10)));
    assert_eq!(talk(RESPONSES), chat);
    assert_eq!(talk(MESSAGES), chat);
}

#[test]
fn endpoints_share_one_cache() {
    let server = server(json!({"block_tokens": 1}));
    let history = [("user", "a b c")];
    let found =
        [CHAT, RESPONSES, MESSAGES].map(|path| usage(&post(&server, path, &request(path, &history), "").json()));
    assert_eq!(found, [(5, 0), (5, 4), (5, 4)]);
}

#[test]
fn a_stream_of_the_responses_api_is_its_document() {
    let server = server(json!({"block_tokens": 2, "model": "m"}));
    let mut body = json!({"input": "a b c d e", "max_output_tokens": 3, "model": "m"});
    let document = post(&server, RESPONSES, &body, "reasoning=1").json();
    assert_eq!(
        (&document["object"], &document["status"], &document["model"]),
        (&json!("response"), &json!("incomplete"), &json!("m"))
    );
    assert_eq!(document["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(document["usage"]["output_tokens_details"]["reasoning_tokens"], 1);
    assert_eq!(
        (&document["output"][0]["type"], &document["output"][1]["role"]),
        (&json!("reasoning"), &json!("assistant"))
    );

    body["stream"] = json!(true);
    let stream = post(&server, RESPONSES, &body, "reasoning=1");
    assert!(stream.complete && stream.head.contains("content-type: text/event-stream"));
    let events = events(&stream);
    let expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.reasoning_text.delta",
        "response.reasoning_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.incomplete",
    ];
    assert_eq!(names(&events), expected);
    for (at, (_, event)) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], at);
    }
    let last = &events[15].1["response"];
    let said = document["output"][1]["content"][0]["text"].as_str().unwrap();
    assert_eq!(joined(&events, "response.output_text.delta", "/delta"), said);
    assert_eq!(last["output"][1]["content"], document["output"][1]["content"]);
    assert_eq!(last["output"][0]["content"], document["output"][0]["content"]);
    assert_eq!(usage(last), (5, 4));
    assert_eq!((&events[0].1["response"]["usage"], &events[0].1["response"]["output"]), (&Value::Null, &json!([])));

    let unlimited = post(&server, RESPONSES, &json!({"input": [{"role": "user", "content": "x"}]}), "").json();
    assert_eq!((&unlimited["status"], &unlimited["usage"]["output_tokens"]), (&json!("completed"), &json!(16)));
}

#[test]
fn a_stream_of_the_messages_api_is_its_document() {
    let server = server(json!({"block_tokens": 2}));
    let mut body = json!({"messages": [{"role": "user", "content": "a b c d e"}], "max_tokens": 3});
    let document = post(&server, MESSAGES, &body, "reasoning=1").json();
    assert_eq!((&document["type"], &document["stop_reason"]), (&json!("message"), &json!("max_tokens")));
    let counted =
        json!({"input_tokens": 1, "cache_creation_input_tokens": 4, "cache_read_input_tokens": 0, "output_tokens": 3});
    assert_eq!(document["usage"], counted);

    body["stream"] = json!(true);
    let stream = post(&server, MESSAGES, &body, "reasoning=1");
    let events = events(&stream);
    let expected = [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!((stream.complete, names(&events)), (true, expected.to_vec()));
    assert_eq!(joined(&events, "content_block_delta", "/delta/text"), document["content"][1]["text"].as_str().unwrap());
    assert_eq!(
        joined(&events, "content_block_delta", "/delta/thinking"),
        document["content"][0]["thinking"].as_str().unwrap()
    );
    let counted =
        json!({"input_tokens": 1, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 4, "output_tokens": 1});
    assert_eq!(events[0].1["message"]["usage"], counted);
    assert_eq!(
        (&events[10].1["usage"]["output_tokens"], &events[10].1["delta"]["stop_reason"]),
        (&json!(3), &json!("max_tokens"))
    );
}

#[test]
fn results_follow_the_calls_of_a_stream() {
    // As many tokens as the same conversation has with chat completions.
    let again = (11, 9);
    let server = server(json!({"block_tokens": 1}));
    let tools = json!([{"type": "function", "name": "run", "parameters": {}}]);
    let body = json!({"input": "x", "max_output_tokens": 9, "tools": tools, "tool_choice": "required", "stream": true});
    let called = events(&post(&server, RESPONSES, &body, ""));
    let done = called.iter().find(|(name, _)| name == "response.output_item.done").unwrap().1["item"].clone();
    assert_eq!((&done["type"], &done["name"]), (&json!("function_call"), &json!("run")));
    assert_eq!(
        joined(&called, "response.function_call_arguments.delta", "/delta"),
        done["arguments"].as_str().unwrap()
    );
    let result = json!({"type": "function_call_output", "call_id": done["call_id"], "output": "done"});
    let user = json!({"role": "user", "content": "x"});
    let thought = json!({"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]});
    let next = json!({"input": [user, thought, done, result]});
    assert_eq!(usage(&post(&server, RESPONSES, &next, "").json()), again);

    let server = common::server(json!({"block_tokens": 1}));
    let tools = json!([{"name": "run", "input_schema": {"type": "object"}}]);
    let mut body = json!({"messages": [user], "max_tokens": 9, "tools": tools, "tool_choice": {"type": "any"}});
    let document = post(&server, MESSAGES, &body, "").json();
    assert_eq!(document["stop_reason"], "tool_use");
    body["stream"] = json!(true);
    let called = events(&post(&server, MESSAGES, &body, ""));
    let input: Value = serde_json::from_str(&joined(&called, "content_block_delta", "/delta/partial_json")).unwrap();
    assert_eq!((&document["content"][0]["input"], &document["content"][0]["name"]), (&input, &json!("run")));
    let mut block = called[2].1["content_block"].clone();
    assert_eq!(block["input"], json!({}));
    block["input"] = input;
    let result =
        json!({"type": "tool_result", "tool_use_id": block["id"], "content": [{"type": "text", "text": "done"}]});
    let thought = json!({"type": "thinking", "thinking": "hm", "signature": "s"});
    let answer = json!({"role": "assistant", "content": [thought, block]});
    let next = json!({"messages": [user, answer, {"role": "user", "content": [result]}], "max_tokens": 1});
    assert_eq!(usage(&post(&server, MESSAGES, &next, "").json()), again);
}

#[test]
fn invalid_requests_are_refused_in_the_words_of_the_endpoint() {
    let server = server(json!({}));
    let call = |id: &str| json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"});
    let output = |id: &str| json!({"type": "function_call_output", "call_id": id, "output": "y"});
    let user = json!({"role": "user", "content": "x"});
    let input = |items: Value| json!({"input": items});
    let used =
        |id: &str| json!({"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": "f", "input": {}}]});
    let result =
        |id: &str| json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "y"}]});
    let messages = |messages: Value| json!({"messages": messages, "max_tokens": 1});
    for (path, part, body) in [
        (RESPONSES, "expected an object", json!("x")),
        (RESPONSES, "input: missing", json!({"messages": []})),
        (RESPONSES, "integer `3`, expected a string", json!({"input": "x", "instructions": 3})),
        (RESPONSES, "max_output_tokens: found 0", json!({"input": "x", "max_output_tokens": 0})),
        (RESPONSES, "input[1].call_id: found \"b\", expected", input(json!([call("a"), output("b")]))),
        (RESPONSES, "missing: a", input(json!([call("a"), user]))),
        (RESPONSES, "missing: a", input(json!([call("a"), call("b"), output("b"), call("c"), output("c")]))),
        (RESPONSES, "found \"robot\", expected system", input(json!([{"role": "robot", "content": "x"}]))),
        (MESSAGES, "max_tokens: missing", json!({"messages": [user]})),
        (
            MESSAGES,
            "found \"system\", expected user or assistant",
            messages(json!([{"role": "system", "content": "x"}])),
        ),
        (MESSAGES, "missing: a", messages(json!([user, used("a"), user]))),
        (MESSAGES, "messages[2].content.tool_use_id: found \"b\"", messages(json!([user, used("a"), result("b")]))),
    ] {
        let reply = post(&server, path, &body, "");
        let error = &reply.json()["error"];
        assert_eq!((reply.status, &error["type"]), (400, &json!("invalid_request_error")), "{body}");
        assert!(error["message"].as_str().unwrap().contains(part), "{error} {part}");
        assert_eq!(reply.json().get("type").is_some(), path == MESSAGES, "Anthropic's errors have a type");
    }
    for items in [json!([call("a"), call("b"), output("b"), output("a"), user, call("c"), output("c")]), json!([user])]
    {
        assert_eq!(post(&server, RESPONSES, &input(items), "").status, 200);
    }
    let model = post(&server, MESSAGES, &json!({"messages": [user], "max_tokens": 1, "model": "other"}), "");
    assert_eq!((model.status, &model.json()["error"]["type"]), (404, &json!("not_found_error")));
    assert_eq!(get(&server, MESSAGES).status, 405);
}

#[test]
fn faults_change_the_streams_of_all_endpoints() {
    let server = server(json!({}));
    let stream = |path: &str, fault: &str| {
        let mut body = request(path, &[("user", "a b c")]);
        body["stream"] = json!(true);
        post(&server, path, &body, fault)
    };
    for (path, last, finish) in [(RESPONSES, "response.incomplete", 1), (MESSAGES, "message_stop", 1)] {
        let plain = names(&events(&stream(path, ""))).len();
        let without = |fault: &str| plain - names(&events(&stream(path, fault))).len();
        assert_eq!(
            (without("no-done"), without("no-finish"), without("comments, crlf, one-write")),
            (1, finish, plain)
        );
        assert!(!stream(path, "no-done").body.contains(last));
        let failed = events(&stream(path, "error-event=3"));
        assert_eq!((failed.len(), failed[3].0.as_str()), (4, "error"));
        let malformed = stream(path, "malformed=4");
        assert_eq!(events(&malformed).len(), plain - 1);
        let cut = stream(path, "drop-mid-event=2");
        assert_eq!((cut.complete, events(&cut).len()), (false, 2));
        let bare = stream(path, "no-usage").body;
        assert!(!bare.contains("\"output_tokens\""), "{bare}");
    }
}

#[test]
fn tokens_are_counted_without_an_answer_and_the_cache_is_emptied() {
    let server = server(json!({"block_tokens": 1, "max_model_len": 50}));
    let tokens = |body: Value| post(&server, "/tokenize", &body, "").json();
    let text = tokens(json!({"prompt": "a b  a", "add_special_tokens": false}));
    assert_eq!((&text["count"], &text["max_model_len"], &text["token_strs"]), (&json!(3), &json!(50), &Value::Null));
    let ids = text["tokens"].as_array().unwrap();
    assert!(ids[0] == ids[2] && ids[0] != ids[1] && ids.len() == 3, "{ids:?}");
    assert_eq!(tokens(json!({"prompt": [5, 6]}))["tokens"], json!([5, 6]));
    let chat = tokens(json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b a"}]}));
    assert_eq!(&chat["tokens"], &text["tokens"]);
    assert_eq!(tokens(json!({"prompt": ""}))["count"], 0);
    assert_eq!(post(&server, "/tokenize", &json!({}), "").status, 400);
    let count = json!({"messages": [{"role": "user", "content": "a b"}], "system": "c"});
    assert_eq!(post(&server, "/v1/messages/count_tokens", &count, "").json(), json!({"input_tokens": 3}));

    let cached = || usage(&post(&server, CHAT, &request(CHAT, &[("user", "a b c")]), "").json()).1;
    assert_eq!((cached(), cached()), (0, 4));
    assert_eq!((get(&server, "/reset_prefix_cache").status, get(&server, "/tokenize").status), (405, 405));
    let reset = post(&server, "/reset_prefix_cache", &json!({}), "");
    assert_eq!((reset.status, reset.body.as_str(), server.stats().used_blocks), (200, "", 0));
    assert_eq!((cached(), cached()), (0, 4));
}
