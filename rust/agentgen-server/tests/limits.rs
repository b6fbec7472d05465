//! Limits of requests and connections, and answers of any length.

#![allow(clippy::unwrap_used)] // a test may panic

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use agentgen_server::Server;
use common::{ask, chat, get, open, read, server};
use serde_json::json;

const TOKENS: u32 = 300_000;

/// Sends bytes, and reads until the server closes the connection.
fn raw(server: &Server, bytes: &[u8]) -> String {
    let mut connection = TcpStream::connect(server.address()).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let _ = connection.write_all(bytes);
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_body_over_the_limit_is_refused_before_and_while_it_is_read() {
    let server = server(json!({"max_body_bytes": 1000}));
    assert_eq!(chat(&server, &ask("a", json!({})), "").status, 200);
    let long = chat(&server, &ask(&"a".repeat(1000), json!({})), "");
    assert_eq!(long.status, 413);
    assert!(long.json()["error"]["message"].as_str().unwrap().contains("--max-body"), "{}", long.body);
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n";
    assert!(
        raw(&server, format!("{head}content-length: 1000000000000\r\n\r\n").as_bytes()).starts_with("HTTP/1.1 413")
    );
    let chunk = format!("{:x}\r\n{}\r\n", 600, "a".repeat(600));
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n{chunk}{chunk}");
    assert!(raw(&server, chunked.as_bytes()).starts_with("HTTP/1.1 413"));
    assert!(get(&server, "/metrics").body.contains(r#"outcome="refused"} 3"#));
}

/// Neither a head nor a body that does not end keeps a connection.
#[test]
fn slow_requests_lose_their_connection() {
    let server = server(json!({"header_timeout_s": 0.2, "body_timeout_s": 0.2}));
    assert_eq!(raw(&server, b"POST /v1/chat/completions HT"), "");
    assert_eq!(raw(&server, b""), "");
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{";
    let answer = raw(&server, head.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("not complete after 0.2 s"), "{answer}");
}

#[test]
fn connections_over_the_limit_get_503() {
    let server = server(json!({"max_connections": 2}));
    let held: Vec<_> = (0..2).map(|_| TcpStream::connect(server.address()).unwrap()).collect();
    let mut refused = get(&server, "/health");
    // A connection may be accepted after the request of a later one has come.
    for _ in 0..100 {
        if refused.status == 503 {
            break;
        }
        refused = get(&server, "/health");
    }
    assert_eq!(refused.status, 503);
    assert_eq!(refused.json()["error"]["message"], "too many connections, expected at most 2");
    drop(held);
    let healthy = (0..1000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        get(&server, "/health").status == 200
    });
    assert!(healthy, "closed connections are no longer counted");
}

/// An answer is made as it is sent, as a document and as events.
#[test]
fn long_answers_are_complete() {
    let server = server(json!({"block_tokens": 1024, "events": "coalesced"}));
    let document = chat(&server, &ask("a", json!({"max_tokens": TOKENS})), "");
    assert!(document.complete);
    let content = document.json()["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    assert_eq!(content.split(' ').count(), TOKENS as usize);
    let stream = chat(&server, &ask("a", json!({"max_tokens": TOKENS, "stream": true})), "");
    let events = stream.events();
    assert_eq!((events.len(), events.last()), (TOKENS as usize + 2, Some(&"[DONE]")));
}

/// A client that leaves early costs nothing more.
#[test]
fn a_long_answer_can_be_left() {
    let server = server(json!({}));
    for stream in [true, false] {
        let body = ask("a", json!({"max_tokens": 3_000_000, "stream": stream}));
        let mut connection = open(&server, "/v1/chat/completions", &body, "");
        let mut begin = [0; 1000];
        connection.read_exact(&mut begin).unwrap();
        assert!(begin.starts_with(b"HTTP/1.1 200"), "{stream}");
    }
    assert_eq!(read(open(&server, "/v1/chat/completions", &ask("b", json!({})), "")).unwrap().status, 200);
}
