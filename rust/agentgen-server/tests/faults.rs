//! Every fault that a header can ask for.

#![allow(clippy::unwrap_used)] // a test may panic

mod common;

use std::io::Read as _;

use agentgen_server::Server;
use common::{Reply, ask, chat, open, read, server};
use serde_json::{Value, json};

fn stream(server: &Server, fault: &str) -> Reply {
    chat(server, &streamed(), fault)
}

fn streamed() -> Value {
    ask("a b c", json!({"stream": true, "stream_options": {"include_usage": true}}))
}

/// A stream without a fault: three tokens, finish reason, usage, `[DONE]`. Ids differ.
fn plain(server: &Server) -> String {
    without_ids(&stream(server, "").body)
}

fn without_ids(body: &str) -> String {
    let mut parts = body.split("chatcmpl-");
    let first = parts.next().unwrap_or_default().to_owned();
    first + &parts.map(|part| &part[16..]).collect::<Vec<_>>().join("chatcmpl-")
}

fn values(reply: &Reply) -> Vec<Value> {
    reply.events().iter().filter_map(|event| serde_json::from_str(event).ok()).collect()
}

#[test]
fn statuses() {
    let server = server(json!({}));
    let busy = stream(&server, "status=429; retry-after=7");
    assert_eq!((busy.status, &busy.json()["error"]["type"]), (429, &json!("rate_limit_error")));
    assert!(busy.head.contains("\r\nretry-after: 7"));
    let failed = stream(&server, "status");
    assert!(failed.status == 500 && !failed.head.contains("retry-after"));
    for bad in ["status=200", "status=x", "status=503; after=1", "split=x", "crlf; x=1", "reasoning; field=x", ""] {
        let header = format!("x-agentgen-fault: {bad}\r\n");
        assert_eq!(read(open(&server, "/v1/chat/completions", &streamed(), &header)).unwrap().status, 400, "{bad:?}");
    }
}

#[test]
fn dropped_connections() {
    let server = server(json!({"debug": true}));
    let header = "x-agentgen-fault: drop-before-headers\r\n";
    assert!(read(open(&server, "/v1/chat/completions", &streamed(), header)).is_none());
    let headers = stream(&server, "drop-after-headers");
    assert_eq!((headers.status, headers.complete, headers.body.as_str()), (200, false, ""));
    let some = stream(&server, "drop-after=2");
    assert_eq!((some.complete, some.events().len()), (false, 2));
    assert!(some.body.ends_with("\n\n"));
    for fault in ["drop-mid-event=2", "drop-mid-event=2, one-write"] {
        let middle = stream(&server, fault);
        assert_eq!((middle.complete, middle.events().len(), values(&middle).len()), (false, 3, 2));
    }
    let body = ask("a", json!({}));
    let document = chat(&server, &body, "drop-mid-event");
    assert!(!document.complete && document.body.starts_with("{\"id\"") && !document.body.ends_with('}'));
    assert_eq!(chat(&server, &body, "drop-after-headers").body, "");
    let stats = server.stats();
    assert_eq!((stats.fault, stats.disconnected, stats.running), (7, 0, 0));
}

#[test]
fn unusual_but_valid_event_streams() {
    let server = server(json!({}));
    let plain = plain(&server);
    for fault in ["split", "split=7", "split=random", "one-write", "delay-headers=1, delay-first=1, delay-between=1"] {
        let reply = stream(&server, fault);
        assert!(reply.complete);
        assert_eq!(without_ids(&reply.body), plain, "{fault}");
    }
    let crlf = stream(&server, "crlf").body;
    assert_eq!(without_ids(&crlf.replace("\r\n", "\n")), plain);
    assert_eq!(crlf.matches("\r\n\r\n").count(), 6);
    let cr = stream(&server, "cr").body;
    assert!(!cr.contains('\n'));
    assert_eq!(without_ids(&cr.replace('\r', "\n")), plain);
    assert_eq!(without_ids(&stream(&server, "comments").body.replace(": keep-alive\n\n", "")), plain);
    let bom = stream(&server, "bom").body;
    assert_eq!(without_ids(bom.strip_prefix('\u{feff}').unwrap()), plain);
    let lines = stream(&server, "multi-line, crlf").body;
    assert!(lines.contains("\"}]}\r\n\r\ndata: ") || lines.matches("\r\ndata: ").count() > 12);
    let joined = lines.replace("\r\n\r\n", "\u{0}").replace("\r\ndata: ", "\n").replace('\u{0}', "\n\n");
    assert_eq!(without_ids(&joined.replace(",\n", ",")), plain);
}

