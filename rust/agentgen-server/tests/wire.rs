//! Requests and answers as a client sees them.

#![allow(clippy::unwrap_used)] // a test may panic

mod common;

use agentgen_server::Server;
use common::{ask, chat, get, open, read, server};
use serde_json::{Value, json};

/// The text of the events of a chat.
fn text(events: &[&str]) -> String {
    events
        .iter()
        .filter_map(|event| serde_json::from_str::<Value>(event).ok())
        .filter_map(|event| Some(event["choices"].get(0)?["delta"]["content"].as_str()?.to_owned()))
        .collect()
}

#[test]
fn a_chat_has_the_same_answer_as_events_and_as_a_document() {
    for events in ["token", "coalesced"] {
        let server = server(json!({"events": events, "block_tokens": 2, "model": "a \"model\""}));
        let whole = chat(&server, &ask("a b c d e", json!({"model": "a \"model\""})), "");
        assert_eq!((whole.status, whole.complete), (200, true));
        let document = whole.json();
        assert_eq!(document["model"], "a \"model\"");
        assert_eq!(document["choices"][0]["finish_reason"], "length");
        let usage = json!({"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8, "prompt_tokens_details": {"cached_tokens": 0}});
        assert_eq!(document["usage"], usage);

        let more = json!({"stream": true, "stream_options": {"include_usage": true}});
        let stream = chat(&server, &ask("a b c d e", more), "");
        let events = stream.events();
        assert!(stream.complete && stream.head.contains("content-type: text/event-stream"));
        assert_eq!((events.len(), events[5]), (6, "[DONE]"));
        assert_eq!(text(&events), document["choices"][0]["message"]["content"].as_str().unwrap());
        let first: Value = serde_json::from_str(events[0]).unwrap();
        assert_eq!(first["choices"][0]["delta"]["role"], "assistant");
        let last: Value = serde_json::from_str(events[4]).unwrap();
        assert_eq!(last["choices"], json!([]));
        assert_eq!(last["usage"]["prompt_tokens_details"]["cached_tokens"], 4);
        assert_eq!(chat(&server, &ask("a b c d e", json!({"stream": true})), "").events().len(), 5);
    }
}

#[test]
fn a_conversation_that_resends_its_answers_finds_them_in_the_cache() {
    let server = server(json!({"block_tokens": 1}));
    let answer = chat(&server, &ask("a b c", json!({"max_tokens": 10})), "").json();
    let message = answer["choices"][0]["message"].clone();
    assert_eq!(message["content"].as_str().unwrap().split(' ').count(), 10);
    let body = json!({"messages": [{"role": "user", "content": "a b c"}, message, {"role": "user", "content": [{"type": "text", "text": "d\u{e9}\n\"e\""}]}]});
    let usage = chat(&server, &body, "").json()["usage"].clone();
    // The last token of an output has no KV yet.
    assert_eq!((&usage["prompt_tokens"], &usage["prompt_tokens_details"]["cached_tokens"]), (&json!(15), &json!(12)));

    let calls = chat(
        &server,
        &ask(
            "x",
            json!({"max_tokens": 9, "tools": [{"type": "function", "function": {"name": "run"}}], "tool_choice": "required"}),
        ),
        "",
    );
    let message = calls.json()["choices"][0]["message"].clone();
    assert_eq!(message["tool_calls"][0]["function"]["name"], "run");
    let result = json!({"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "done"});
    let body = json!({"messages": [{"role": "user", "content": "x"}, message, result]});
    let usage = chat(&server, &body, "").json()["usage"].clone();
    assert_eq!((&usage["prompt_tokens"], &usage["prompt_tokens_details"]["cached_tokens"]), (&json!(11), &json!(9)));
}

#[test]
fn completions_accept_texts_and_token_ids() {
    let server = server(json!({"block_tokens": 1}));
    let complete = |body: Value| read(open(&server, "/v1/completions", &body, "")).unwrap();
    let text = complete(json!({"prompt": "a b", "max_tokens": 4})).json();
    let said = text["choices"][0]["text"].as_str().unwrap();
    assert_eq!(said.split_whitespace().count(), 4);
    let more = complete(json!({"prompt": format!("a b{said} c"), "max_tokens": 4})).json();
    assert_eq!(more["usage"]["prompt_tokens_details"]["cached_tokens"], 5);

    for (one, of) in [(json!("a b"), json!(["a b"])), (json!([1, 2]), json!([[1, 2]]))] {
        let usage = complete(json!({"prompt": of, "max_tokens": 4})).json()["usage"].clone();
        assert_eq!(
            complete(json!({"prompt": one, "max_tokens": 4})).json()["usage"]["prompt_tokens"],
            usage["prompt_tokens"]
        );
        assert_eq!(usage["prompt_tokens"], 2, "a list of one prompt is that prompt: {usage}");
    }
    for (several, part) in [
        (json!(["a", "b"]), "found a list of 2 prompts, expected one"),
        (json!([[1], [2], [3]]), "found a list of 3 prompts, expected one"),
        (json!([1, "a"]), "token ids beside a prompt"),
        (json!([-1]), "expected a token id, a string or a list"),
        (json!([1.5]), "expected a token id, a string or a list"),
        (json!([4_294_967_296_u64]), "expected 32 bits"),
    ] {
        let refused = complete(json!({"prompt": several}));
        assert!(refused.status == 400 && refused.body.contains(part), "{}", refused.body);
    }

    let ids = complete(json!({"prompt": [1, 2, 3], "max_tokens": 4, "return_token_ids": true})).json();
    let made = ids["choices"][0]["token_ids"].as_array().unwrap();
    let prompt: Vec<_> = [json!(1), json!(2), json!(3)].into_iter().chain(made.clone()).chain([json!(9)]).collect();
    let stream = complete(
        json!({"prompt": prompt, "stream": true, "stream_options": {"include_usage": true}, "return_token_ids": true}),
    );
    let events: Vec<Value> = stream.events().iter().filter_map(|event| serde_json::from_str(event).ok()).collect();
    assert_eq!(events.len(), 18);
    assert!(events[..16].iter().all(|event| event["choices"][0]["token_ids"].as_array().unwrap().len() == 1));
    assert_eq!(events[17]["usage"]["prompt_tokens"], 8);
    assert_eq!(events[17]["usage"]["prompt_tokens_details"]["cached_tokens"], 6);
}

#[test]
fn invalid_requests_get_an_error_message() {
    let server = server(json!({"max_model_len": 100, "capacity_blocks": 5}));
    let call = json!({"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let other = json!({"id": "c2", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let user = json!({"role": "user", "content": "x"});
    let said = json!({"role": "assistant", "content": null, "tool_calls": [call, other]});
    let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "y"});
    let messages = |messages: Value| json!({"messages": messages});
    let long = "x ".repeat(98);
    let bad = [
        (400, "expected an object", json!("x")),
        (400, "messages: missing", json!({})),
        (400, "messages: found no token", messages(json!([]))),
        (400, "at least 1", ask("x", json!({"max_tokens": 0}))),
        (400, "n: found 2", ask("x", json!({"n": 2}))),
        (400, "min_tokens: found 4", ask("x", json!({"min_tokens": 4}))),
        (404, "`other` does not exist", ask("x", json!({"model": "other"}))),
        (400, "maximum context length is 100 tokens. However, you requested 101 tokens (98", ask(&long, json!({}))),
        (400, "KV memory holds 5 blocks", ask(&"x ".repeat(80), json!({"max_completion_tokens": 10}))),
        (400, "expected system, developer, user", messages(json!([{"role": "robot", "content": "x"}]))),
        (
            400,
            "a string",
            messages(
                json!([user, {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {}}}]}]),
            ),
        ),
        (400, "must be followed by a tool message for each call; missing: c1, c2", messages(json!([user, said]))),
        (400, "missing: c2", messages(json!([user, said, result("c1"), user]))),
        (400, "found \"c3\", expected the id of a tool call", messages(json!([user, said, result("c3")]))),
        (400, "found \"c1\" twice", messages(json!([user, said, result("c1"), result("c1")]))),
        (
            400,
            "expected the id of a tool call of the assistant message before it",
            messages(json!([user, said, result("c1"), result("c2"), user, result("c1")])),
        ),
        (
            400,
            "expected a non-empty id that no other call has",
            messages(json!([user, {"role": "assistant", "tool_calls": [call, call]}])),
        ),
    ];
    for (status, part, body) in bad {
        let reply = chat(&server, &body, "");
        assert_eq!(reply.status, status, "{body}");
        let error = &reply.json()["error"];
        assert!(error["message"].as_str().unwrap().contains(part), "{error} {part}");
        assert_eq!(error["type"], if status == 404 { "not_found_error" } else { "invalid_request_error" });
    }
    let good = json!([user, said, result("c2"), result("c1"), user, {"role": "assistant", "content": "z"}, user]);
    assert_eq!(chat(&server, &messages(good), "").status, 200);
    assert_eq!(chat(&server, &ask("x", json!({})), "zzz").status, 400);
    assert_eq!(get(&server, "/v1/chat/completions").status, 405);
    assert_eq!(get(&server, "/zzz").status, 404);
    assert_eq!(get(&server, "/debug/requests").status, 404, "only with the option");
}

#[test]
fn health_models_metrics_and_debug_pages() {
    let mut server = server(json!({"debug": true, "max_model_len": 4096, "block_tokens": 4, "capacity_blocks": 100}));
    let session = "X-Session-ID: s 1\r\n";
    read(open(&server, "/v1/chat/completions", &ask("a b c d e f g h i", json!({})), session)).unwrap();
    chat(&server, &ask("a b c d e f g h i", json!({"stream": true})), "");
    chat(&server, &ask("a", json!({"n": 3})), "");

    assert_eq!((get(&server, "/health").status, get(&server, "/health").body), (200, String::new()));
    let models = get(&server, "/v1/models").json();
    assert_eq!((&models["data"][0]["id"], &models["data"][0]["max_model_len"]), (&json!("agentgen"), &json!(4096)));
    let metrics = get(&server, "/metrics").body;
    for line in [
        "vllm:prefix_cache_queries_total{model_name=\"agentgen\"} 18",
        "vllm:prefix_cache_hits_total{model_name=\"agentgen\"} 8",
        "vllm:num_requests_running{model_name=\"agentgen\"} 0",
        "vllm:kv_cache_usage_perc{model_name=\"agentgen\"} 0.02",
        "agentgen_server_requests_total{model_name=\"agentgen\",outcome=\"refused\"} 1",
        "agentgen_server_lag_seconds_bucket{model_name=\"agentgen\",le=\"+Inf\"}",
        "vllm:time_to_first_token_seconds_count{model_name=\"agentgen\"} 2",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    let records = get(&server, "/debug/requests").json();
    assert_eq!((&records[0]["session"], &records[1]["session"]), (&json!("s 1"), &Value::Null));
    assert_eq!((&records[1]["prompt_tokens"], &records[1]["cached_tokens"]), (&json!(9), &json!(8)));
    let outcomes: Vec<_> = (0..3).map(|at| records[at]["outcome"].as_str().unwrap().to_owned()).collect();
    assert_eq!(outcomes, ["answered", "answered", "refused"]);
    assert!(records[0]["arrived_ns"].as_u64() < records[1]["arrived_ns"].as_u64());
    let stats = server.stats();
    assert_eq!((stats.answered, stats.refused, stats.cached_tokens), (2, 1, 8));
    server.stop();
    server.stop();
}

/// Waits until the server's counters fulfil a condition.
fn until(server: &Server, what: impl Fn(&agentgen_server::Stats) -> bool) {
    while !what(&server.stats()) {
        std::thread::yield_now();
    }
}

#[test]
fn a_disconnected_client_frees_its_place() {
    for stream in [true, false] {
        // A token in 1,000 seconds; room for one request.
        let server = server(json!({"debug": true, "decode_tokens_per_second": 0.001, "capacity_blocks": 4}));
        let body = ask("a b c", json!({"stream": stream, "max_tokens": 40}));
        let first = open(&server, "/v1/chat/completions", &body, "");
        until(&server, |stats| stats.running == 1);
        let second = open(&server, "/v1/chat/completions", &body, "");
        until(&server, |stats| stats.waiting == 1);
        let third = open(&server, "/v1/chat/completions", &body, "");
        until(&server, |stats| stats.waiting == 2);
        drop(second);
        until(&server, |stats| (stats.running, stats.waiting, stats.disconnected) == (1, 1, 1));
        drop(first);
        until(&server, |stats| (stats.running, stats.waiting, stats.disconnected) == (1, 0, 2));
        drop(third);
        until(&server, |stats| (stats.running, stats.waiting, stats.disconnected) == (0, 0, 3));
        let metrics = get(&server, "/metrics").body;
        for name in ["vllm:request_success_total", "vllm:e2e_request_latency_seconds_count"] {
            assert!(metrics.contains(&format!("{name}{{model_name=\"agentgen\"}} 0\n")), "{name}: {metrics}");
        }
        let records = get(&server, "/debug/requests").json();
        let concurrent: Vec<_> = (0..3).map(|at| records[at]["concurrent"].as_u64().unwrap()).collect();
        assert_eq!(concurrent, [1, 2, 3]);
        assert!((0..3).all(|at| records[at]["outcome"] == "disconnected"));
    }
}

#[test]
fn a_waiting_request_is_answered_once_there_is_room() {
    let server = server(json!({"decode_tokens_per_second": 200, "capacity_blocks": 4, "debug": true}));
    let body = ask("a b c", json!({"max_tokens": 40, "stream": true}));
    let open: Vec<_> = (0..4).map(|_| open(&server, "/v1/chat/completions", &body, "")).collect();
    for connection in open {
        assert_eq!(read(connection).unwrap().events().len(), 42);
    }
    assert_eq!(server.stats().answered, 4);
}

#[test]
fn a_port_in_use_is_an_error() {
    let server = server(json!({}));
    let port = server.address().port();
    let options = agentgen_server::Options { port, ..Default::default() };
    let error = Server::start(options).err().unwrap().to_string();
    assert!(error.starts_with(&format!("127.0.0.1:{port}: cannot listen: ")), "{error}");
}