#[test]
fn faults_that_change_events() {
    let server = server(json!({}));
    let malformed = stream(&server, "malformed=1");
    assert_eq!((malformed.events().len(), values(&malformed).len(), malformed.complete), (6, 4, true));
    assert!(chat(&server, &ask("a", json!({})), "malformed").body.len() > 10);

    let first = stream(&server, "error-event");
    assert_eq!((values(&first)[0]["error"]["code"].clone(), first.events()[1]), (json!(500), "[DONE]"));
    let middle = stream(&server, "error-event=2, no-done");
    assert_eq!((values(&middle).len(), &values(&middle)[2]["error"]["type"]), (3, &json!("InternalServerError")));
    assert!(middle.complete);

    assert!(values(&stream(&server, "no-usage")).iter().all(|event| event.get("usage").is_none()));
    assert!(chat(&server, &ask("a", json!({})), "no-usage").json().get("usage").is_none());
    let no_done = stream(&server, "no-done");
    assert!(no_done.complete && !no_done.body.contains("[DONE]"));
    assert!(!stream(&server, "no-finish").body.contains("\"length\""));

    let role = values(&stream(&server, "role-only"));
    assert_eq!(role[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    assert!(role[1]["choices"][0]["delta"].get("role").is_none());
    let null = values(&stream(&server, "null-content"));
    assert_eq!(null[0]["choices"][0]["delta"], json!({"role": "assistant", "content": null}));
    for (fault, field) in [("reasoning=2", "reasoning_content"), ("reasoning=2; field=reasoning", "reasoning")] {
        let events = values(&stream(&server, fault));
        let has = |at: usize, field: &str| events[at]["choices"][0]["delta"][field].is_string();
        assert!(has(0, field) && has(1, field) && !has(1, "content") && has(2, "content") && !has(2, field));
        let message = chat(&server, &ask("a", json!({})), fault).json()["choices"][0]["message"].clone();
        assert_eq!(message[field].as_str().unwrap().split(' ').count(), 2);
        assert_eq!(message["content"].as_str().unwrap().split(' ').count(), 1);
    }
}

#[test]
fn tool_calls_are_streamed_in_fragments_with_unique_ids() {
    let server = server(json!({"tool_calls": 2}));
    let tools =
        json!([{"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "g"}}]);
    let body = ask("a", json!({"max_tokens": 9, "stream": true, "tools": tools}));
    let mut ids = std::collections::HashSet::new();
    for fault in ["", "tool-calls=2"] {
        let mut calls = [(String::new(), String::new()), (String::new(), String::new())];
        let events = values(&chat(&server, &body, fault));
        assert_eq!(events.len(), 10);
        for call in events.iter().filter_map(|event| event["choices"][0]["delta"]["tool_calls"].get(0)) {
            let (name, arguments) = &mut calls[call["index"].as_u64().unwrap() as usize];
            if let Some(id) = call["id"].as_str() {
                assert!(ids.insert(id.to_owned()));
                name.push_str(call["function"]["name"].as_str().unwrap());
            }
            arguments.push_str(call["function"]["arguments"].as_str().unwrap());
        }
        assert_eq!((calls[0].0.as_str(), calls[1].0.as_str()), ("f", "g"));
        let words = calls.iter().map(|(_, arguments)| {
            let arguments: Value = serde_json::from_str(arguments).unwrap();
            arguments["input"].as_str().unwrap().split(' ').count()
        });
        assert_eq!(words.sum::<usize>(), 7, "9 tokens without the two names");
        assert_eq!(events[9]["choices"][0]["finish_reason"], "tool_calls");
    }
    assert_eq!(ids.len(), 4);
    let none = ask("a", json!({"tools": tools, "tool_choice": "none"}));
    assert!(chat(&server, &none, "").json()["choices"][0]["message"]["content"].is_string());
}

#[test]
fn random_faults_hit_their_share_of_the_requests_reproducibly() {
    let faults = json!([{"fault": "status=503", "probability": 0.3}, {"fault": "no-done", "probability": 1}]);
    let run = |seed: u64| -> Vec<u16> {
        let server = server(json!({"faults": faults, "seed": seed}));
        (0..100)
            .map(|_| {
                let reply = stream(&server, "");
                assert!(!reply.body.contains("[DONE]"));
                reply.status
            })
            .collect()
    };
    let once = run(1);
    let failed = once.iter().filter(|status| **status == 503).count();
    assert!((15..=45).contains(&failed), "{failed}");
    assert_eq!(run(1), once);
    assert_ne!(run(2), once);
}

#[test]
fn counters_add_up_under_faults_and_disconnecting_clients() {
    let faults: Vec<_> = [
        "status=429; retry-after=0",
        "drop-before-headers",
        "drop-after=1",
        "drop-mid-event",
        "malformed",
        "error-event=1",
        "split=random",
        "delay-first=2",
        "no-finish",
        "no-done",
    ]
    .iter()
    .map(|fault| json!({"fault": fault, "probability": 0.05}))
    .collect();
    let server = server(json!({
        "faults": faults, "block_tokens": 2, "capacity_blocks": 20,
        "prefill_tokens_per_second": 100_000, "decode_tokens_per_second": 5000, "debug": true,
    }));
    std::thread::scope(|scope| {
        for client in 0..8 {
            let server = &server;
            scope.spawn(move || {
                for turn in 0..40 {
                    let content = format!("all the same {} {turn}", client % 3);
                    let body = ask(&content, json!({"max_tokens": 12, "stream": turn % 2 == 0}));
                    let connection = open(server, "/v1/chat/completions", &body, "");
                    if turn % 5 > 0 {
                        read(connection);
                    }
                }
            });
        }
    });
    let sum = |stats: &agentgen_server::Stats| stats.answered + stats.refused + stats.disconnected + stats.fault;
    // A client that disconnects before its request is read has sent no request, as far as the server knows.
    while server.stats().running + server.stats().waiting > 0 || sum(&server.stats()) < 256 {
        std::thread::yield_now();
    }
    let stats = server.stats();
    assert!(sum(&stats) <= 320 && stats.refused == 0 && stats.fault > 50, "{stats:?}");
    assert!(stats.used_blocks <= 20 && stats.cached_tokens > 0, "{stats:?}");
}

#[test]
fn refused_fields_are_named() {
    let server = server(json!({}));
    let both = json!({"max_tokens": 3, "max_completion_tokens": 3});
    let refused = stream(&server, "refuse=stream_options");
    let error = &refused.json()["error"];
    assert_eq!((refused.status, &error["param"]), (400, &json!("stream_options")));
    assert!(error["message"].as_str().unwrap().ends_with("argument supplied: stream_options"));
    let detail = stream(&server, "refuse=max_tokens; status=422");
    assert_eq!((detail.status, &detail.json()["detail"][0]["loc"]), (422, &json!(["body", "max_tokens"])));
    assert_eq!(stream(&server, "refuse=min_tokens, refuse=x").status, 200);
    let two = chat(&server, &ask("a", both.clone()), "one-limit");
    assert!(two.status == 400 && two.body.contains("'max_tokens' and 'max_completion_tokens' at the same time"));
    assert_eq!((chat(&server, &ask("a", both), "").status, stream(&server, "one-limit").status), (200, 200));
}

#[test]
fn error_bodies_have_every_form() {
    let server = server(json!({}));
    for (form, kind, part) in [
        ("text", "text/plain", "injected fault"),
        ("html", "text/html", "<title>502 injected fault</title>"),
        ("detail", "application/json", r#""msg":"injected fault""#),
    ] {
        let reply = stream(&server, &format!("status=502, error-body={form}"));
        assert!(reply.status == 502 && reply.head.contains(kind) && reply.body.contains(part), "{reply:?}");
    }
}

#[test]
fn a_server_without_models() {
    let with_header = |server: &Server, header: &str| {
        let mut connection = std::net::TcpStream::connect(server.address()).unwrap();
        let request = format!("GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{header}\r\n");
        std::io::Write::write_all(&mut connection, request.as_bytes()).unwrap();
        read(connection).unwrap().status
    };
    let one = server(json!({}));
    assert_eq!((with_header(&one, ""), with_header(&one, "x-agentgen-fault: no-models\r\n")), (200, 404));
    let other = server(json!({"faults": [{"fault": "no-models", "probability": 1}]}));
    assert_eq!(with_header(&other, ""), 404);
}

#[test]
fn a_body_may_end_late_and_an_answer_may_be_one_document() {
    let server = server(json!({}));
    let late = stream(&server, "late-end=30");
    assert!(late.complete);
    assert_eq!(without_ids(&late.body), plain(&server));
    let mut held = open(&server, "/v1/chat/completions", &streamed(), "x-agentgen-fault: late-end=600000\r\n");
    held.set_read_timeout(Some(std::time::Duration::from_millis(100))).unwrap();
    let mut bytes = Vec::new();
    assert!(std::io::Read::read_to_end(&mut held, &mut bytes).is_err(), "the body has not ended");
    assert!(bytes.ends_with(b"data: [DONE]\n\n\r\n"), "{}", String::from_utf8_lossy(&bytes));
    let document = stream(&server, "one-document");
    assert!(document.head.contains("application/json") && document.json()["choices"][0]["message"].is_object());
}

#[test]
fn compressed_answers() {
    let server = server(json!({}));
    for (body, fault) in [(streamed(), "gzip"), (streamed(), "gzip, split=3"), (ask("a b c", json!({})), "gzip")] {
        let mut connection = open(&server, "/v1/chat/completions", &body, &format!("x-agentgen-fault: {fault}\r\n"));
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut connection, &mut bytes).unwrap();
        let begin = memchr::memmem::find(&bytes, b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&bytes[..begin]).into_owned();
        assert!(head.contains("content-encoding: gzip"), "{head}");
        let mut body = bytes[begin + 4..].to_vec();
        if head.contains("chunked") {
            body = unchunked_bytes(&body);
        }
        let mut text = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&body[..]), &mut text).unwrap();
        let expected = if head.contains("chunked") { "data: [DONE]" } else { "usage" };
        assert!(text.contains(expected), "{text}");
    }
}

fn unchunked_bytes(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = memchr::memmem::find(rest, b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        body.extend_from_slice(&rest[end + 2..end + 2 + length]);
        rest = &rest[end + 4 + length..];
    }
    body
}

#[test]
fn chunks_in_other_dialects() {
    let server = server(json!({}));
    let parts = values(&stream(&server, "content-parts"));
    assert!(parts[0]["choices"][0]["delta"]["content"][0]["text"].is_string(), "{}", parts[0]);
    let counted = values(&stream(&server, "usage-each"));
    let tokens: Vec<_> = counted.iter().filter_map(|event| event["usage"]["completion_tokens"].as_u64()).collect();
    assert_eq!(tokens, [1, 2, 3, 3]);
    let calls = |fault: &str| {
        let events = values(&chat(&server, &ask("a", json!({"stream": true, "max_tokens": 9})), fault));
        let index = |event: &Value| event.pointer("/choices/0/delta/tool_calls/0").map(|call| call["index"].clone());
        events.iter().filter_map(index).collect::<Vec<_>>()
    };
    assert_eq!(calls("tool-calls=2").last(), Some(&json!(1)));
    assert!(calls("tool-calls=2, call-index=0").iter().all(|index| *index == 0));
    assert!(calls("tool-calls=2, call-index=none").iter().all(Value::is_null));
    for is_stream in [true, false] {
        let body = ask("a", json!({"stream": is_stream, "max_tokens": 3}));
        let mut text = String::new();
        let mut connection = open(&server, "/v1/chat/completions", &body, "x-agentgen-fault: interim\r\n");
        connection.read_to_string(&mut text).unwrap();
        let (interim, rest) = text.split_once("\r\n\r\n").unwrap();
        assert!(interim.starts_with("HTTP/1.1 103 Early Hints\r\n"), "{text}");
        assert!(rest.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        assert_eq!(rest.matches("HTTP/1.1 ").count(), 1);
    }
    for is_stream in [true, false] {
        let fault = "tool-calls=2, argument-objects";
        let reply = chat(&server, &ask("a", json!({"stream": is_stream, "max_tokens": 9})), fault);
        let answers = if is_stream { values(&reply) } else { vec![reply.json()] };
        let of = |event: &Value| event.pointer("/choices/0/delta").or(event.pointer("/choices/0/message")).cloned();
        let calls: Vec<Value> =
            answers.iter().filter_map(of).filter_map(|of| of["tool_calls"].as_array().cloned()).flatten().collect();
        assert_eq!(calls.len(), 2, "{calls:?}");
        assert!(calls.iter().all(|call| call["function"]["arguments"]["input"].is_string()), "{calls:?}");
    }
    for bad in ["refuse", "refuse=a; status=500", "error-body=x", "call-index=1", "late-end"] {
        assert_eq!(stream(&server, bad).status, 400, "{bad}");
    }
}
